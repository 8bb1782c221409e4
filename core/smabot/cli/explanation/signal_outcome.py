"""What came of a signal, and why nothing did."""

from __future__ import annotations

from dataclasses import dataclass

from smabot.cli.explanation.holding_facts import HoldingFacts
from smabot.cli.records.order_outcome import ENDS, WAITS, order_words
from smabot.cli.times import Times
from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import Status
from smabot.domain.records import Order, Signal

LATE = "acts late on a missed signal"
"""The reason of a signal that the engine makes of a missed one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a signal: a word for programs, and a sentence. ``done``: it got what it wanted."""

    code: str
    text: str
    done: bool = False


def outcome_of(signal: Signal, facts: HoldingFacts, times: Times) -> Outcome:
    """Return what came of a signal."""
    if orders := facts.orders_of(signal):
        return _of_order(orders)
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


def order_outcome(order: Order) -> Outcome:
    """Return what became of an order."""
    code = order.status.value if order.status in (*ENDS, *WAITS, Status.FILLED) else "open"
    return Outcome(code, order_words(order), order.status is Status.FILLED)


def _of_order(orders: list[Order]) -> Outcome:
    last = order_outcome(orders[-1])
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
