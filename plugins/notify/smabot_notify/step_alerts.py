"""The alerts of a committed step: those of its rows, in one order, each with its key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from smabot.api import (
    EXCHANGE_ZONE,
    ClosedSession,
    CommittedStep,
    Fill,
    Order,
    OrderType,
    Run,
    Side,
    SmabotError,
    Status,
    read_checks,
)
from smabot_notify.alerts import Alert
from smabot_notify.event_alerts import event_alert, sentence, short_id

ADVICE = {
    3: "The set-up is wrong: `smabot doctor` says more.",
    4: "The broker did not answer, or refused: `smabot doctor` says more.",
    5: "Risk rules stopped it: see `smabot status`.",
    6: "Database and broker disagree: compare with the broker's page, then see `smabot reconcile`.",
    7: "Another bot uses the database.",
}
"""What to do by a run's exit code."""
ELSE = "See the log, and `smabot runs last`."
ENDS = {
    "": "stopped",
    "stopped": "stopped",
    "ended": "end of the data",
    "until": "stopped at --until",
}
CRASH_LOOP = timedelta(minutes=5)
"""Failures of runs shorter than this are one matter by their exit code, and kills are one. Others are told at once:
nobody may start another run, which would tell what was held back."""
ENDED_WELL = frozenset({0, 130})
MOST_POSITIONS = 12


def alerts_of(step: CommittedStep) -> list[Alert]:
    """Return all that can be told of a step. What is told does not depend on settings, nor does its key."""
    found = [alert for alert in _of_rows(step) if alert is not None]
    return [replace(alert, key=f"{step.number}.{place}") for place, alert in enumerate(found, 1)]


def _of_rows(step: CommittedStep) -> Iterator[Alert | None]:
    if step.died is not None:
        yield _death(step.died, step.runs)
    yield from map(event_alert, step.events)
    yield from map(_order, step.orders)
    yield from map(_fill, step.fills)
    yield from map(_run, step.runs)
    if step.closed is not None:
        yield _summary(step.closed)


def _order(order: Order) -> Alert | None:
    what = f"{order.side} {order.qty:f} {order.symbol}"
    if order.type is OrderType.LIMIT:
        what += f" at {order.limit_price:f}"
    goes_on = " The bot tries again; the position stays until then." if order.reduces else ""
    text = (
        f"{sentence(order.reason)}{goes_on} See `smabot explain {short_id(order.client_order_id)}`."
    )
    role = "exit" if order.reduces else "entry"
    at = order.updated_at or order.created_at
    match order.status:
        case Status.BLOCKED:
            subject, title = f"blocked {role} {_failed_checks(order)}", f"{role} blocked: {what}"
        case Status.REJECTED:
            subject, title = f"rejected {role} {order.symbol}", f"{role} refused: {what}"
        case Status.ABANDONED:
            subject, title = f"abandoned {role} {order.symbol}", f"{role} never left: {what}"
        case _:
            return None
    return Alert("order", subject, title, text.strip(), time=at, grave=order.reduces)


def _failed_checks(order: Order) -> str:
    """Return the checks that blocked an order: what many orders are blocked by is one matter."""
    try:
        failed = [check.name for check in read_checks(order.checks) if not check.passed]
    except SmabotError:
        failed = []
    return " ".join(failed) or order.symbol


def _fill(fill: Fill) -> Alert:
    verb = "bought" if fill.side is Side.BUY else "sold"
    title = f"{verb} {fill.qty:f} {fill.symbol} at {_price(fill.price)}"
    realized = f"Realized {fill.realized_pnl:+,.2f}. " if fill.reduces else ""
    text = f"{realized}Order {short_id(fill.client_order_id)}."
    return Alert("fill", fill.client_order_id, title, text, time=fill.time)


def _run(run: Run) -> Alert | None:
    if run.ended_at is None:
        if run.ready_ms is None:
            return None
        text = f"Ready in {run.ready_ms / 1000:,.1f} s, smabot {run.version}."
        return Alert("run", "start", "started", text, time=run.started_at, ends="stop")
    if run.exit_code in ENDED_WELL:
        title = ENDS.get(run.outcome, f"ended: {run.outcome}")
        text = "Positions and orders stay as they are."
        return Alert("run", "stop", title, text, time=run.ended_at, ends="start")
    title, text = f"FAILED with exit code {run.exit_code}", sentence(run.outcome)
    if "`smabot " not in text:  # otherwise the outcome itself says what to do
        text += f" {ADVICE.get(run.exit_code or 1, ELSE)}"
    in_a_loop = run.ended_at - run.started_at < CRASH_LOOP
    subject = f"failed {run.exit_code}" if in_a_loop else f"failed {run.run_id}"
    return Alert("failure", subject, title, text, time=run.ended_at, grave=True)


def _death(run: Run, begun: Sequence[Run]) -> Alert:
    """``begun``: the run that tells of it."""
    text = (
        f"The run that began at {run.started_at.astimezone(EXCHANGE_ZONE):%Y-%m-%d %H:%M} ET did not end by "
        "itself: it was killed, or the machine stopped. A new run goes on from there."
    )
    at = begun[0].started_at if begun else run.started_at
    in_a_loop = at - run.started_at < CRASH_LOOP
    subject = "killed" if in_a_loop else f"killed {run.run_id}"
    return Alert("failure", subject, "was killed", text, time=at, grave=True)


def _summary(closed: ClosedSession) -> Alert:
    counts = f"{closed.orders} order{'' if closed.orders == 1 else 's'}, {closed.fills} filled"
    counts += "".join(
        f", {count} {name}"
        for count, name in ((closed.blocked, "blocked"), (closed.rejected, "refused"))
        if count
    )
    held = [f"{qty:f} {symbol}" for symbol, qty in closed.positions]
    more = f" and {len(held) - MOST_POSITIONS} more" if len(held) > MOST_POSITIONS else ""
    lines = [
        f"Realized {closed.realized_pnl:+,.2f}. {counts[:1].upper()}{counts[1:]}.",
        f"Holds {', '.join(held[:MOST_POSITIONS])}{more}." if held else "Holds nothing.",
    ]
    if (closed.close - closed.equity_at).total_seconds() > 300:
        at = closed.equity_at.astimezone(EXCHANGE_ZONE)
        lines.append(f"The equity is that of {at:%H:%M} ET, the last one known.")
    title = f"{closed.date}: equity {closed.equity:,.2f}, {closed.change:+,.2f}"
    return Alert("summary", str(closed.date), title, "\n".join(lines), time=closed.close)


def _price(price: Decimal) -> str:
    return f"{price:,.2f}" if price == round(price, 2) else f"{price.normalize():,f}"
