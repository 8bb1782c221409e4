"""Adjustments that make positions and cash equal to the broker's, with true profit and loss.

Shares that others traded are booked at their price, and cash without a trade is no profit. Where
nothing tells how shares came or went, they are booked at their last price, as an external transfer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from smabot.provider import COLLAR, MICRO, ZERO, Adjustment, Book, Mark, cash_differs, money
from smabot_reconciliation.external_trades import (
    ExternalTrade,
    newest_trades_making,
    trades_without_change,
)

SPLITS = {Fraction(n) for n in (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 50)} | {Fraction(3, 2)}
SAME_COST = Decimal("0.01")
"""How far a split's cost may be from ours, as a fraction: brokers round."""


@dataclass(frozen=True, slots=True)
class PositionMismatch:
    """A position that differs: signed shares here and there, and the broker's average price.

    ``known``: it was held here at some time."""

    symbol: str
    here: Decimal
    there: Decimal
    avg_price: Decimal
    known: bool

    @property
    def change(self) -> Decimal:
        return self.there - self.here


@dataclass(frozen=True, slots=True)
class _Terms:
    """How shares came or went: at which price, and with how much cash."""

    price: Decimal
    cash: Decimal
    reason: str
    client_order_id: str = ""


def position_adjustments(
    book: Book,
    mismatches: Sequence[PositionMismatch],
    cash: Decimal,
    trades: Sequence[ExternalTrade],
    now: datetime,
) -> list[list[object]]:
    """Return for each mismatch the records that make the position the broker's.

    ``cash`` is the broker's, and ``trades`` are those of others, oldest first.
    """
    explained = {each.symbol: _explained(book, each, trades, now) for each in mismatches}
    unknown = [each for each in mismatches if explained[each.symbol] is None]
    implied = None
    if len(unknown) == 1 and book.account is not None:
        rows = [row for rows in explained.values() for row in rows or ()]
        explained_cash = sum((row.cash for row in rows if isinstance(row, Adjustment)), ZERO)
        implied = _trade_by_cash(book, unknown[0], cash - book.account.cash - explained_cash)
    return [
        explained[each.symbol]
        or _rows_by_holder(book, each.symbol, each.change, implied or _transfer(book, each), now)
        for each in mismatches
    ]


def fraction_adjustments(
    book: Book, symbol: str, change: Decimal, at: datetime
) -> Sequence[object]:
    """Return the adjustments for the fraction of a share that a split left, and that the broker pays in cash.

    The cash comes by itself, later.
    """
    price = book.price(symbol) or ZERO
    terms = _Terms(price, ZERO, "fraction of a share after a split, paid in cash")
    return _rows_by_holder(book, symbol, change, terms, at)


def round_trip_adjustments(
    trades: Sequence[ExternalTrade], mismatches: Sequence[PositionMismatch], now: datetime
) -> tuple[Adjustment, ...]:
    """Return the adjustments for external trades that left no share: their profit or loss is no strategy's."""
    changes = {each.symbol: each.change for each in mismatches}
    return tuple(
        _row("", symbol, trade.qty, _external_trade(trade.qty, trade.cash, trade), trade.cash, now)
        for symbol in sorted({trade.symbol for trade in trades})
        for trade in trades_without_change(
            [each for each in trades if each.symbol == symbol], changes.get(symbol, ZERO)
        )
    )


def cash_adjustments(book: Book, cash: Decimal, now: datetime) -> tuple[Adjustment, ...]:
    """Return the adjustment for cash that nothing explains; none below a cent."""
    if book.account is None or not cash_differs(book, cash):
        return ()
    left = cash - book.account.cash
    reason = "cash taken from the broker: a deposit or withdrawal, a dividend, fees"
    return (Adjustment(now, "", "", ZERO, ZERO, reason, left),)


def split_hint(here: Decimal, there: Decimal) -> str:
    """Return the split that would explain a position, in words; empty where none does."""
    ratio = _ratio(here, there)
    if ratio in SPLITS:
        return f"; {ratio.numerator}-for-{ratio.denominator} split?"
    return f"; reverse split {1 / ratio}?" if ratio and 1 / ratio in SPLITS else ""


# -- how shares came or went -----------------------------------------------------------------------


