"""What a broker promises: typed outcomes, one order for one id, and updates that may come in any order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, timedelta
from decimal import Decimal
from functools import wraps
from itertools import permutations
from typing import Any

from smabot.domain.book import Book
from smabot.domain.calendar import Calendar
from smabot.domain.order_terms import OrderType, Side, Status
from smabot.domain.records import Order, OrderUpdate
from smabot.errors import BrokerError, ConflictError
from smabot.hooks.ports import BrokerAccount, BrokerOrder, BrokerPosition
from smabot.testing.verifying.plugin_checks import Outcome, check, failed, passed, unproved
from smabot.testing.verifying.plugin_roles import Role
from smabot.testing.verifying.provider_connection import Connection, connected
from smabot.testing.verifying.subject import Subject

MOST_UPDATES = 5
"""Updates of which every order is tried."""


def sends_orders(run: Callable[[Subject], Outcome]) -> Callable[[Subject], Outcome]:
    """Mark a check that sends orders: it runs only where they are allowed."""

    @wraps(run)
    def asked(subject: Subject) -> Outcome:
        if not subject.may_send:
            return unproved(0, "it sends orders of one share: allow them with --send-orders")
        return run(subject)

    return asked


@check(
    "typed-answers",
    Role.BROKER,
    promise="account, calendar, orders and positions come as smabot's types, money as Decimal, times in UTC",
    remedy="make a BrokerAccount, Calendar, BrokerOrder and BrokerPosition of every answer",
)
def typed_answers(subject: Subject) -> Outcome:
    with connected(subject, "typed") as connection:
        broker = connection.broker
        account = broker.account()
        if not isinstance(account, BrokerAccount) or not account.account_id:
            return failed(1, f"account() answers {account!r}, which is no BrokerAccount with an id")
        for name in ("cash", "equity", "buying_power"):
            if type(getattr(account, name)) is not Decimal:
                return failed(2, f"account().{name} is no Decimal")
        if not isinstance(broker.calendar(), Calendar):
            return failed(3, "calendar() answers no Calendar")
        for asked, kind in (("orders", BrokerOrder), ("positions", BrokerPosition)):
            answer = getattr(broker, asked)()
            if not isinstance(answer, list) or any(not isinstance(each, kind) for each in answer):
                return failed(4, f"{asked}() answers no list of {kind.__name__}")
        if broker.order("smabot-verify-of-nobody-1") is not None:
            return failed(5, "order() of an id that nobody used answers no None")
        delay = broker.visibility_delay
        if delay is not None and not (isinstance(delay, timedelta) and delay >= timedelta(0)):
            return failed(6, f"visibility_delay is {delay!r}: None, or a timedelta of 0 or more")
    return passed(6)


@check(
    "sends-once",
    Role.BROKER,
    promise="an order sent again under its id is the same order; another one under it is a ConflictError",
    remedy="send client_order_id along, and read the known order back where it is refused as a duplicate",
)
@sends_orders
def sends_once(subject: Subject) -> Outcome:
    with connected(subject, "once") as connection:
        broker = connection.broker
        connection.subscribe()
        connection.run(2)
        resting = _resting(connection)
        first = broker.submit(resting)
        if not _is_update_of(first, resting):
            return failed(1, f"submit() answers {first!r}, which is no OrderUpdate of that order")
        if first.status is Status.REJECTED:
            return failed(
                1, f"an order of one share, far from the market, is refused: {first.reason}"
            )
        try:
            again = broker.submit(resting)
        except BrokerError:
            again = first  # unknown, or refused as a duplicate: core asks for it then
        if again.status is Status.REJECTED:
            return failed(
                2, "the same order again is answered as rejected: core would take it as ended"
            )
        known = [o for o in broker.orders() if o.client_order_id == resting.client_order_id]
        if len(known) != 1:
            return failed(2, f"an order that was sent twice stands {len(known)} times in orders()")
        if not known[0].is_for(resting):
            return failed(3, f"orders() shows another order than was sent: {known[0]}")
        try:
            broker.submit(replace(resting, qty=resting.qty + 1))
        except ConflictError:
            pass
        else:
            return failed(4, "another order under a known id raises no ConflictError")
        broker.cancel(resting)
        ended = connection.wait_for_end(resting.client_order_id)
        if ended is None or ended.status is not Status.CANCELED:
            return failed(5, f"its cancel leads to {ended.status if ended else 'no end'}")
        broker.cancel(resting)
    return passed(6)


@check(
    "refusals",
    Role.BROKER,
    promise="an order that the broker refuses is an update with REJECTED and the reason, no exception",
    remedy="catch the broker's refusal in submit(), and return OrderUpdate(…, Status.REJECTED, reason=…)",
)
@sends_orders
def refusals(subject: Subject) -> Outcome:
    with connected(subject, "refusals") as connection:
        connection.subscribe()
        connection.run(2)
        broker, price = connection.broker, _price(connection)
        too_many = (broker.account().buying_power / price * 100).quantize(Decimal(1))
        for number, (what, given) in enumerate(
            (
                ("an order that costs a hundred times the buying power", {"qty": too_many}),
                ("an exit of shares that are not held", {"side": Side.SELL, "reduces": True}),
            ),
            1,
        ):
            answer = broker.submit(connection.order(100 + number, **given))
            if answer.status is not Status.REJECTED:
                return failed(number, f"{what} is answered as {answer.status}")
            if not answer.reason:
                return failed(number, f"{what} is rejected without a reason")
    return passed(2)


@check(
    "any-order",
    Role.BROKER,
    promise="its updates are cumulative: late, twice or swapped they lead to the same order",
    remedy="report filled_qty and filled_avg_price of the whole order so far, not of one fill",
)
@sends_orders
def any_order(subject: Subject) -> Outcome:
    with connected(subject, "any_order") as connection:
        connection.subscribe()
        connection.run(2)
        sent = connection.order(200)
        answer = connection.broker.submit(sent)
        ended = connection.wait_for_end(sent.client_order_id)
        if ended is None or ended.status is not Status.FILLED:
            said = ended.status if ended is not None else "open"
            return failed(1, f"a market order of one share stays {said}: {answer.reason}")
        updates = [answer, *connection.updates(sent.client_order_id)][-MOST_UPDATES:]
        expected = _applied(sent, [*updates, ended])
        cases = 0
        for order in permutations([*updates, ended]):
            cases += 1
            found = _applied(sent, [*order, ended])
            if found != expected:
                said = ", ".join(update.status for update in order)
                return failed(cases, f"updates in the order {said} lead to {found}, not {expected}")
        if expected[1:] != (sent.qty, ended.filled_avg_price):
            return failed(cases, f"its updates lead to {expected}, and order() says {ended}")
    return passed(cases)


def _resting(connection: Connection) -> Order:
    limit = (_price(connection) / 2).quantize(Decimal("0.01"))
    return connection.order(1, type=OrderType.LIMIT, limit_price=limit)


def _price(connection: Connection) -> Decimal:
    bars = [bar for bar in connection.bars() if bar.symbol == connection.symbols[0]]
    return Decimal(repr(bars[-1].close)) if bars else Decimal(100)


def _is_update_of(answer: Any, sent: Order) -> bool:
    return (
        isinstance(answer, OrderUpdate)
        and answer.client_order_id == sent.client_order_id
        and answer.time.utcoffset() == UTC.utcoffset(None)
    )


def _applied(sent: Order, updates: list[OrderUpdate]) -> tuple[Any, ...]:
    """Return what a book makes of an order's updates: its status, its shares and their price."""
    book = Book()
    book.apply(sent)
    for update in updates:
        book.apply(update)
    kept = book.order(sent.client_order_id)
    assert kept is not None
    return kept.status, kept.filled_qty, kept.filled_avg_price
