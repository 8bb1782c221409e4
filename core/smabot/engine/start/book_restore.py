"""Restores the book from the database: all state that records hold, without bars."""

from __future__ import annotations

from smabot.domain.book import Book
from smabot.domain.book_view import ASKED_FOR
from smabot.domain.bot_records import Block, BotState, Event
from smabot.domain.corporate_actions import CorporateAction
from smabot.domain.order_terms import OPEN
from smabot.domain.records import Account, EquityPoint, Mark, Order, Position, SignalState
from smabot.domain.tables import table_of
from smabot.hooks.plugins import Plugins
from smabot.hooks.ports import Rows

CORE_STATE: tuple[type, ...] = (
    CorporateAction, Account, Position, SignalState, BotState, Block, Mark,
)  # fmt: skip
"""The order counts: prices are taken in in shares of after the splits that are known."""


def restore_book(book: Book, rows: Rows, plugins: Plugins) -> None:
    """Load all state that records hold into an empty book; bars are not among it."""
    look_up_in(book, rows)
    declared = [k for k in plugins.kinds() if table_of(k).restore and k not in (*CORE_STATE, Order)]
    for kind in CORE_STATE:
        book.restore(rows.rows(kind))
    for kind in declared:
        with plugins.at_cost_of(kind):
            book.restore(rows.rows(kind))
    opened = rows.rows(Order, where={"status": OPEN})
    book.restore(sorted(opened, key=lambda order: (order.created_at, order.client_order_id)))
    _restore_latest_exits(book, rows)
    book.restore(rows.rows(EquityPoint, newest_by="time", limit=1))
    _restore_given_up_orders(book, rows)


def look_up_in(book: Book, rows: Rows) -> None:
    """Let a book look up what it has forgotten: orders that ended, and earlier events."""
    book.find_ended_orders_by(lambda client_order_id: rows.row(Order, client_order_id))
    book.find_earlier_events_by(
        lambda kinds, since: rows.rows(
            Event, where={"kind": kinds}, since=("time", since), newest_by="time"
        )
    )


def _restore_latest_exits(book: Book, rows: Rows) -> None:
    """Load the last order of each position that is to be flat and is not: it says when to try again."""
    for state in book.signals.values():
        if state.target == 0 and book.holding(state.strategy, state.symbol):
            where = {"strategy": state.strategy, "symbol": state.symbol}
            book.restore(rows.rows(Order, where=where, newest_by="created_at", limit=1))


def _restore_given_up_orders(book: Book, rows: Rows) -> None:
    """Load the orders that the bot ended itself lately, and whose end the broker has not confirmed."""
    if book.point is None:
        return
    lately = ("time", book.point.time - ASKED_FOR)
    for event in rows.rows(Event, where={"kind": "given_up"}, since=lately):
        order = rows.row(Order, event.subject)
        if order is not None and order.given_up_at is not None:
            book.restore([order])
