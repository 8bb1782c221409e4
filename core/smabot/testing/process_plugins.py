"""Makes the plugins of one process after the other. What pluggy finds out of a class it finds out once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from smabot.hooks.default_sizer import DefaultSizer
from smabot.hooks.discovery import make_from
from smabot.hooks.plugins import Plugins
from smabot.settings.model import Config
from smabot.testing.kill_points import Switch, make_hooks_mortal

WORLD = "fake.world"


class ProcessPlugins:
    """The plugins of a bot's processes, of which one runs at a time."""

    def __init__(self, made_of: Mapping[str, Any], config: Config) -> None:
        self._made_of = made_of
        self._config = config
        self._plugins: Plugins | None = None
        self._in_use = False
        self._methods: list[tuple[Any, str]] = []

    def take(self, world: object, switch: Switch | None) -> Plugins:
        """Return new plugins, registered and checked. `give_back` ends their process.

        ``world``: the plugin that opens journal, broker and feed, of the same class each time.
        """
        plugin_of = {WORLD: world, **self._made()}
        if self._in_use:
            plugins = self._registered(plugin_of)
        elif self._plugins is None:
            plugins = self._plugins = self._registered(plugin_of)
            self._methods = list(_methods(plugins, plugin_of))
        else:
            plugins = self._plugins
            for impl, attribute in self._methods:
                impl.function = getattr(plugin_of[impl.plugin_name], attribute)
            plugins.check()
        self._in_use = True
        if switch is not None:
            make_hooks_mortal(plugins, switch, self._made_of)
        return plugins

    def give_back(self, plugins: Plugins) -> None:
        if plugins is self._plugins:
            self._in_use = False

    def _made(self) -> dict[str, object]:
        return {name: self._make(name, target) for name, target in self._made_of.items()}

    def _make(self, name: str, target: Any) -> object:
        if inspect.isclass(target) or isinstance(target, ModuleType):
            return make_from(name, target, self._config, {})
        made: object = target()
        return made

    def _registered(self, plugin_of: Mapping[str, object]) -> Plugins:
        plugins = Plugins()
        for name in sorted(plugin_of, reverse=True):
            plugins.register(name, plugin_of[name])
        plugins.register("core.sizing", DefaultSizer(self._config.sizing))
        plugins.check()
        return plugins


def _methods(plugins: Plugins, plugin_of: Mapping[str, object]) -> list[tuple[Any, str]]:
    """Return each hook implementation of some plugins with the name of its method."""
    found: list[tuple[Any, str]] = []
    for name, plugin in plugin_of.items():
        methods: dict[Callable[..., Any], str] = {}
        for attribute in dir(type(plugin)) if not isinstance(plugin, ModuleType) else dir(plugin):
            value = inspect.getattr_static(plugin, attribute, None)
            if inspect.isfunction(value):
                methods[getattr(plugin, attribute)] = attribute
        for caller in plugins.manager.get_hookcallers(plugin) or ():
            found += [
                (impl, methods[impl.function])
                for impl in caller.get_hookimpls()
                if impl.plugin_name == name
            ]
    return found
