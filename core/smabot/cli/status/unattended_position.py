"""A position that no bot closes: of a strategy that the last run was without, or of none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smabot.domain.book import Book
    from smabot.domain.bot_records import Run
    from smabot.domain.records import Position


def why_unattended(book: Book, position: Position, last_run: Run | None, *, running: bool) -> str:
    """Return why no bot closes a position, and what does; empty where its strategy takes part."""
    from smabot.domain.plugin_origins import with_file

    flatten = f"`smabot flatten --symbol {position.symbol}` closes all {position.symbol}"
    if not position.strategy:
        return f"belongs to no strategy: {flatten}"
    if last_run is None or position.strategy in last_run.plugins.split(","):
        return ""
    run = "this run" if running else "the last run"
    plugin = with_file(book, position.strategy)
    return f"NOT CLOSED BY THE BOT: plugin {plugin} is not part of {run}; add it, or {flatten}"
