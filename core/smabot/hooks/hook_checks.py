"""Which attributes of a plugin are hooks, and what is wrong with one that can't be called as one."""

from __future__ import annotations

import inspect
from functools import cached_property, lru_cache
from types import FunctionType, ModuleType
from typing import Any

from smabot.errors import ConfigError, suggest
from smabot.hooks import specifications as hookspecs

_DESCRIPTORS = (property, cached_property, staticmethod, classmethod)


def check_hooks(name: str, plugin: object) -> dict[str, Any]:
    """Return the attributes of a plugin that are hooks, and how each was marked.

    Raises ConfigError unless it has one, and each of its hooks can be called as one.
    """
    if inspect.isclass(plugin):
        raise ConfigError(f"plugin '{name}': a class was registered instead of an instance")
    hooks = {}
    for attribute, kept in sorted(_attributes(plugin).items()):
        options = _hook_options(name, plugin, attribute, kept)
        if options is not None:
            hooks[attribute] = options
    if not hooks:
        raise ConfigError(f"plugin '{name}' has no hook: mark its methods with @hookimpl")
    return hooks


def is_needed(parameter: inspect.Parameter) -> bool:
    """Whether a call must give a parameter."""
    return parameter.default is parameter.empty and parameter.kind not in (
        parameter.VAR_POSITIONAL,
        parameter.VAR_KEYWORD,
    )


def _attributes(plugin: object) -> dict[str, object]:
    """Return what a plugin and its class keep by name, without what every object has."""
    kept: dict[str, object] = {}
    for cls in reversed(type(plugin).__mro__[:-1]):
        kept.update(vars(cls))
    own = getattr(plugin, "__dict__", {})
    shown = {name for name in own if name in kept and inspect.isdatadescriptor(kept[name])}
    return kept | {name: value for name, value in own.items() if name not in shown}


def _hook_options(name: str, plugin: object, attribute: str, kept: object) -> Any:
    """Return how a hook was marked; None: the attribute is none. Raises ConfigError for one that was
    meant to be.

    Properties are not asked for their value: that would run the plugin's code.
    """
    if (
        isinstance(kept, FunctionType)
        and attribute not in hookspecs.HOOKS
        and not hasattr(kept, "smabot_impl")
    ):
        return None
    value = None
    if not isinstance(kept, property | cached_property):
        value = getattr(plugin, attribute, None)
        if value is None:  # as a subclass switches a hook off
            return None
    options = getattr(value, "smabot_impl", None)
    if options is not None and inspect.isroutine(value):
        wraps = bool(options.get("wrapper") or options.get("hookwrapper"))
        function, bound = getattr(value, "__func__", value), inspect.ismethod(value)
        if fault := _hook_fault(function, bound, options.get("specname") or attribute, wraps):
            raise ConfigError(f"plugin '{name}': {fault}")
        return options
    lost = _is_lost(kept)
    if lost or (attribute in hookspecs.HOOKS and not _is_foreign(plugin, value)):
        how = "@hookimpl goes right above `def`, below any other decorator"
        how = how if lost else "mark the method with @hookimpl, or give it another name"
        raise ConfigError(f"plugin '{name}': {attribute} is not a valid hook: {how}")
    return None


def _is_lost(kept: object) -> bool:
    """Whether a descriptor hides the mark of @hookimpl."""
    if not isinstance(kept, _DESCRIPTORS):
        return False
    inner = getattr(kept, "fget", None) or getattr(kept, "func", None)
    return hasattr(kept, "smabot_impl") or hasattr(inner, "smabot_impl")


def _is_foreign(plugin: object, value: object) -> bool:
    """Whether a module merely imported what has a hook's name."""
    return isinstance(plugin, ModuleType) and (
        not inspect.isroutine(value) or getattr(value, "__module__", "") != plugin.__name__
    )


@lru_cache(maxsize=1024)
def _hook_fault(function: Any, bound: bool, hook: str, wraps: bool) -> str:
    """Return why a function can't be called as a hook; empty: it can. A start looks at each once."""
    if hook not in hookspecs.HOOKS:
        return f"no hook '{hook}'{suggest(hook, hookspecs.HOOKS)}"
    if wraps:
        return f"{hook} can't be wrapped: no hook may change another plugin's answer"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return f"{hook} is async: hooks are called and not awaited; write `def`"
    if inspect.isgeneratorfunction(function):
        return f"{hook} has a `yield`: return the answer instead"
    known = inspect.signature(getattr(hookspecs, hook)).parameters
    for parameter in list(inspect.signature(function).parameters.values())[bound:]:
        if not is_needed(parameter):
            what = (
                "may not be there"
                if parameter.default is parameter.empty
                else "must not have a default"
            )
            return f"{hook}: argument '{parameter.name}' {what}"
        if parameter.name not in known:
            return (
                f"{hook} has no argument '{parameter.name}'{suggest(parameter.name, known)}; it may take: "
                f"{', '.join(known) or 'none'}"
            )
    return ""
