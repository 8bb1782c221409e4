"""From what a sizer asks for to an order with its identity."""

from __future__ import annotations

from decimal import Decimal

from smabot.domain.book import Book
from smabot.domain.order_terms import OrderType, Side
from smabot.domain.records import Order, OrderIntent, Signal
from smabot.errors import PluginFault

LONGEST_ID = 64


def make_order(
    bot: str, book: Book, intent: OrderIntent, signal: Signal, attempt: int, sizer: str = ""
) -> Order:
    """Return the order that a sizer's intent means now. Raises PluginFault when it can't be one."""
    answered = f"plugin '{sizer}': on_signal for {signal.symbol} answered"
    if not _orderable(intent) or intent.symbol != signal.symbol:
        raise PluginFault(
            f"{answered} {intent}: an order needs the signal's "
            "symbol, and a Decimal above 0 as its quantity and as the price of a limit order"
        )
    held = book.holding(signal.strategy, signal.symbol)
    closes = held * intent.side.sign < 0
    if closes and intent.qty > abs(held):
        raise PluginFault(
            f"{answered} {intent.side} {intent.qty} where {held} are held: close first, then open"
        )
    if not closes and not (signal.target and intent.side is Side.BUY):
        raise PluginFault(
            f"{answered} {intent.side} {intent.qty} to target "
            f"{signal.target} where {held} are held: 1 buys, 0 closes what is held"
        )
    return Order(
        client_order_id=order_id(bot, signal, attempt),
        strategy=signal.strategy,
        symbol=signal.symbol,
        side=intent.side,
        qty=intent.qty,
        type=intent.type,
        limit_price=intent.limit_price,
        time_in_force=intent.time_in_force,
        bar_time=signal.bar_time,
        attempt=attempt,
        reduces=closes,
        created_at=book.now,
        timeout_minutes=intent.timeout_minutes,
    )


def order_id(bot: str, signal: Signal, attempt: int) -> str:
    """Return the deterministic client_order_id of a decision.

    Raises PluginFault when the names in it are so long that it has more than 64 characters.
    """
    at = signal.bar_time
    time = f"{at.year:04}{at.month:02}{at.day:02}T{at.hour:02}{at.minute:02}Z"
    made = f"{bot}-{signal.strategy}-{signal.symbol}-{time}-{attempt}"
    if len(made) > LONGEST_ID:
        raise PluginFault(f"order id {made} is longer than {LONGEST_ID}: shorten the plugin's name")
    return made


def _orderable(intent: OrderIntent) -> bool:
    limit = intent.limit_price
    needed = [intent.qty, limit] if intent.type is OrderType.LIMIT else [intent.qty]
    return all(isinstance(n, Decimal) and n.is_finite() and n > 0 for n in needed)
