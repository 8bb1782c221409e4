"""The book as one plugin may use it: all of it to read, its own rows to apply."""

from __future__ import annotations

import inspect
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
    """Another door to the same state: each name of the Book's leads there, at next to no cost.

    `apply` takes rows of the records that the plugin declared, its own `Block`, and an `Event`; it
    raises PluginFault for any other, and so does every other way to change something.
    """

    def __init__(self, whole: Book, plugin: str, declared: Collection[type]) -> None:
        own = {name: getattr(whole, name) for name in _READING}
        accepted = frozenset((*declared, Block, Event))
        self.__dict__.update(own, _whole=whole, _plugin=plugin, _accepted=accepted)

    def __getattr__(self, name: str) -> Any:
        if name == "_whole":
            raise AttributeError(name)
        return getattr(self._whole, name)

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
    """Return the getter of a name of the Book's state; its dicts come as views."""
    get = attrgetter(f"_whole.{name}")
    if not isinstance(getattr(Book(), name), dict):
        return get
    return lambda book: MappingProxyType(get(book))


_NAMES = vars(BookView) | vars(Book)
_READING = tuple(
    name
    for name, value in _NAMES.items()
    if inspect.isfunction(value) and not name.startswith("_") and name not in vars(PluginBook)
)
_STATE = [
    name
    for name, value in (vars(Book()) | _NAMES).items()
    if not name.startswith("_") and not inspect.isfunction(value)
]
for _name in _STATE:
    setattr(PluginBook, _name, property(_only_read(_name)))
