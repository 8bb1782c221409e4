"""Rows and bars of every type that a column may have, made from a seed, and a plugin that declares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from smabot.domain.bot_records import Event
from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import Side, Status
from smabot.domain.records import Bar, Position
from smabot.domain.tables import record
from smabot.hooks.specifications import hookimpl
from smabot.testing.sample_records import OPEN, fill, order


@record(table="smabot_trial", key=("name", "number"))
class TrialRow:
    """A row with a column of each type."""

    name: str
    number: int
    price: Decimal
    ratio: float
    on: bool
    at: datetime
    day: date
    side: Side
    note: str | None = None
    amount: Decimal | None = None
    seen: datetime | None = None


class TrialRows:
    """The plugin that declares them."""

    @hookimpl
    def records(self) -> list[type]:
        return [TrialRow]


@dataclass(frozen=True, slots=True)
class TrialCommit:
    """What one commit writes."""

    rows: tuple[Any, ...]
    bars: tuple[Bar, ...]


TEXTS = (
    "",
    "plain",
    'it\'s "quoted"; DROP TABLE x',
    "two\nlines\tand a tab",
    "Zürich €5 — 株式",
    " pad ",
)
AMOUNTS = ("0", "0.000001", "-12.5", "123456789012.123456", "1E+3", "0.10")


def trial_commits(seed: int, count: int) -> list[TrialCommit]:
    """Return commits as a bot makes them: new rows, rows again with other values, a minute's bars."""
    chance = Random(seed)  # noqa: S311 - the same each time
    return [_commit(chance, number) for number in range(count)]


def _commit(chance: Random, number: int) -> TrialCommit:
    time = OPEN + number * MINUTE
    micro = time + timedelta(microseconds=chance.randrange(1_000_000))
    symbol = chance.choice(("SPY", "QQQ", "BRK.B"))
    price = Decimal(chance.choice(AMOUNTS))
    rows: Sequence[Any] = (
        TrialRow(
            chance.choice(TEXTS), chance.randrange(5), price, chance.uniform(-1e9, 1e9),
            chance.random() < 0.5, micro, date(2026, 3, 1 + number % 28), chance.choice(list(Side)),
            chance.choice((None, *TEXTS)), chance.choice((None, price)), chance.choice((None, micro)),
        ),
        order(
            symbol=symbol, bar_time=OPEN + chance.randrange(1 + number) * MINUTE, created_at=time,
            status=chance.choice(list(Status)), reason=chance.choice(TEXTS), updated_at=micro,
        ),
        fill(symbol=symbol, time=time, price=Decimal("100.25"), realized_pnl=price),
        Position("test", symbol, Decimal(number), price, Decimal("100.25"), price, micro),
        Event(micro, "halt", str(number), chance.choice(TEXTS), chance.random() < 0.5),
    )  # fmt: skip
    bars = tuple(
        Bar(each, time, 100.1, 100.9, 99.7, chance.uniform(99, 101), 1000.0, None, None)
        for each in ("BRK.B", "QQQ", "SPY")
        if chance.random() < 0.8
    )
    return TrialCommit(tuple(rows), bars)
