"""Buys after rising closes in a row, sells after falling ones."""

from __future__ import annotations

from collections import deque
from datetime import date
from itertools import pairwise

import click
from pydantic import Field

from smabot.api import Bar, Book, Order, Settings, Signal, Status, hookimpl, record


class StreakSettings(Settings):
    bars: int = Field(3, gt=0, le=1000)
    """Closes in a row that must rise, or fall."""
    max_losses: int = Field(2, gt=0)
    """Losing trades of a symbol after which it rests for the day."""


@record(table="streak_losses", key=("symbol",))
class Losses:
    symbol: str
    day: date
    count: int = 0


class Streak:
    def __init__(self, settings: StreakSettings) -> None:
        self.settings = settings
        self.closes: dict[str, deque[float]] = {}

    @hookimpl
    def records(self) -> list[type]:
        return [Losses]

    @hookimpl
    def lookback(self) -> int:
        return self.settings.bars + 1

    @hookimpl
    def on_bar(self, bar: Bar, book: Book) -> Signal | None:
        closes = self.closes.setdefault(bar.symbol, deque(maxlen=self.settings.bars + 1))
        closes.append(bar.close)
        if len(closes) <= self.settings.bars:
            return None
        if all(after < before for before, after in pairwise(closes)):
            return Signal.flat(bar, "falling")
        if all(after > before for before, after in pairwise(closes)) and not self.rests(bar, book):
            return Signal.long(bar, "rising")
        return None

    @hookimpl
    def on_order(self, order: Order, book: Book) -> None:
        if order.strategy == "streak" and order.status is Status.FILLED and order.realized_pnl < 0:
            today = losses(order.symbol, book)
            book.apply(Losses(order.symbol, book.trading_date, today + 1))

    @hookimpl
    def describe(self, book: Book) -> tuple[str, str]:
        return "streak", f"{len(book.table(Losses))} symbols have lost"

    @hookimpl
    def register_commands(self, cli: click.Group) -> None:
        cli.add_command(streak)

    def rests(self, bar: Bar, book: Book) -> bool:
        return losses(bar.symbol, book) >= self.settings.max_losses


def losses(symbol: str, book: Book) -> int:
    """Return how many trades of a symbol lost today."""
    row = book.row(Losses, symbol)
    return row.count if row and row.day == book.trading_date else 0


@click.command()
@click.pass_obj
def streak(app) -> None:
    """Show the losing trades of each symbol."""
    with app.rows() as rows:
        found = rows.rows(Losses)
    app.emit({"losses": found}, [f"{r.symbol}: {r.count} on {r.day}" for r in found] or "none")
