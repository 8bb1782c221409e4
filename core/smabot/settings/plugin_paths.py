"""Names of plugins that are paths: `./rising.py`, or `strategies/rising.py:Rising`.

A path in a settings file is relative to that file, one from anywhere else to the current folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PLUGIN_LISTS = ("base_plugins", "plugins", "no_plugins")
"""The settings that name plugins."""
_FILE = re.compile(r"(?P<path>.+\.py)(?::(?P<attribute>[^/]*))?", re.DOTALL)


def names_file(name: str) -> bool:
    """Whether a plugin's name is a path, and not that of an installed plugin."""
    return "/" in name or _FILE.fullmatch(name) is not None


def split_reference(name: str) -> tuple[str, str]:
    """Return the path and the class of `path.py:Class`; the class is empty where none is named."""
    found = _FILE.fullmatch(name)
    return (found["path"], found["attribute"] or "") if found else (name, "")


def named_plugins(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield the plugins that settings name, however wrong the settings are."""
    for key in PLUGIN_LISTS[:2]:
        names = settings.get(key)
        if isinstance(names, list | tuple):
            yield from (name for name in names if isinstance(name, str))


def beside_settings(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a settings file's table, its relative paths of plugins as paths from the current folder."""
    moved = dict(table)
    for key in PLUGIN_LISTS:
        if isinstance(names := table.get(key), list):
            moved[key] = [_beside(name, folder) for name in names]
    return moved


def _beside(name: Any, folder: Path) -> Any:
    if not isinstance(name, str) or not names_file(name) or name.startswith(("/", "~")):
        return name
    return name if folder == Path() else str(folder / name)
