"""What a bar of prices does to an order: pure functions of the two.

A bar says the open, then that its low and high were reached in an unknown order, then the close.
Where that leaves a choice, the order gets the worse price.

A bar's prices are mid prices. A purchase happens at the ask, half a spread above them, a sale at the bid, half
a spread below: market orders get that price, limits are compared with it. Stop prices are compared with the
bar's prices themselves, as trades trigger them. Slippage makes a fill's price worse; it changes nothing about
whether an order fills.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal

from smabot.provider import MINUTE, ZERO, Bar, Side
from smabot_exchange.matching.orders import ExchangeOrder, OrderType, TimeInForce

_CENT = Decimal("0.01")
_HUNDREDTH_CENT = Decimal("0.0001")
_HUNDRED = Decimal(100)
_ONE = Decimal(1)

STOPS = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)
_RESTING = (TimeInForce.DAY, TimeInForce.GTC)


def fill_price(order: ExchangeOrder, bar: Bar, half_spread: Decimal = ZERO) -> Decimal | None:
    """Return the price at which a bar fills a working order, or None when it does not.

    A stop order must have been triggered before the bar.
    """
    if order.time_in_force not in _RESTING:
        return _price_at_once(order, bar, half_spread)
    side, limit = order.side, order.limit_price
    opening = _quoted(bar.open, side, half_spread)
    if limit is None:
        return opening
    if side is Side.BUY:
        if opening <= limit:
            return opening
        return limit if _quoted(bar.low, side, half_spread) < limit else None
    if opening >= limit:
        return opening
    return limit if _quoted(bar.high, side, half_spread) > limit else None


def _price_at_once(order: ExchangeOrder, bar: Bar, half_spread: Decimal) -> Decimal | None:
    """The same of an order that has one moment: the open, the session's open or its close."""
    if order.time_in_force is TimeInForce.OPG and bar.time != order.opens_at:
        return None
    mid = bar.open
    if order.time_in_force is TimeInForce.CLS:
        if bar.time + MINUTE != order.expires_at:
            return None
        mid = bar.close
    price = _quoted(mid, order.side, half_spread)
    limit = order.limit_price
    return price if limit is None or (limit - price) * order.side.sign >= 0 else None


def bid_or_ask(mid: Decimal, side: Side, half_spread: Decimal) -> Decimal:
    """Return the price that a side gets at a mid price: the ask for a purchase, the bid for a sale.

    A bid is never below the smallest tick, but where the mid price is.
    """
    if not half_spread:
        return mid
    if side is Side.BUY:
        return mid + half_spread
    return max(mid - half_spread, min(mid, _HUNDREDTH_CENT))


def slipped(
    price: Decimal, order: ExchangeOrder, bar: Bar, half_spread: Decimal, slippage: Decimal
) -> Decimal:
    """Return a fill's price with slippage, which is against the order.

    It never takes the price beyond the order's limit, nor beyond the worst quote of the bar: the ask at its high
    for a purchase, the bid at its low for a sale.
    """
    buys = order.side is Side.BUY
    worst = _quoted(bar.high if buys else bar.low, order.side, half_spread)
    bounds = (worst,) if order.limit_price is None else (worst, order.limit_price)
    if buys:
        return max(price, min(price + slippage, *bounds))
    return min(price, max(price - slippage, *bounds))


def _quoted(mid: float, side: Side, half_spread: Decimal) -> Decimal:
    return bid_or_ask(Decimal(repr(mid)), side, half_spread)


def apply_bar_to_stop(
    order: ExchangeOrder, bar: Bar, half_spread: Decimal = ZERO
) -> tuple[ExchangeOrder, Decimal | None]:
    """Return a stop order after a bar: triggered or not, its trailing stop moved; and a fill's price.

    A stop price is reached when it is touched, at the open where the bar opens beyond it. From
    then on the order is a market order, or a limit order. A trailing stop follows the open before
    the bar's other prices are compared with it, and the bar's best price before its close is.
    """
    opening, towards = Decimal(repr(bar.open)), order.side.sign
    order = _trailed(order, opening)
    if _reached(order, opening):
        order = replace(order, triggered_at=bar.time)
        return order, fill_price(order, bar, half_spread)
    high, low = Decimal(repr(bar.high)), Decimal(repr(bar.low))
    if not _reached(order, high if towards > 0 else low):
        order = _trailed(order, low if towards > 0 else high)
        if order.type is not OrderType.TRAILING_STOP or not _reached(
            order, Decimal(repr(bar.close))
        ):
            return order, None
    order = replace(order, triggered_at=bar.time)
    stop, limit = order.stop_price, order.limit_price
    assert stop is not None
    price = bid_or_ask(stop, order.side, half_spread)
    return order, price if limit is None or (limit - price) * towards >= 0 else None


def would_trigger(order: ExchangeOrder, bar: Bar) -> bool:
    """Tell whether a bar reaches a stop order's price."""
    return apply_bar_to_stop(order, bar)[0].triggered_at is not None


def trailing_stop(
    side: Side, hwm: Decimal, price: Decimal | None, percent: Decimal | None
) -> Decimal:
    """Return the stop price at a distance from the best price: US dollars, or percent of it."""
    distance = price if price is not None else hwm * (percent or 0) / _HUNDRED
    stop = hwm + distance * side.sign
    return stop.quantize(_CENT if stop >= 1 else _HUNDREDTH_CENT, ROUND_HALF_UP)


def ask(last_price: Decimal, half_spread: Decimal = ZERO) -> Decimal:
    """Return the price asked after a last price: half a spread above it, without a spread one tick."""
    return last_price + (half_spread or (_CENT if last_price > _ONE else _HUNDREDTH_CENT))


def _trailed(order: ExchangeOrder, price: Decimal) -> ExchangeOrder:
    """Return a trailing stop order with its stop moved along with a better price."""
    if order.hwm is None or (price - order.hwm) * order.side.sign >= 0:
        return order
    stop = trailing_stop(order.side, price, order.trail_price, order.trail_percent)
    return replace(order, hwm=price, stop_price=stop)


def _reached(order: ExchangeOrder, price: Decimal) -> bool:
    assert order.stop_price is not None
    return (price - order.stop_price) * order.side.sign >= 0
