"""The plugins of a bot that can die in each of their hooks, made anew for each process."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from smabot.hooks.default_sizer import DefaultSizer
from smabot.hooks.discovery import discover, make, named_by, select, settings_model
from smabot.hooks.plugins import Plugins
from smabot.settings.model import Config
from smabot.testing.simulation.points import Points


class PluginFailure(RuntimeError):
    """What a plugin raises where a schedule says so."""


class MortalPlugins:
    """Makes the plugins that settings name, as each new process does. Classes and settings are kept."""

    def __init__(self, points: Points) -> None:
        self.failing: dict[str, int] = {}
        """How often each hook raises from now on."""
        self._points = points
        self._mortal: dict[type, type] = {}
        self._makers: list[tuple[Config, dict[str, Callable[[], object]]]] = []

    def make(self, config: Config, more: Mapping[str, object]) -> Plugins:
        """Return new plugins: those of the settings, and ``more`` by name. Raises ConfigError."""
        made = {name: maker() for name, maker in self._makers_of(config).items()} | dict(more)
        plugins = Plugins()
        for name in sorted(made, reverse=True):
            plugins.register(name, made[name])
        plugins.register("core.sizing", DefaultSizer(config.sizing))
        plugins.check()
        plugins.kinds()
        return plugins

    def _makers_of(self, config: Config) -> dict[str, Callable[[], object]]:
        for known, makers in self._makers:
            if known is config:
                return makers
        installed = discover(named_by(config))
        chosen = select(named_by(config), config.no_plugins, installed)
        found = {
            name: self._maker(name, make(name, installed[name], config, {}), config)
            for name in chosen
        }
        self._makers.append((config, found))
        return found

    def _maker(self, name: str, first: object, config: Config) -> Callable[[], object]:
        """Return what makes a plugin of the kind of the first one; a module is always the same."""
        kind = type(first)
        if kind.__module__ == "builtins":
            return lambda: first
        mortal = self.mortal(kind)
        model = settings_model(kind)
        if model is None:
            return mortal
        settings = model.model_validate(config.table(name))
        return lambda: mortal(settings=settings)

    def mortal(self, kind: type) -> type:
        """Return a plugin class whose hooks are points where the process can die."""
        if kind not in self._mortal:
            hooks = {name: self._hook(name, value) for name, value in _hooks_of(kind).items()}
            self._mortal[kind] = type(
                kind.__name__, (kind,), {**hooks, "__module__": kind.__module__}
            )
        return self._mortal[kind]

    def _hook(self, name: str, function: Any) -> Any:
        before, after = f"hook {name}: before", f"hook {name}: after"
        reach, failing = self._points.reach, self.failing

        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            reach(before)
            if failing and failing.get(name, 0) > 0:
                failing[name] -= 1
                raise PluginFailure(f"{name} fails")
            answer = function(*arguments)
            reach(after)
            return answer

        return call


def _hooks_of(kind: type) -> dict[str, Any]:
    """Return the hooks that a class has, its bases' too."""
    members = {name: value for base in reversed(kind.__mro__) for name, value in vars(base).items()}
    return {name: value for name, value in members.items() if hasattr(value, "smabot_impl")}
