"""Fills that show only after the bot has ended their order itself: which of them may be counted."""

from __future__ import annotations

from smabot.domain.book_view import BookView
from smabot.domain.records import Order, OrderUpdate


def may_be_counted(book: BookView, order: Order, update: OrderUpdate) -> bool:
    """Whether the shares that an update adds to an order that was given up are late news, no more.

    They filled before the order was given up, and what was ordered in its place has not filled as well:
    an exit closes no more than is held, an entry makes no more of it than it was to make.
    """
    given_up_at, filled_at = order.given_up_at, update.filled_at
    if given_up_at is None or (fill := book.fill_of(update)) is None:
        return True
    if filled_at is None or filled_at > given_up_at:
        return False
    holding, sign = (order.strategy, order.symbol), order.side.sign
    held = book.holding(*holding) * sign
    if order.reduces:
        return held + fill.qty <= 0
    return held >= 0 and held + book.open_qty(*holding) * sign + fill.qty <= order.qty
