"""An operator's halt: a block of all entries, over restarts too, until it is lifted."""

from __future__ import annotations

from smabot.domain.book import Book
from smabot.domain.bot_records import HALT, Block, Event
from smabot.domain.frozen_classes import replace


def halt(book: Book, reason: str) -> None:
    """Let no entry leave from now on; exits still pass. A halt that holds keeps its row."""
    if book.halted == reason:
        return
    book.apply(Block(HALT, "entries", reason, book.now))
    book.apply(Event(book.now, "halt", HALT, reason, grave=True))


def resume(book: Book) -> None:
    """Let entries leave again."""
    if not book.halted:
        return
    book.apply(replace(book.blocks[HALT, "entries"], until=book.now))
    book.apply(Event(book.now, "resume", HALT, "entries are allowed again"))
