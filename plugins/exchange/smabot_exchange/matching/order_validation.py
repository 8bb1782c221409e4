"""What an order must satisfy whatever the account holds; refusals coded and worded as Alpaca's.

Sources: docs.alpaca.markets/us/docs/orders-at-alpaca and working-with-orders, alpaca.markets/learn
(how-to-fix-common-trading-api-errors-at-alpaca), and answers of the paper API that people published.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal

from smabot.provider import ZERO, Session, Side
from smabot_exchange.matching.account import ExchangePosition
from smabot_exchange.matching.fill_prices import STOPS
from smabot_exchange.matching.orders import (
    DUPLICATE_ID,
    LONGEST_CLIENT_ID,
    SMALLEST_FRACTION,
    OrderClass,
    OrderRequest,
    OrderType,
    RequestRefused,
    StopLoss,
    TakeProfit,
    TimeInForce,
    plain,
)

_FRACTION_DIGITS = 9
_CENTS = 2
_HUNDRED = Decimal(100)
_LEAST_VALUE = Decimal(1)
_LEAST_TRAIL_PERCENT = Decimal("0.1")
_MOST = Decimal(10) ** 12
"""Shares or dollars: beyond is a slip of the keyboard, and out of reach of exact arithmetic."""
_LATEST_CLS = timedelta(minutes=5)
_TICK = Decimal("0.01")
_LASTING = (TimeInForce.DAY, TimeInForce.GTC)


def check_client_id(client_order_id: str | None, taken: Collection[str]) -> None:
    """Raises RequestRefused when the id is too long, or taken, be it by an order that has ended."""
    if client_order_id is None:
        return
    if len(client_order_id) > LONGEST_CLIENT_ID:
        raise bad_parameter(f"client_order_id must be no more than {LONGEST_CLIENT_ID} characters")
    if client_order_id in taken:
        raise bad_parameter(DUPLICATE_ID)


def check_request(request: OrderRequest, last_price: Decimal) -> None:
    """Raises RequestRefused when the order is malformed."""
    _check_prices(request)
    _check_trail(request)
    _check_size(request, last_price)
    _check_times(request)
    if request.legged:
        _check_class(request, last_price)
    elif request.take_profit is not None or request.stop_loss is not None:
        raise bad_parameter("simple orders must not have take_profit or stop_loss")


def check_hours(tif: TimeInForce, now: datetime, session: Session | None) -> None:
    """Raises RequestRefused when an order for the open or the close comes too late for it.

    ``session`` is the one that is open now. Whenever the exchange is closed counts as night.
    """
    if session is None:
        return
    if tif is TimeInForce.OPG:
        raise forbidden("opg orders must be submitted after 7:00pm and before 9:28am")
    if tif is TimeInForce.CLS and now >= session.close - _LATEST_CLS:
        raise forbidden("cls orders must be submitted after 7:00pm and before 3:55pm")


def check_price(name: str, price: Decimal | None) -> None:
    """Raises RequestRefused when a price is not one: above 0, in cents, below a dollar in hundredths."""
    if price is None:
        return
    if not price.is_finite() or not 0 < price <= _MOST:
        raise bad_parameter(f"{name} must be > 0 and <= {_MOST}")
    if digits(price) > (2 if price >= 1 else 4):
        raise unprocessable(
            f"invalid {name} {plain(price)}. "
            "sub-penny increment does not fulfill minimum pricing criteria"
        )


def check_stop_side(
    side: Side, kind: OrderType, stop_price: Decimal | None, last_price: Decimal
) -> None:
    """Raises RequestRefused when a stop price is already reached."""
    if stop_price is None or kind not in STOPS or (stop_price - last_price) * side.sign > 0:
        return
    where = "greater" if side is Side.BUY else "less"
    raise unprocessable(
        f"stop price must be {where} than current price",
        market_price=plain(last_price),
        stop_price=plain(stop_price),
    )


def check_qty(qty: Decimal) -> None:
    """Raises RequestRefused when a quantity is not one: above 0, at most nine decimal places."""
    if not qty.is_finite() or not ZERO < qty <= _MOST:
        raise bad_parameter(f"qty must be > 0 and <= {_MOST}")
    if digits(qty) > _FRACTION_DIGITS:
        raise bad_parameter(f"qty must be limited to {_FRACTION_DIGITS} decimal places")


def check_trail(price: Decimal | None, percent: Decimal | None) -> None:
    """Raises RequestRefused when a trailing stop's distance is out of bounds."""
    if price is not None and not (price.is_finite() and 0 < price <= _MOST):
        raise bad_parameter("trail_price must be > 0")
    if percent is not None and not (percent.is_finite() and percent >= _LEAST_TRAIL_PERCENT):
        raise bad_parameter(
            f"trail_percent must be greater than or equal to {_LEAST_TRAIL_PERCENT}"
        )
    if percent is not None and percent >= 100:
        raise bad_parameter("trail_percent must be less than 100")


