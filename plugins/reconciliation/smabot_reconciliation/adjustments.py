"""What makes positions and cash the broker's: adjustments whose sums are true.

Shares that somebody traded by hand are booked at what they were traded for, and cash that comes with
no trade is no profit. Where nothing tells how shares came or went, they did so at their last price,
from or to outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from smabot.provider import COLLAR, MICRO, ZERO, Adjustment, Book, Mark, money
from smabot_reconciliation.external_trades import Trade, come_and_gone, newest

SPLITS = {Fraction(n) for n in (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 50)} | {Fraction(3, 2)}
CENT = Decimal("0.01")
SAME_COST = Decimal("0.01")
"""How far a split's cost may be from ours, as a fraction: brokers round."""


@dataclass(frozen=True, slots=True)
class Mismatch:
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
    """How shares came or went: at a price each, with so much cash coming to the account."""

    price: Decimal
    cash: Decimal
    reason: str
    client_order_id: str = ""


def adjust(
    book: Book,
    mismatches: Sequence[Mismatch],
    cash: Decimal,
    trades: Sequence[Trade],
    now: datetime,
) -> list[list[object]]:
    """Return for each mismatch the records that make the position the broker's.

    ``cash`` is the broker's, and ``trades`` are those of others, oldest first.
    """
    told = {each.symbol: _told(book, each, trades, now) for each in mismatches}
    unknown = [each for each in mismatches if told[each.symbol] is None]
    implied = None
    if len(unknown) == 1 and book.account is not None:
        rows = [row for rows in told.values() for row in rows or ()]
        explained = sum((row.cash for row in rows if isinstance(row, Adjustment)), ZERO)
        implied = _implied(book, unknown[0], cash - book.account.cash - explained)
    return [
        told[each.symbol]
        or _rows(book, each.symbol, each.change, implied or _moved(book, each), now)
        for each in mismatches
    ]


def round_trips(
    trades: Sequence[Trade], mismatches: Sequence[Mismatch], now: datetime
) -> tuple[Adjustment, ...]:
    """Return what takes over trades of others that left no share: profit or loss of nobody's."""
    changes = {each.symbol: each.change for each in mismatches}
    return tuple(
        _row("", symbol, trade.qty, _trade(trade.qty, trade.cash, trade), trade.cash, now)
        for symbol in sorted({trade.symbol for trade in trades})
        for trade in come_and_gone(
            [each for each in trades if each.symbol == symbol], changes.get(symbol, ZERO)
        )
    )


def cash_differs(book: Book, cash: Decimal) -> bool:
    """Whether the broker's cash is another than the book's, by a cent or more."""
    return book.account is not None and abs(cash - book.account.cash) >= CENT


def cash_left(book: Book, cash: Decimal, now: datetime) -> tuple[Adjustment, ...]:
    """Return what takes over the cash that nothing explains; nothing below a cent."""
    if book.account is None or not cash_differs(book, cash):
        return ()
    left = cash - book.account.cash
    reason = "cash taken from the broker: a deposit or withdrawal, a dividend, fees"
    return (Adjustment(now, "", "", ZERO, ZERO, reason, left),)


def split_hint(here: Decimal, there: Decimal) -> str:
    """Say what split would explain a position; empty where none does."""
    ratio = _ratio(here, there)
    if ratio in SPLITS:
        return f"; {ratio.numerator}-for-{ratio.denominator} split?"
    return f"; reverse split {1 / ratio}?" if ratio and 1 / ratio in SPLITS else ""


# -- how shares came or went -----------------------------------------------------------------------


def _told(
    book: Book, each: Mismatch, trades: Sequence[Trade], now: datetime
) -> list[object] | None:
    """A split, or orders of others that make the difference; None where neither does."""
    if _is_split(book, each):
        return _split(book, each, now)
    made = newest([trade for trade in trades if trade.symbol == each.symbol], each.change)
    if made is None:
        return None
    after, rows = book.copy(), list[object]()
    for trade in made:
        of_it = _rows(after, each.symbol, trade.qty, _trade(trade.qty, trade.cash, trade), now)
        for row in of_it:
            after.apply(row)
        rows += of_it
    return rows


def _is_split(book: Book, each: Mismatch) -> bool:
    """The ratio is a split's, and the broker's cost is ours: no share was traded."""
    ratio, cost = _ratio(each.here, each.there), _cost(book, each.symbol)
    if ratio not in SPLITS and (not ratio or 1 / ratio not in SPLITS):
        return False
    return abs(each.there * each.avg_price - cost) <= SAME_COST * cost


def _implied(book: Book, each: Mismatch, cash: Decimal) -> _Terms | None:
    """The cash that came meanwhile is what the shares are worth by their last price."""
    mark, price = book.price(each.symbol), -cash / each.change
    if mark is None or abs(price - mark) > COLLAR * mark:
        return None
    return _trade(each.change, cash)


def _trade(qty: Decimal, cash: Decimal, of: Trade | None = None) -> _Terms:
    reason = "position taken from the broker: traded by others"
    return _Terms((-cash / qty).quantize(MICRO), cash, reason, of.client_order_id if of else "")


def _moved(book: Book, each: Mismatch) -> _Terms:
    """Nobody knows how: they came or went at their last price, and nothing was earned by that.

    Shares that were sold and never held here come at what they were sold for.
    """
    if each.here < 0 < each.change:
        price = _cost(book, each.symbol) / -each.here
    else:
        price = book.price(each.symbol) or each.avg_price or _cost(book, each.symbol) / each.here
    return _Terms(price.quantize(MICRO), ZERO, "position taken from the broker")


# -- whose shares they are -------------------------------------------------------------------------


def _rows(book: Book, symbol: str, change: Decimal, terms: _Terms, now: datetime) -> list[object]:
    """Share a change out by holder, and its cash with it: nothing is lost by rounding."""
    rows, left, cash = list[object](), change, terms.cash
    for who, qty in _shares(_holders(book, symbol), change).items():
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


def _split(book: Book, each: Mismatch, now: datetime) -> list[object]:
    """Each holder gets its part, for nothing, and the last price goes along."""
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


def _shares(holders: Mapping[str, Decimal], change: Decimal) -> dict[str, Decimal]:
    """Share a change out: by holder, and the rest for nobody."""
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
