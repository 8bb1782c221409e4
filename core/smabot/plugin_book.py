"""The book as one plugin may use it: all of it to read, its own rows to apply."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NoReturn

from smabot.book import Book
from smabot.errors import PluginFault
from smabot.records import Bar, Block, Event


class PluginBook(Book):
    """Another door to the same state. Reading costs what it costs in the Book itself.

    `apply` takes rows of the records that the plugin declared, its own `Block`, and an `Event`; it
    raises PluginFault for any other, and so does every other way to change something.
    """

    __slots__ = ("_accepted", "_plugin", "_whole")

    _accepted: frozenset[type]
    _plugin: str
    _whole: Book

    def __init__(self, whole: Book, plugin: str, declared: Collection[type]) -> None:
        fill = object.__setattr__
        fill(self, "__dict__", whole.__dict__)
        fill(self, "_whole", whole)
        fill(self, "_plugin", plugin)
        fill(self, "_accepted", frozenset((*declared, Block, Event)))

    def apply(self, record: Any) -> bool:
        """Take a row of the plugin's own in, as `Book.apply` does. Raises PluginFault for any other."""
        kind = type(record)
        if kind not in self._accepted:
            self._refuse(f"applied a row of {kind.__name__}")
        if kind is Block and record.plugin != self._plugin:
            self._refuse(f"applied a Block in the name of '{record.plugin}'")
        return self._whole.apply(record)

    def __setattr__(self, name: str, value: Any) -> None:
        self._refuse(f"set book.{name}")

    def apply_bars(self, bars: Iterable[Bar]) -> NoReturn:
        self._refuse("applied bars")

    def restore(self, records: Iterable[Any]) -> NoReturn:
        self._refuse("restored rows")

    def drain(self) -> NoReturn:
        self._refuse("took the step's rows")

    def replaying(self) -> NoReturn:
        self._refuse("switched replaying on")

    def _refuse(self, what: str) -> NoReturn:
        raise PluginFault(
            f"plugin '{self._plugin}' {what}: a plugin may apply rows of the records it declares, a "
            "Block in its own name, and an Event"
        )
