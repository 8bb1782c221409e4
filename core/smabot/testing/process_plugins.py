"""Makes the plugins of one process after the other. What pluggy finds out of a class it finds out once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from smabot.hooks.default_sizer import DefaultSizer
from smabot.hooks.discovery import made_with, plugin_settings
from smabot.hooks.plugins import Plugins
from smabot.settings.model import Config, Settings
from smabot.testing.kill_points import Switch, mortal_call

WORLD = "fake.world"


class HookMethod(NamedTuple):
    """A hook that a plugin implements: pluggy's entry of it, and the name of the plugin's method."""

    impl: Any
    hook: str
    method: str


class ProcessPlugins:
    """The plugins of a bot's processes, of which one runs at a time."""

    def __init__(self, made_of: Mapping[str, Any], config: Config) -> None:
        self._made_of = made_of
        self._config = config
        self._plugins: Plugins | None = None
        self._in_use = False
        self._methods: list[HookMethod] = []
        self._settings: dict[str, Settings | None] = {}
        """Of each plugin: frozen, so that each process may have the same."""

    def take(self, world: object, switch: Switch | None) -> Plugins:
        """Return new plugins, registered and checked. `give_back` ends their process.

        ``world``: the plugin that opens journal, broker and feed, of the same class each time. ``switch``:
        is told of a boundary before and after each call of a hook, as ``sma.on_bar``; not of the world's.
        """
        plugin_of = {WORLD: world, **self._made()}
        plugins, methods = self._plugins, self._methods
        if plugins is None or self._in_use:
            plugins = self._registered(plugin_of)
            methods = list(_methods(plugins, plugin_of))
        if not self._in_use:
            self._plugins, self._methods, self._in_use = plugins, methods, True
        for impl, hook, method in methods:
            name = impl.plugin_name
            call = getattr(plugin_of[name], method)
            if switch is not None and name != WORLD:
                call = mortal_call(call, f"{name}.{hook}", switch)
            impl.function = call
        plugins.check()
        return plugins

    def give_back(self, plugins: Plugins) -> None:
        if plugins is self._plugins:
            self._in_use = False

    def _made(self) -> dict[str, object]:
        return {name: self._make(name, target) for name, target in self._made_of.items()}

    def _make(self, name: str, target: Any) -> object:
        if inspect.isclass(target) or isinstance(target, ModuleType):
            if name not in self._settings:
                self._settings[name] = plugin_settings(name, target, self._config, {})
            return made_with(name, target, self._settings[name])
        made: object = target()
        return made

    def _registered(self, plugin_of: Mapping[str, object]) -> Plugins:
        plugins = Plugins()
        for name in sorted(plugin_of, reverse=True):
            plugins.register(name, plugin_of[name])
        plugins.register("core.sizing", DefaultSizer(self._config.sizing))
        return plugins


def _methods(plugins: Plugins, plugin_of: Mapping[str, object]) -> Iterator[HookMethod]:
    """Yield each hook that some plugins implement."""
    for name, plugin in plugin_of.items():
        methods: dict[Callable[..., Any], str] = {}
        for attribute in dir(type(plugin)) if not isinstance(plugin, ModuleType) else dir(plugin):
            value = inspect.getattr_static(plugin, attribute, None)
            if inspect.isfunction(value):
                methods[getattr(plugin, attribute)] = attribute
        for caller in plugins.manager.get_hookcallers(plugin) or ():
            for impl in caller.get_hookimpls():
                if impl.plugin_name == name:
                    yield HookMethod(impl, caller.name, methods[impl.function])