def _explained(
    book: Book, each: PositionMismatch, trades: Sequence[ExternalTrade], now: datetime
) -> list[object] | None:
    """Return the records of a split, or of external orders that make the difference; None without either."""
    if _is_split(book, each):
        return _split_rows(book, each, now)
    made = newest_trades_making(
        [trade for trade in trades if trade.symbol == each.symbol], each.change
    )
    if made is None:
        return None
    after, rows = book.copy(), list[object]()
    for trade in made:
        of_it = _rows_by_holder(
            after, each.symbol, trade.qty, _external_trade(trade.qty, trade.cash, trade), now
        )
        for row in of_it:
            after.apply(row)
        rows += of_it
    return rows


def _is_split(book: Book, each: PositionMismatch) -> bool:
    """Whether the ratio is a split's and the broker's cost is ours: no share was traded."""
    ratio, cost = _ratio(each.here, each.there), _cost(book, each.symbol)
    if ratio not in SPLITS and (not ratio or 1 / ratio not in SPLITS):
        return False
    return abs(each.there * each.avg_price - cost) <= SAME_COST * cost


def _trade_by_cash(book: Book, each: PositionMismatch, cash: Decimal) -> _Terms | None:
    """Return a trade where the change of cash is what the shares are worth by their last price."""
    mark, price = book.price(each.symbol), -cash / each.change
    if mark is None or abs(price - mark) > COLLAR * mark:
        return None
    return _external_trade(each.change, cash)


def _external_trade(qty: Decimal, cash: Decimal, of: ExternalTrade | None = None) -> _Terms:
    reason = "position taken from the broker: traded by others"
    return _Terms((-cash / qty).quantize(MICRO), cash, reason, of.client_order_id if of else "")


def _transfer(book: Book, each: PositionMismatch) -> _Terms:
    """Return an external transfer at the last price, without profit or loss.

    Shares that were sold and never held here come at their sale price.
    """
    if each.here < 0 < each.change:
        price = _cost(book, each.symbol) / -each.here
    else:
        price = book.price(each.symbol) or each.avg_price or _cost(book, each.symbol) / each.here
    return _Terms(price.quantize(MICRO), ZERO, "position taken from the broker")


# -- whose shares they are -------------------------------------------------------------------------


def _rows_by_holder(
    book: Book, symbol: str, change: Decimal, terms: _Terms, now: datetime
) -> list[object]:
    """Split a change by holder, and its cash with it: nothing is lost by rounding."""
    rows, left, cash = list[object](), change, terms.cash
    for who, qty in _split_by_holder(_holders(book, symbol), change).items():
        part = money(cash * qty / left)
        rows.append(_row(who, symbol, qty, terms, part, now))
        left, cash = left - qty, cash - part
    return rows


def _row(
    who: str, symbol: str, qty: Decimal, terms: _Terms, cash: Decimal, now: datetime
) -> Adjustment:
    return Adjustment(
        now, who, symbol, qty, terms.price, terms.reason, cash,
        client_order_id=terms.client_order_id,
    )  # fmt: skip


def _split_rows(book: Book, each: PositionMismatch, now: datetime) -> list[object]:
    """Return the split's records: each holder gets its part at no cost, and the last price is divided."""
    rows: list[object] = [
        Adjustment(
            now, who, each.symbol, each.change * held / each.here, ZERO,
            "split taken from the broker",
        )
        for who, held in sorted(_holders(book, each.symbol).items())
    ]  # fmt: skip
    price, bar = book.price(each.symbol), book.last.get(each.symbol)
    if price is not None:
        at = now if bar is None else max(now, bar.end + timedelta(microseconds=1))
        price = (price * each.here / each.there).quantize(MICRO)
        rows.append(Mark(each.symbol, price, at, "position"))
    return rows


def _holders(book: Book, symbol: str) -> dict[str, Decimal]:
    return {who: position.qty for who, position in book.in_symbol(symbol).items() if position.qty}


def _split_by_holder(holders: Mapping[str, Decimal], change: Decimal) -> dict[str, Decimal]:
    """Split a change by holder; the rest belongs to no strategy."""
    shares: dict[str, Decimal] = {}
    left = change
    for who, held in sorted(holders.items()):
        part = max(left, -held) if left < 0 < held else ZERO
        if left > 0 and len(holders) == 1:
            part = left
        if part:
            shares[who] = part
            left -= part
    if left:
        shares[""] = shares.get("", ZERO) + left
    return shares


def _cost(book: Book, symbol: str) -> Decimal:
    return sum((position.cost for position in book.in_symbol(symbol).values()), ZERO)


def _ratio(here: Decimal, there: Decimal) -> Fraction | None:
    return Fraction(there) / Fraction(here) if here > 0 and there > 0 else None
