"""In which shares a number or a price counts: those of before a split, or of after it.

Computed anew, without the bot's own functions: a fault in those must not hide from the judge, nor move the market.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from smabot.domain.corporate_actions import ActionKind, CorporateAction
from smabot.domain.records import Bar
from smabot.testing.simulation.databases import Database


def split_of(symbol: str, new: int, old: int, ex_date: date) -> CorporateAction:
    """Return a split into so many new shares of so many old ones."""
    name = f"{symbol} {ex_date} {ActionKind.SPLIT}"
    return CorporateAction(name, symbol, ActionKind.SPLIT, ex_date, Decimal(new), Decimal(old))


def followed_splits(journal: Database) -> list[CorporateAction]:
    """Return the splits that the bot has followed, by their ex-dates."""
    splits = [
        action
        for action in journal.rows(CorporateAction)
        if action.kind is ActionKind.SPLIT and action.applied_at is not None
    ]
    return sorted(splits, key=lambda each: each.ex_date)


def unfollowed_split(journal: Database, symbol: str, now: datetime) -> str:
    """Return a split whose ex-date is there, and that the broker has not followed by what is committed; empty: none."""
    waiting = (
        action.text
        for action in journal.rows(CorporateAction)
        if action.symbol == symbol and action.confirmed_at is None and now >= action.effective_at
    )
    return next(waiting, "")


def bar_in_new_shares(bar: Bar, splits: Sequence[CorporateAction]) -> Bar:
    """Return a bar of before some splits in shares of after them; a later one as it is."""
    for split in splits:
        if split.symbol == bar.symbol and bar.time < split.effective_at:
            bar = traded_in_new_shares(bar, split)
    return bar


def traded_in_new_shares(bar: Bar, split: CorporateAction) -> Bar:
    """Return what a bar is after a split: prices by its ratio lower, and more shares."""
    ratio = float(split.ratio)
    opened, high, low, close = (
        round(p / ratio, 4) for p in (bar.open, bar.high, bar.low, bar.close)
    )
    return Bar(bar.symbol, bar.time, opened, high, low, close, bar.volume * ratio)
