"""What came of a signal, and why nothing did."""

from __future__ import annotations

from dataclasses import dataclass

from smabot.cli.explanation.holding_facts import HoldingFacts
from smabot.cli.output import number
from smabot.cli.records.order_ids import short_id
from smabot.cli.times import Times
from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import Status
from smabot.domain.records import Order, Signal

LATE = "acts late on a missed signal"
"""The reason of a signal that the engine makes of a missed one."""

WORDS = {
    Status.PENDING: "it has not left yet",
    Status.UNKNOWN: "it is unknown whether the broker has it",
    Status.BLOCKED: "it was blocked and never left",
    Status.ABANDONED: "it expired unsent",
    Status.REJECTED: "the broker rejected it",
    Status.CANCELED: "it was canceled",
    Status.EXPIRED: "it expired",
}
"""What became of an order, in words, where it is neither open at the broker nor filled."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a signal: a word for programs, and a sentence. ``done``: it got what it wanted."""

    code: str
    text: str
    done: bool = False


def outcome_of(signal: Signal, facts: HoldingFacts, times: Times) -> Outcome:
    """Return what came of a signal."""
    if orders := facts.orders_of(signal):
        return _of_order(orders, times)
    if (text := _no_order(signal, facts)) is not None:
        return Outcome("no_order", f"no order: {text}")
    if signal.missed:
        return _missed(signal, facts, times)
    decided = signal.bar_time + MINUTE
    if signal.target == 0:
        if not facts.held_at(decided):
            return Outcome("nothing_held", "nothing was held, so there was nothing to sell", True)
        if flat := facts.flattened_before(decided):
            return Outcome(
                "flattened", f"`flatten` of {times.full(flat.time)} was closing it already"
            )
        return Outcome("waits", "no exit has been made for it yet")
    flat = facts.flattened_before(decided)
    if flat is not None and facts.held_at(decided) and not _is_current(signal, facts):
        text = f"`flatten` of {times.full(flat.time)} was still closing the position"
        return Outcome("flattened", f"ignored: {text}")
    return Outcome("no_trace", "no order was made for it, and no event says why")


def _is_current(signal: Signal, facts: HoldingFacts) -> bool:
    return facts.state is not None and facts.state.bar_time == signal.bar_time


def order_outcome(order: Order, times: Times) -> Outcome:
    """Return what became of an order."""
    status, what = order.status, "exit" if order.reduces else "entry"
    filled = f"{number(order.filled_qty)} of {number(order.qty)} filled"
    reason = f": {order.reason}" if order.reason else ""
    if status is Status.FILLED:
        assert order.filled_avg_price is not None
        return Outcome(
            "filled",
            f"its {what} filled: {number(order.qty)} at {order.filled_avg_price:,.2f}",
            True,
        )
    if status in WORDS:
        after = f" after {filled}" if order.filled_qty else ""
        return Outcome(status.value, f"its {what}: {WORDS[status]}{after}{reason}")
    asked = order.cancel_requested_at
    cancel = (
        f"; its cancel of {times.clock(asked)} is unanswered ({order.cancel_reason})"
        if asked
        else ""
    )
    return Outcome("open", f"its {what} is open at the broker, {filled}{cancel}")


def _of_order(orders: list[Order], times: Times) -> Outcome:
    last = order_outcome(orders[-1], times)
    if len(orders) == 1:
        return last
    return Outcome(last.code, f"{last.text} (attempt {orders[-1].attempt})", last.done)


def _no_order(signal: Signal, facts: HoldingFacts) -> str | None:
    """Return why no order was made, as the event says."""
    minute = signal.bar_time.strftime("%Y%m%dT%H%MZ")
    own = f"-{signal.strategy}-{signal.symbol}-{minute}-1"
    events = [e for e in facts.events if e.kind == "no_order" and e.subject.endswith(own)]
    return events[-1].text if events else None


def _missed(signal: Signal, facts: HoldingFacts, times: Times) -> Outcome:
    gap = facts.gap_of(signal.bar_time)
    if gap is not None:
        first, last = times.full(gap.first + MINUTE), times.clock(gap.last + MINUTE)
        why = f"missed: no bot ran for the bars of {first} to {last}"
    else:
        why = "missed: its bar came too late to decide on"
    later = [s for s in facts.signals if s.bar_time > signal.bar_time]
    if later and later[0].target == signal.target and later[0].reason == LATE:
        return Outcome("late", f"{why}; acted on late at {times.full(later[0].bar_time + MINUTE)}")
    if signal.target:
        return Outcome(
            "missed", f"{why}; a missed entry is passed over, unless `act_on_missed_entries` is set"
        )
    if not facts.held_at(signal.bar_time + MINUTE):
        return Outcome("missed", f"{why}; nothing was held, so there was nothing to sell", True)
    return Outcome("missed", f"{why}; its exit is made at the next bar")


def order_line(order: Order, times: Times) -> str:
    """Return an order and what became of it, in a line."""
    return f"{short_id(order.client_order_id)}: {order_outcome(order, times).text}"
