"""An order's story, moment by moment."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from smabot.cli.explanation.moments import Moment
from smabot.cli.explanation.order_facts import OrderFacts, realized
from smabot.cli.output import gain, money, number
from smabot.cli.records.order_ids import short_id
from smabot.domain.bot_records import Event
from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import Status
from smabot.domain.records import ZERO, Bar, Fill, Order
from smabot.domain.risk_answers import Check
from smabot.domain.round_trips import RoundTrip
from smabot.errors import counted

CENT = Decimal("0.01")
OF_SENDING = {
    "order_unanswered": ("no_answer", "no answer"),
    "order_resent": ("sent_again", "sent again"),
    "order_answered": ("answer", "answer"),
}
"""Events of an order that are moments of its sending: their kinds here, and their words."""


def order_moments(facts: OrderFacts, *, all_checks: bool = True) -> list[Moment]:
    """Return what happened to an order; with ``all_checks`` also each check that passed."""
    return [*_decided(facts, all_checks), *_sent(facts), *_filled(facts), *_ended(facts)]


def _decided(facts: OrderFacts, all_checks: bool) -> Iterator[Moment]:
    order = facts.order
    if facts.bar is not None:
        yield bar_moment(facts.bar)
    if facts.command is not None:
        yield Moment(facts.command.time, "command", "command", f"flatten: {facts.command.text}")
    if (signal := facts.signal) is not None:
        missed = " (its bar was missed)" if signal.missed else ""
        reason = f": {signal.reason}" if signal.reason else ""
        text = f"{signal.label} at {signal.price:,.2f} by {signal.strategy}{missed}{reason}"
        yield Moment(order.bar_time + MINUTE, "signal", "signal", text)
    made = order.created_at
    if facts.size is not None:
        text = f"{facts.size.value} shares: {facts.size.reason}"
    else:
        text = f"{number(order.qty)} shares; how it came was not kept"
    yield Moment(made, "size", "size", text)
    again = f", attempt {order.attempt}: {_last_failure(facts)}" if facts.before else ""
    yield Moment(
        made, "order", "order", f"{terms(order)}, {short_id(order.client_order_id)}{again}"
    )
    if facts.checks:
        yield _checks(facts, all_checks)


def _checks(facts: OrderFacts, all_checks: bool) -> Moment:
    failed = [check for check in facts.checks if not check.passed]
    passed = len(facts.checks) - len(failed)
    text = f"{passed} of {len(facts.checks)} passed"
    shown = facts.checks if all_checks else failed
    widest = max((len(check.name) for check in shown), default=0)
    details = tuple(_check_line(check, widest) for check in shown)
    return Moment(facts.order.created_at, "check", "checks", text, details, grave=bool(failed))


def _check_line(check: Check, widest: int) -> str:
    answer = "passed" if check.passed else "FAILED"
    limit = f"limit {check.limit}" if check.limit else ""
    measured = ", ".join(filter(None, (check.value, limit)))
    parts = [f"{check.name:<{widest}}  {answer}", measured, check.reason]
    return "  ".join(filter(None, parts))


def _last_failure(facts: OrderFacts) -> str:
    last = facts.before[-1]
    return f"the one before was {last.status}" + (f": {last.reason}" if last.reason else "")


def _sent(facts: OrderFacts) -> Iterator[Moment]:
    order = facts.order
    for run, at in facts.queried:
        before = "its process had not kept the broker's answer"
        yield Moment(at, "queried", "queried", f"by the start of run {run.run_id}: {before}")
    for event in facts.events:
        if event.kind in OF_SENDING:
            kind, word = OF_SENDING[event.kind]
            yield Moment(event.time, kind, word, event.text)
        elif event.kind != "given_up":
            yield event_moment(event)
    if order.submitted_at is not None and order.status is not Status.REJECTED:
        named = f", its id {order.broker_order_id}" if order.broker_order_id else ""
        yield Moment(order.submitted_at, "sent", "sent", f"the broker has it{named}")
    if order.status in (Status.PENDING, Status.UNKNOWN):
        waits = (
            "it has not left yet" if order.status is Status.PENDING else "its outcome is unknown"
        )
        reason = f": {order.reason}" if order.reason else ""
        time = order.updated_at or order.created_at
        yield Moment(time, "waits", "waits", f"{waits}{reason}", grave=True)
    if order.cancel_requested_at is not None:
        text = f"requested: {order.cancel_reason}"
        if not order.status.terminal:
            text += "; the broker has not answered yet"
        yield Moment(order.cancel_requested_at, "cancel", "cancel", text)


def _filled(facts: OrderFacts) -> Iterator[Moment]:
    order = facts.order
    for fill in facts.fills:
        word = "bought" if fill.side == "buy" else "sold"
        yield Moment(
            fill.time, "fill", "fill",
            f"{word} {number(fill.qty)} at {price(fill.price)}{_slipped(facts, fill)}{_charged(fill)}",
        )  # fmt: skip
    if not facts.fills:
        return
    last = facts.fills[-1].time
    trip = facts.round_trip
    if order.reduces:
        text = gain(realized(facts))
        if trip is not None and trip.closed_at <= last:
            text = _closed(trip, realized(facts))
        yield Moment(last, "pnl", "P&L", text)
    elif trip is not None:
        made = f"at the end of {_trip_words(trip)} that made {gain(trip.realized_pnl)}"
        yield Moment(trip.closed_at, "pnl", "P&L", made)
    else:
        yield Moment(last, "pnl", "P&L", "its position is still open")


def _closed(trip: RoundTrip, own: Decimal) -> str:
    """Return what a round trip made, and what of it the exit that closed it; ``own``: US dollars."""
    text = f"{gain(trip.realized_pnl)} by {_trip_words(trip)}"
    if before := trip.realized_pnl - own:
        text += f": {gain(own)} by this exit, {gain(before)} by the fills before it and their fees"
    return text


def _trip_words(trip: RoundTrip) -> str:
    minutes = round((trip.closed_at - trip.opened_at).total_seconds() / 60)
    return f"a round trip of {counted(minutes, 'minute')}"


def _slipped(facts: OrderFacts, fill: Fill) -> str:
    slippage, asked = facts.slippage(fill), facts.asked_price
    if slippage is None or asked is None:
        return ""
    if slippage == ZERO:
        return f", as at the decision's {price(asked)}"
    way = "worse" if slippage > 0 else "better"
    far = f"{price(abs(fill.price - asked))} a share ({money(abs(slippage))} in all)"
    return f", {far} {way} than the decision's {price(asked)}"


def _charged(fill: Fill) -> str:
    return f", fees {money(fill.fees)}" if fill.fees else ""


def _ended(facts: OrderFacts) -> Iterator[Moment]:
    order = facts.order
    if not order.status.terminal or order.status is Status.FILLED:
        return
    at = order.updated_at or order.created_at
    reason = f": {order.reason}" if order.reason else ""
    filled = ""
    if order.filled_qty:
        filled = f" after {number(order.filled_qty)} of {number(order.qty)}"
    if order.status is Status.BLOCKED and any(not check.passed for check in facts.checks):
        yield Moment(at, "end", "blocked", "it never left", grave=True)
    elif order.status is Status.BLOCKED:
        yield Moment(at, "end", "blocked", f"it never left{reason}", grave=True)
    elif order.status is Status.ABANDONED:
        yield Moment(at, "end", "unsent", f"expired unsent{reason}", grave=True)
    elif order.status is Status.REJECTED:
        yield Moment(at, "end", "rejected", f"by the broker{reason}", grave=True)
    elif order.given_up_at is not None:
        text = f"{order.reason}; the broker has not confirmed that"
        yield Moment(at, "end", "given up", text, grave=True)
    else:
        yield Moment(at, "end", order.status.value, f"the broker ended it{filled}{reason}")


# -- pieces ----------------------------------------------------------------------------------------


def bar_moment(bar: Bar) -> Moment:
    """Return a bar at its end, when it is known."""
    prices = f"O {bar.open:,.2f}  H {bar.high:,.2f}  L {bar.low:,.2f}  C {bar.close:,.2f}"
    return Moment(bar.end, "bar", "bar", f"{prices}  volume {bar.volume:,.0f}")


def event_moment(event: Event) -> Moment:
    """Return an event, in words."""
    words = event.kind.replace("_", " ")
    subject = f" {short_id(event.subject)}" if event.subject else ""
    kind = {"cancel_unanswered": "cancel"}.get(event.kind, "event")
    return Moment(
        event.time, kind, "event", f"{words}{subject}: {event.text}", grave=event.grave
    )  # fmt: skip


def terms(order: Order) -> str:
    """Return an order's terms: ``buy 10 SPY market day``."""
    limit = f" {price(order.limit_price)}" if order.limit_price is not None else ""
    return (
        f"{order.side} {number(order.qty)} {order.symbol} {order.type}{limit} {order.time_in_force}"
    )


def price(amount: Decimal) -> str:
    """Return a price with two decimals, or more where it has them."""
    cents = amount == amount.quantize(CENT)
    return money(amount) if cents else f"{amount.normalize():,f}"
