"""What a plugin's modules and their classes hold: looked at after a run, and put back as it was imported."""

from __future__ import annotations

import inspect
import sys
from collections import deque
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from types import ModuleType
from typing import Any

Place = ModuleType | type
CONTAINERS = (list, dict, set, bytearray, deque)


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a module or class, as it was."""

    place: Place
    name: str
    value: Any
    content: Any
    """A copy of a container; else the value itself."""

    @property
    def label(self) -> str:
        return f"{self.place.__name__}.{self.name}"

    def is_as_it_was(self) -> bool:
        now = vars(self.place).get(self.name, self)
        if type(now) is not type(self.content):
            return False
        return _is_equal(now, self.content)

    def put_back(self) -> None:
        if isinstance(self.value, CONTAINERS):  # in place: others may hold it, too
            self.value.clear()
            fill = self.value.update if isinstance(self.value, (dict, set)) else self.value.extend
            fill(_content(self.content))
        if vars(self.place).get(self.name, self) is not self.value:
            setattr(self.place, self.name, self.value)


class ModuleState:
    """The variables of a plugin: of its class's package or of its file, and of the classes in them."""

    def __init__(self, target: Any) -> None:
        """``target``: the plugin's class or module, before it ran."""
        self._places = list(_places(target))
        self._kept = [
            Variable(place, name, value, _content(value))
            for place in self._places
            for name, value in _variables(place)
        ]

    def changed(self) -> str:
        """Return the name of a variable that is another one than at first; empty where none is."""
        known = {(each.place, each.name) for each in self._kept}
        found = [each.label for each in self._kept if not each.is_as_it_was()]
        found += [f"{place.__name__}.{name}" for place, name in self._new(known)]
        return next(iter(found), "")

    def restore(self) -> None:
        """Put every variable back, as for a process that begins."""
        known = {(each.place, each.name) for each in self._kept}
        for place, name in list(self._new(known)):
            delattr(place, name)
        for each in self._kept:
            if not each.is_as_it_was() or vars(each.place)[each.name] is not each.value:
                each.put_back()

    def _new(self, known: set[tuple[Place, str]]) -> Iterator[tuple[Place, str]]:
        for place in self._places:
            for name, _ in _variables(place):
                if (place, name) not in known:
                    yield place, name


def _places(target: Any) -> Iterator[Place]:
    module = target if isinstance(target, ModuleType) else inspect.getmodule(target)
    if module is None:
        return
    package = module.__name__.partition(".")[0] if module.__package__ else ""
    modules = [
        each
        for name, each in list(sys.modules.items())
        if each is module or (package and name.partition(".")[0] == package)
    ]
    for each in modules:
        yield each
        yield from (
            value
            for value in list(vars(each).values())
            if inspect.isclass(value) and value.__module__ == each.__name__
        )


def _variables(place: Place) -> Iterator[tuple[str, Any]]:
    """Yield what may hold a state: no functions, classes and modules, and nothing of Python's own."""
    for name, value in list(vars(place).items()):
        if not name.startswith("__") and not (
            callable(value) or isinstance(value, (ModuleType, property, classmethod, staticmethod))
        ):
            yield name, value


def _content(value: Any) -> Any:
    """Return a copy of a container and of those in it; any other value itself."""
    if not isinstance(value, CONTAINERS):
        return value
    copied = copy(value)
    if isinstance(copied, dict):
        for key in copied:
            copied[key] = _content(copied[key])
    elif isinstance(copied, (list, deque)):
        for place in range(len(copied)):
            copied[place] = _content(copied[place])
    return copied


def _is_equal(one: Any, other: Any) -> bool:
    try:
        return one is other or bool(one == other)
    except Exception:  # noqa: BLE001 - an array's comparison has no truth
        return False
