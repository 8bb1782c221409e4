"""Where a plugin that is not part of a run was last loaded from, for messages about it."""

from __future__ import annotations

from smabot.domain.book_view import BookView
from smabot.domain.bot_records import BotState

PLUGIN_FILE = "plugin_file"
"""The key of the path that a plugin was last loaded from; an installed plugin has none."""


def with_file(book: BookView, name: str) -> str:
    """Return a plugin's name, and its file where it was last loaded from one."""
    file = book.row(BotState, name, PLUGIN_FILE)
    return name if file is None else f"{name} (last loaded from {file.value})"