def _check_prices(request: OrderRequest) -> None:
    kind, limit, stop = request.type, request.limit_price, request.stop_price
    if kind is OrderType.MARKET and (limit is not None or stop is not None):
        raise bad_parameter("market orders require no stop or limit price")
    if kind is OrderType.LIMIT:
        if stop is not None:
            raise bad_parameter("limit orders must not have stop_price")
        if limit is None and request.order_class is not OrderClass.OCO:
            raise bad_parameter("limit orders require a limit price")
    if kind is OrderType.STOP:
        if limit is not None:
            raise bad_parameter("stop orders must not have limit_price")
        if stop is None:
            raise bad_parameter("stop orders require a stop price")
    if kind is OrderType.STOP_LIMIT and (limit is None or stop is None):
        raise bad_parameter("stop limit orders require both stop and limit price")
    if kind is OrderType.TRAILING_STOP and (limit is not None or stop is not None):
        raise bad_parameter("trailing stop orders require no stop or limit price")
    check_price("limit_price", limit)
    check_price("stop_price", stop)


def _check_trail(request: OrderRequest) -> None:
    price, percent = request.trail_price, request.trail_percent
    if request.type is not OrderType.TRAILING_STOP:
        for name, value in (("trail_price", price), ("trail_percent", percent)):
            if value is not None:
                raise bad_parameter(f"{request.type.replace('_', ' ')} orders must not have {name}")
        return
    if (price is None) == (percent is None):
        raise bad_parameter("trailing stop orders must specify one of trail_price or trail_percent")
    check_trail(price, percent)


def _check_size(request: OrderRequest, last_price: Decimal) -> None:
    qty, notional = request.qty, request.notional
    if qty is None and notional is None:
        raise bad_parameter("qty or notional is required")
    if qty is not None and notional is not None:
        raise bad_parameter("only one of qty or notional is accepted")
    if notional is not None:
        if not notional.is_finite() or not _LEAST_VALUE <= notional <= _MOST:
            raise bad_parameter("notional must be >= 1.00")
        if digits(notional) > _CENTS:
            raise bad_parameter(f"notional value must be limited to {_CENTS} decimal places")
    if qty is not None:
        check_qty(qty)
        if digits(qty) == 0:
            return
    if request.legged:
        raise unprocessable("fractional orders must be simple orders")
    if request.time_in_force is not TimeInForce.DAY:
        raise unprocessable("fractional orders must be DAY orders")
    if request.type is OrderType.TRAILING_STOP:
        raise unprocessable("fractional orders must be market, limit, stop or stop limit orders")
    if qty is None or request.side is Side.SELL:
        return
    value = qty * (request.limit_price or request.stop_price or last_price)
    if value < _LEAST_VALUE:
        raise forbidden("cost basis must be >= minimal amount of order 1", cost_basis=plain(value))


def _check_times(request: OrderRequest) -> None:
    tif = request.time_in_force
    if request.type in STOPS and tif not in _LASTING:
        raise unprocessable(f"{request.type.replace('_', ' ')} orders must be DAY or GTC orders")
    if request.extended_hours and (request.type is not OrderType.LIMIT or tif not in _LASTING):
        raise unprocessable("extended hours order must be DAY or GTC limit orders")


