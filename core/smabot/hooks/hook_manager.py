"""pluggy's manager, which looks for hooks only where there are some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pluggy

from smabot.hooks import specifications as hookspecs


class HookManager(pluggy.PluginManager):
    """Registers the hooks that a check has found. pluggy alone looks at all attributes, at length."""

    def __init__(self) -> None:
        super().__init__("smabot")
        self._hooks: Mapping[str, Any] = {}
        self.add_hookspecs(hookspecs)

    def add(self, name: str, plugin: object, hooks: Mapping[str, Any]) -> None:
        """Register a plugin, of which these attributes are hooks, marked so."""
        self._hooks = hooks
        self.register(plugin, name)

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        return {**self._hooks[name]} if name in self._hooks else None

    def parse_hookspec_opts(self, module_or_class: Any, name: str) -> Any:
        return getattr(module_or_class, name).smabot_spec if name in hookspecs.HOOKS else None
