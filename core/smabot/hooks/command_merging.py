"""The commands of several plugins as one set: groups of one name are one group, with the commands of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import copy

import click


def merge_commands(
    found: dict[str, click.Command], added: Mapping[str, click.Command], taken: Collection[str]
) -> list[str]:
    """Add commands to those that were found before; return the names of those that are left out, because
    they are ``taken``, or found already."""
    left_out = []
    for name, command in added.items():
        known = found.get(name)
        if name not in taken and known is None:
            found[name] = command
        elif isinstance(known, click.Group) and isinstance(command, click.Group):
            found[name] = merged = copy(known)  # a plugin may keep its own
            merged.commands = dict(known.commands)
            inner = merge_commands(merged.commands, command.commands, ())
            left_out += [f"{name} {each}" for each in inner]
        else:
            left_out.append(name)
    return left_out
