"""Settings with a new name. The old one works until 1.0, in every layer; both must not differ in one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smabot.errors import ConfigError, UsageError
from smabot.system.deprecation import note_renamed

RENAMED = {
    "tape": "data",
    "plugin.exchange.participation": "plugin.exchange.max_volume_share",
}
"""Old dotted keys and the new ones, in the same table."""


def new_names(table: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return a table of settings by the new names. Raises ConfigError where an old and a new one differ."""
    result = dict(table)
    for dotted, new_dotted in RENAMED.items():
        *path, old = dotted.split(".")
        new = new_dotted.rpartition(".")[2]
        inner = _own_copy(result, path)
        if inner is None or old not in inner:
            continue
        value = inner.pop(old)
        if inner.get(new) not in (None, value):
            raise ConfigError(
                f"{origin}: {new_dotted} = {inner[new]!r} and {dotted} = {value!r}: "
                f"{old} is the old name of {new}; leave it out"
            )
        inner[new] = value
        note_renamed(dotted, new_dotted, origin)
    return result


class NewNames:
    """The new names of settings that come one by one, as variables or flags."""

    def __init__(self) -> None:
        self._given: dict[str, tuple[Any, str]] = {}

    def of(self, key: str, value: Any, origin: str, renamed_origin: str) -> str:
        """Return the new dotted key; ``origin`` is the variable or flag as given, and as it is now.

        Raises ConfigError, or UsageError for flags, where an old and a new one are given and differ.
        """
        new = RENAMED.get(key, key)
        if new != key:
            note_renamed(origin, renamed_origin)
        elif key not in RENAMED.values():
            return key
        before, other = self._given.setdefault(new, (value, origin))
        if before != value:
            error = UsageError if origin.startswith("-") else ConfigError
            raise error(
                f"{origin} {value} and {other} {before}: both name {new}, one is the old name of it; "
                "leave the old one out"
            )
        return new


def _own_copy(tree: dict[str, Any], path: list[str]) -> dict[str, Any] | None:
    """Return the table at a path, copied on the way down; None where there is none."""
    for name in path:
        inner = tree.get(name)
        if not isinstance(inner, Mapping):
            return None
        tree[name] = dict(inner)
        tree = tree[name]
    return tree
