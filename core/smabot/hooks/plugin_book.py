"""The book as one plugin may use it: all of it to read, its own rows to apply."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NoReturn

from smabot.domain.book import Book
from smabot.domain.book_view import BookView
from smabot.domain.bot_records import Block, Event
from smabot.domain.records import Bar, Fill, OrderUpdate
from smabot.errors import PluginFault


class PluginBook(Book):
    """Another door to the same state: it shares the Book's attributes, at no cost.

    `apply` takes rows of the records that the plugin declared, its own `Block`, and an `Event`; it
    raises PluginFault for any other, and so does every other way to change something.
    """

    __slots__ = ("_accepted", "_plugin", "_whole")
    _whole: Book
    _plugin: str
    _accepted: frozenset[type]

    def __init__(self, whole: Book, plugin: str, declared: Collection[type]) -> None:
        put = object.__setattr__
        put(self, "_whole", whole)
        put(self, "_plugin", plugin)
        put(self, "_accepted", frozenset((*declared, Block, Event)))
        put(self, "__dict__", whole.__dict__)

    def apply(self, record: Any) -> bool:
        """Take a row of the plugin's own in, as `Book.apply` does. Raises PluginFault for any other."""
        kind = type(record)
        if kind not in self._accepted:
            self._refuse(f"applied a row of {kind.__name__}")
        if kind is Block and record.plugin != self._plugin:
            self._refuse(f"applied a Block in the name of '{record.plugin}'")
        new: bool = self._whole.apply(record)
        return new

    def __setattr__(self, name: str, value: Any) -> None:
        self._refuse(f"set book.{name}")

    def apply_bars(self, bars: Iterable[Bar]) -> NoReturn:
        self._refuse("applied bars")

    def apply_update(self, update: OrderUpdate, fill: Fill | None) -> NoReturn:
        self._refuse("applied an order update")

    def restore(self, records: Iterable[Any]) -> NoReturn:
        self._refuse("restored rows")

    def ignore_blocks_of(self, plugins: Iterable[str]) -> NoReturn:
        self._refuse("ignored blocks")

    def forget_bars(self) -> NoReturn:
        self._refuse("removed bars")

    def find_ended_orders_by(self, find: Any) -> NoReturn:
        self._refuse("changed where orders are found")

    def find_earlier_events_by(self, find: Any) -> NoReturn:
        self._refuse("changed where events are found")

    def drain(self) -> NoReturn:
        self._refuse("took the step's rows")

    def replaying(self) -> NoReturn:
        self._refuse("switched replaying on")

    def _refuse(self, what: str) -> NoReturn:
        raise PluginFault(
            f"plugin '{self._plugin}' {what}: a plugin may apply rows of the records it declares, a "
            "Block in its own name, and an Event"
        )


def _only_read(name: str) -> Callable[[Any], Any]:
    """Return the getter of a dict of the Book's, as a view of it."""
    get = attrgetter(f"_whole.{name}")
    return lambda book: MappingProxyType(get(book))


_DICTS = [
    name
    for name in vars(BookView)
    if not name.startswith("_") and isinstance(getattr(Book(), name), dict)
]
for _name in _DICTS:
    setattr(PluginBook, _name, property(_only_read(_name)))
