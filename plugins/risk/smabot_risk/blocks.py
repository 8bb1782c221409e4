"""Puts and lifts a risk plugin's block: a row in core's table ``blocks``."""

from __future__ import annotations

from datetime import datetime

from smabot.api import Block, Book, replace

SCOPES = ("entries", "all")


def put_block(
    book: Book, plugin: str, scope: str, reason: str, since: datetime, until: datetime | None = None
) -> None:
    """Block orders of a scope; a block of the other scope by this plugin ends."""
    lift_block(book, plugin, since, but=scope)
    held = book.blocks.get((plugin, scope))
    if held is not None and held.reason == reason and held.until == until:
        return
    book.apply(Block(plugin, scope, reason, since, until))


def lift_block(book: Book, plugin: str, now: datetime, but: str = "") -> None:
    """End a plugin's blocks, except that of the scope ``but``."""
    for scope in SCOPES:
        held = book.blocks.get((plugin, scope))
        if held is not None and scope != but and held.holds(now):
            book.apply(replace(held, until=now))
