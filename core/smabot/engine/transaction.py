"""What is committed at once: the rows and bars of a step, and of the quiet minutes before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loguru import logger

from smabot.domain.book import Book
from smabot.domain.records import Bar
from smabot.hooks.optional_ports import ReplayingFeed
from smabot.hooks.ports import Feed, Journal

MOST_BARS = 10_000
"""So many wait for a commit at most."""
Watcher = Callable[[list[Any], list[Bar]], None]
"""Is shown the rows and bars of each commit: those of a step, or of many minutes."""


class Transaction:
    """Takes what changed out of the book, step by step, until it is committed."""

    def __init__(self, book: Book, journal: Journal, feed: Feed, watch: Watcher | None) -> None:
        self._book = book
        self._journal = journal
        self._keep = feed.keep if isinstance(feed, ReplayingFeed) else lambda: None
        self._watch = watch
        self._rows: list[Any] = []
        self._bars: list[Bar] = []

    @property
    def is_full(self) -> bool:
        """Whether it is to be committed now."""
        return len(self._bars) >= MOST_BARS

    def take_step(self) -> None:
        """Take what a step has changed."""
        rows, bars = self._book.drain()
        self._rows += rows
        self._bars += bars

    def commit(self, *, keep: bool = False) -> None:
        """Commit what was taken. ``keep``: a restart goes on after all that the feed has delivered.

        Raises JournalError.
        """
        rows, bars, self._rows, self._bars = self._rows, self._bars, [], []
        if rows or bars:
            self._journal.commit(rows, bars)
        if keep:
            self._keep()
        if (rows or bars) and self._watch is not None:
            self._show(self._watch, rows, bars)

    def _show(self, watch: Watcher, rows: list[Any], bars: list[Bar]) -> None:
        """Show a commit to the watcher, whose failure must not keep its orders from leaving."""
        try:
            watch(rows, bars)
        except Exception as error:  # noqa: BLE001 - it only looks on
            logger.opt(exception=error).error("the screen did not show a step: {}", error)