def _check_class(request: OrderRequest, last_price: Decimal) -> None:
    """Check the legs of a bracket, OCO or OTO order."""
    kind = request.order_class
    if kind is OrderClass.OCO and request.type is not OrderType.LIMIT:
        raise bad_parameter("oco orders must be limit orders")
    if request.type not in (OrderType.MARKET, OrderType.LIMIT):
        raise bad_parameter(f"{kind} orders must be market or limit orders")
    if request.time_in_force not in _LASTING:
        raise unprocessable(f"{kind} orders must be DAY or GTC orders")
    if request.extended_hours:
        raise unprocessable(f"extended hours is not supported for {kind} orders")
    profit, loss = request.take_profit or TakeProfit(), request.stop_loss or StopLoss()
    target, stop = profit.limit_price, loss.stop_price
    if kind is OrderClass.OTO:
        if (target is None) == (stop is None):
            raise bad_parameter(
                "oto orders require one of take_profit.limit_price and stop_loss.stop_price"
            )
    elif target is None:
        raise bad_parameter(f"{kind} orders require take_profit.limit_price")
    elif stop is None:
        raise bad_parameter(f"{kind} orders require stop_loss.stop_price")
    if loss.limit_price is not None and stop is None:
        raise bad_parameter("stop_loss.limit_price requires stop_loss.stop_price")
    check_price("take_profit.limit_price", target)
    check_price("stop_loss.stop_price", stop)
    check_price("stop_loss.limit_price", loss.limit_price)
    exit_sign = request.side.sign if kind is OrderClass.OCO else -request.side.sign
    if target is not None and stop is not None and (stop - target) * exit_sign <= 0:
        above = ">" if exit_sign < 0 else "<"
        raise unprocessable(f"take_profit.limit_price must be {above} stop_loss.stop_price")
    if kind is OrderClass.OCO:
        exit_side = request.side
        check_stop_side(exit_side, OrderType.STOP, stop, last_price)
        return
    base = request.limit_price or last_price
    for name, price, sign in (
        ("take_profit.limit_price", target, -exit_sign),
        ("stop_loss.stop_price", stop, exit_sign),
    ):
        if price is not None and (price - base) * sign < _TICK:
            bound = ">= base_price + 0.01" if sign > 0 else "<= base_price - 0.01"
            raise unprocessable(f"{name} must be {bound}", base_price=plain(base))


def part_of(position: ExchangePosition, percentage: Decimal | None) -> Decimal:
    """Return so many percent of a position's shares, or all. Raises RequestRefused."""
    if percentage is None:
        return abs(position.qty)
    if not percentage.is_finite() or not 0 < percentage <= _HUNDRED:
        raise bad_parameter("percentage must be > 0 and <= 100")
    shares = abs(position.qty) * percentage / _HUNDRED
    return shares.quantize(SMALLEST_FRACTION, ROUND_FLOOR)


def check_adjustment(amount: Decimal, price: Decimal = ZERO) -> None:
    """Raises RequestRefused when shares or cash from outside are no amount."""
    if not amount.is_finite() or not amount or abs(amount) > _MOST:
        raise bad_parameter("the amount must be finite and not 0")
    if not price.is_finite() or not 0 <= price <= _MOST:
        raise bad_parameter("the price must be finite and >= 0")


def digits(value: Decimal) -> int:
    """Return the number of decimal places that a value needs."""
    _, _, places = plain(value).partition(".")
    return len(places)


def bad_parameter(message: str) -> RequestRefused:
    return RequestRefused(422, 40010001, message)


def forbidden(message: str, **extra: str) -> RequestRefused:
    return RequestRefused(403, 40310000, message, **extra)


def unprocessable(message: str, **extra: str) -> RequestRefused:
    return RequestRefused(422, 42210000, message, **extra)


def not_found(message: str) -> RequestRefused:
    return RequestRefused(404, 40410000, message)
