"""Why a position is not as its strategy wants it, now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from smabot.cli.explanation.holding_facts import HoldingFacts
from smabot.cli.explanation.signal_outcome import order_outcome, outcome_of
from smabot.cli.records.order_outcome import GONE
from smabot.cli.times import Times
from smabot.domain.bot_records import HALT, Block
from smabot.domain.order_terms import Status
from smabot.domain.records import Order, Signal


def wanted_words(facts: HoldingFacts, times: Times) -> str:
    """Return what is wanted, and since when."""
    from smabot.cli.records.target_times import target_time
    from smabot.engine.execution.flattening import FLATTEN

    state = facts.state
    if state is None:
        return "nothing: it has not signalled it yet"
    since = times.full(target_time(state, facts.events))
    if state.last_signal == FLATTEN:
        return f"flat, by the operator's `flatten`, since {since}"
    signal = _signal_of(facts)
    reason = f": {signal.reason}" if signal is not None and signal.reason else ""
    missed = ", missed" if state.missed else ""
    return (
        f"{'long' if state.target else 'flat'} since {since} ({state.last_signal}{missed}{reason})"
    )


def why_not_as_wanted(facts: HoldingFacts, times: Times) -> list[str]:
    """Return why shares and target differ; empty where they do not, or no target is known."""
    state = facts.state
    if state is None or (facts.held != 0) == (state.target != 0):
        return []
    lines = [_last_outcome(facts, times)]
    if state.target and _entry_is_over(facts):
        lines.append(
            "an entry is made at its signal only, and not tried again: it needs a new signal"
        )
    if state.target == 0 and facts.orders and facts.orders[-1].reduces:
        lines += _exit_goes_on(facts.orders[-1])
    return lines


def block_lines(blocks: Iterable[Block], times: Times) -> list[str]:
    """Return what blocks orders, by whom, since when and why."""
    lines = []
    for block in blocks:
        what = "entries" if block.scope == "entries" else "all orders"
        owner = "a halt" if block.plugin == HALT else block.plugin
        lines.append(f"{what}, by {owner} since {times.full(block.since)}: {block.reason}")
    return lines


def blocks_holding(blocks: Iterable[Block], now: datetime) -> list[Block]:
    """Return the blocks that hold at a time, oldest first."""
    return sorted((b for b in blocks if b.holds(now)), key=lambda b: b.since)


def _signal_of(facts: HoldingFacts) -> Signal | None:
    state = facts.state
    assert state is not None
    return next((s for s in reversed(facts.signals) if s.bar_time == state.bar_time), None)


def _last_outcome(facts: HoldingFacts, times: Times) -> str:
    state = facts.state
    assert state is not None
    last = facts.orders[-1] if facts.orders else None
    if last is not None and last.bar_time >= state.bar_time:
        text = order_outcome(last).text
        return text + GONE if last.status is Status.FILLED else text
    signal = _signal_of(facts) or (facts.signals[-1] if facts.signals else None)
    if signal is None:
        return "no order was made for it"
    return outcome_of(signal, facts, times).text


def _entry_is_over(facts: HoldingFacts) -> bool:
    return not any(not order.status.terminal for order in facts.orders)


def _exit_goes_on(last: Order) -> list[str]:
    if last.status in (Status.REJECTED, Status.CANCELED, Status.EXPIRED, Status.BLOCKED):
        return [
            "the exit is tried again after 1, 2, 4, 8, then 16 minutes, until the position is flat"
        ]
    return []
