"""A plugin that counts how often its `on_fill` is called for each fill, in a declared record."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from smabot.domain.book import Book
from smabot.domain.records import Fill
from smabot.domain.tables import record
from smabot.hooks.specifications import hookimpl

PROBE = "probe"


@record(table="fill_calls", key=("client_order_id", "cumulative_qty"))
class FillCalls:
    """How often a fill was shown to the plugin, over all processes."""

    client_order_id: str
    cumulative_qty: Decimal
    count: int = 0


class FillProbe:
    """Counts what it is shown."""

    @hookimpl
    def records(self) -> list[type]:
        return [FillCalls]

    @hookimpl
    def on_fill(self, fill: Fill, book: Book) -> None:
        key = fill.client_order_id, fill.cumulative_qty
        known = book.row(FillCalls, *key) or FillCalls(*key)
        book.apply(replace(known, count=known.count + 1))
