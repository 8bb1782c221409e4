"""The corporate actions that the book knows: in which shares prices count, and which symbols are held back.

A split of a symbol is in one of four states:

1. announced: its ex-date is to come. From the close before it on, the broker may show either number of shares.
2. due: its ex-date has begun, and the book has not followed.
3. followed: the book has, and the broker has not been seen to.
4. over: the broker has, too.

In 2 and 3 nothing is bought or sold in the symbol, and no difference by just that split is a conflict.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from smabot.domain.calendar import Calendar
from smabot.domain.corporate_actions import ActionKind, CorporateAction, whole_shares
from smabot.domain.frozen_classes import replace
from smabot.domain.records import Bar, Mark, money

PRICE_DIGITS = 6
"""Of a price in new shares: a millionth of a dollar, as all money."""
ROUNDING = Decimal("1E-6")
"""Numbers of shares that are nearer to each other are the same."""
NIGHT = timedelta(hours=12)
"""Where no session is known before an ex-date: so long before it both numbers of shares are good."""


class KnownSplits:
    """Corporate actions by their ids, and what follows of those that are not over."""

    def __init__(self) -> None:
        self.all: dict[str, CorporateAction] = {}
        self._applied: dict[str, list[CorporateAction]] = {}
        """Splits that the book has followed, by symbol: prices of before them are adjusted."""
        self._open: dict[str, CorporateAction] = {}

    def __bool__(self) -> bool:
        """Whether prices are adjusted at all."""
        return bool(self._applied)

    def put(self, action: CorporateAction) -> bool:
        """Keep an action as it is now; returns whether the book follows it just now."""
        before = self.all.get(action.action_id)
        self.all[action.action_id] = action
        if action.confirmed_at is None:
            self._open[action.action_id] = action
        else:
            self._open.pop(action.action_id, None)
        if action.kind is not ActionKind.SPLIT or action.applied_at is None:
            return False
        if before is not None and before.applied_at is not None:
            return False
        self._applied.setdefault(action.symbol, []).append(action)
        return True

    def copy(self) -> KnownSplits:
        """Return the same, to be changed by itself."""
        copy = KnownSplits()
        for action in self.all.values():
            copy.put(action)
        return copy

    def open(self) -> list[CorporateAction]:
        """Return those that are not over, by their ex-dates."""
        return sorted(self._open.values(), key=lambda each: (each.ex_date, each.action_id))

    def due(self, now: datetime) -> list[CorporateAction]:
        """Return those that the book has to follow."""
        return [
            each for each in self.open() if each.applied_at is None and now >= each.effective_at
        ]

    def unconfirmed(self, symbol: str, now: datetime, calendar: Calendar) -> list[CorporateAction]:
        """Return the splits of a symbol of which the broker may show the number of shares before or after it,
        by their ex-dates."""
        return [
            each
            for each in self.open()
            if each.symbol == symbol
            and each.kind is ActionKind.SPLIT
            and now >= close_before(each, calendar)
        ]

    def is_awaited(self, now: datetime) -> bool:
        """Whether the broker has not followed what has begun."""
        return any(now >= each.effective_at for each in self._open.values())

    def holds(self, symbol: str, now: datetime) -> str:
        """Return why nothing is bought or sold in a symbol; empty where nothing keeps from it."""
        for each in self._open.values():
            if symbol not in (each.symbol, each.new_symbol) or now < each.effective_at:
                continue
            what = "the" if each.kind is ActionKind.SPLIT else "that"
            return f"the broker has not followed {what} {each.text}"
        return ""

    def renaming(self, symbol: str, now: datetime, calendar: Calendar) -> CorporateAction | None:
        """Return a change of name of which the broker may show a symbol's shares under either name."""
        for each in self._open.values():
            if (
                each.kind is ActionKind.RENAME
                and symbol in (each.symbol, each.new_symbol)
                and now >= close_before(each, calendar)
            ):
                return each
        return None

    def cancels(self, symbol: str, now: datetime, calendar: Calendar) -> str:
        """Return why the open orders of a symbol are to be canceled: they are in shares of before a split."""
        actions = self.unconfirmed(symbol, now, calendar)
        return f"it is in shares of before the {actions[0].text}" if actions else ""

    def followed_since(self, symbol: str, time: datetime) -> CorporateAction | None:
        """Return a split that the book has followed and that is later than a time."""
        applied = self._applied.get(symbol, ())
        return next((each for each in applied if time < each.effective_at), None)

    # -- prices ------------------------------------------------------------------------------------

    def bar_today(self, bar: Bar) -> Bar:
        """Return a bar in today's shares: prices divided, volume multiplied."""
        for each in self._applied.get(bar.symbol, ()):
            if bar.time < each.effective_at:
                bar = split_bar(bar, each)
        return bar

    def mark_today(self, mark: Mark) -> Mark:
        """Return a price that was asked for in today's shares."""
        for each in self._applied.get(mark.symbol, ()):
            if mark.time < each.effective_at:
                mark = split_mark(mark, each)
        return mark


def split_bar(bar: Bar, action: CorporateAction) -> Bar:
    """Return a bar of before a split in shares of after it."""
    ratio = float(action.ratio)

    def price(before: float) -> float:
        return round(before / ratio, PRICE_DIGITS)

    return bar._replace(
        open=price(bar.open),
        high=price(bar.high),
        low=price(bar.low),
        close=price(bar.close),
        volume=bar.volume * ratio,
        vwap=None if bar.vwap is None else price(bar.vwap),
    )


def split_mark(mark: Mark, action: CorporateAction) -> Mark:
    """Return a price of before a split by share of after it."""
    return replace(mark, price=split_price(mark.price, action))


def split_price(price: Decimal, action: CorporateAction) -> Decimal:
    """Return what a share of after a split costs, by the price of one before it, US dollars."""
    return money(price * action.old_shares / action.new_shares)


def close_before(action: CorporateAction, calendar: Calendar) -> datetime:
    """Return when the last session before an ex-date closes, UTC."""
    session = calendar.last_before(action.ex_date)
    return action.effective_at - NIGHT if session is None else session.close


def same_shares(one: Decimal, other: Decimal) -> bool:
    """Whether two numbers of shares differ by rounding alone: what each strategy holds is rounded by itself."""
    return abs(one - other) < ROUNDING


def on_other_side(actions: Iterable[CorporateAction], here: Decimal, there: Decimal) -> bool:
    """Whether a broker shows the shares held here, of the other side of splits: oldest first, of one symbol.

    It may not have followed the newest of those that the book follows, or have followed some that the book has
    yet to. A broker that keeps no fractions pays them in cash.
    """
    seen, ahead = [there], here
    for action in actions:
        if action.applied_at is not None:
            seen = [there, *map(action.new_qty, seen)]
            continue
        ahead = action.new_qty(ahead)
        if same_shares(ahead, there) or there == whole_shares(ahead):
            return True
    return there == whole_shares(here) or any(same_shares(qty, here) for qty in seen)
