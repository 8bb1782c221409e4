"""What makes positions and cash the broker's: adjustments whose sums are true.

Shares that somebody traded by hand are booked at what they were traded for, and cash that comes with
no trade is no profit. Where nothing tells how shares came or went, they did so at their last price,
from or to outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from smabot.book import COLLAR, Book
from smabot.ports import BrokerOrder
from smabot.records import MICRO, ZERO, Adjustment, Mark, money

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


def adjust(
    book: Book,
    mismatches: Sequence[Mismatch],
    cash: Decimal,
    earlier: Callable[[], Sequence[BrokerOrder]],
    now: datetime,
) -> list[list[object]]:
    """Return for each mismatch the records that make the position the broker's.

    ``cash`` is the broker's, and ``earlier`` gives its orders of the last days.
    """
    if not mismatches:
        return []
    seen = [
        each for each in earlier() if each.filled_qty and book.order(each.client_order_id) is None
    ]
    known = {each.symbol: _split(book, each) or _traded(each, seen) for each in mismatches}
    unknown = [each for each in mismatches if known[each.symbol] is None]
    if len(unknown) == 1 and book.account is not None:
        explained = sum((terms.cash for terms in known.values() if terms), ZERO)
        left = cash - book.account.cash - explained
        known[unknown[0].symbol] = _implied(book, unknown[0], left)
    return [_rows(book, each, known[each.symbol] or _moved(book, each), now) for each in mismatches]


def cash_left(book: Book, cash: Decimal, now: datetime) -> tuple[Adjustment, ...]:
    """Return what takes over the cash that nothing explains; nothing below a cent."""
    left = cash - book.account.cash if book.account is not None else ZERO
    if abs(left) < CENT:
        return ()
    reason = "cash taken from the broker: a deposit or withdrawal, a dividend, fees"
    return (Adjustment(now, "", "", ZERO, ZERO, reason, left),)


def split_hint(here: Decimal, there: Decimal) -> str:
    """Say what split would explain a position; empty where none does."""
    ratio = _ratio(here, there)
    if ratio in SPLITS:
        return f"; {ratio.numerator}-for-{ratio.denominator} split?"
    return f"; reverse split {1 / ratio}?" if ratio and 1 / ratio in SPLITS else ""


# -- how shares came or went -----------------------------------------------------------------------


def _split(book: Book, each: Mismatch) -> _Terms | None:
    """The ratio is a split's, and the broker's cost is ours: no share was traded."""
    ratio, cost = _ratio(each.here, each.there), _cost(book, each.symbol)
    if ratio not in SPLITS and (not ratio or 1 / ratio not in SPLITS):
        return None
    if abs(each.there * each.avg_price - cost) > SAME_COST * cost:
        return None
    return _Terms(ZERO, ZERO, "split taken from the broker")


def _traded(each: Mismatch, seen: Sequence[BrokerOrder]) -> _Terms | None:
    """The newest orders of others in the symbol that together make the difference."""
    orders = [order for order in seen if order.symbol == each.symbol]
    shares = cash = ZERO
    for order in sorted(orders, key=lambda o: o.filled_at or o.updated_at, reverse=True):
        qty = order.filled_qty * order.side.sign
        shares += qty
        cash -= qty * (order.filled_avg_price or ZERO)
        if shares == each.change:
            return _trade(each, cash)
    return None


def _implied(book: Book, each: Mismatch, cash: Decimal) -> _Terms | None:
    """The cash that came meanwhile is what the shares are worth by their last price."""
    mark, price = book.price(each.symbol), -cash / each.change
    if mark is None or abs(price - mark) > COLLAR * mark:
        return None
    return _trade(each, cash)


def _trade(each: Mismatch, cash: Decimal) -> _Terms:
    price = (-cash / each.change).quantize(MICRO)
    return _Terms(price, cash, "position taken from the broker: traded by others")


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


def _rows(book: Book, each: Mismatch, terms: _Terms, now: datetime) -> list[object]:
    positions = book.in_symbol(each.symbol)
    holders = {who: position.qty for who, position in positions.items() if position.qty}
    split = not terms.price
    shares = _shares(holders, each.change, each.here if split else None)
    rows: list[object] = [
        Adjustment(
            now, who, each.symbol, qty, terms.price, terms.reason,
            money(terms.cash * qty / each.change) if terms.cash else ZERO,
        )
        for who, qty in shares.items()
    ]  # fmt: skip
    price, bar = book.price(each.symbol), book.last.get(each.symbol)
    if split and price is not None:
        at = now if bar is None else max(now, bar.end + timedelta(microseconds=1))
        price = (price * each.here / each.there).quantize(MICRO)
        rows.append(Mark(each.symbol, price, at, "position"))
    return rows


def _shares(
    holders: Mapping[str, Decimal], change: Decimal, split: Decimal | None
) -> dict[str, Decimal]:
    """Share a change out: by holder, and the rest for nobody; ``split`` shares get each its part."""
    if split:
        return {who: change * held / split for who, held in sorted(holders.items())}
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
