"""Why a symbol had an order, or had none, at one minute of the past."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from smabot.cli.explanation.conditions import read_conditions
from smabot.cli.explanation.holding_facts import HoldingFacts
from smabot.cli.explanation.moments import Moment
from smabot.cli.explanation.order_facts import ABOUT_ORDERS, OF_ALL, OF_THE_SYMBOL
from smabot.cli.explanation.order_timeline import bar_moment, event_moment
from smabot.cli.explanation.signal_outcome import order_outcome, outcome_of
from smabot.cli.output import number
from smabot.cli.records.order_ids import short_id
from smabot.cli.records.record_filters import Span, rows_within
from smabot.cli.status.market_time import started_at
from smabot.cli.times import Times
from smabot.domain.bot_records import Event, Run
from smabot.domain.calendar import MINUTE, end_of, new_york_date
from smabot.domain.records import Bar, Order, Signal
from smabot.hooks.optional_ports import BarRows


@dataclass(frozen=True, slots=True)
class MinuteFacts:
    """What there was at a minute: the symbol's bar that ended with its begin, and what held then."""

    at: datetime
    bar: Bar | None
    others_had_bars: bool | None
    """Whether other symbols had a bar; None where the journal can't find bars."""
    conditions: list[Event]
    """The events that began what held then: a halt, a trip, a lost stream."""
    events: list[Event]
    """Those of the symbol, or of all, within the minute."""


def read_minute(rows: Any, symbol: str, at: datetime) -> MinuteFacts:
    """Return what there was at a minute. ``at`` is the end of the bar that it is about."""
    begun = at - MINUTE
    bars = rows.bars_within(begun, begun) if isinstance(rows, BarRows) else None
    own = next((bar for bar in bars or () if bar.symbol == symbol), None)
    runs = rows.rows(Run, newest_by="run_id")
    starts = [start for run in runs if (start := started_at(run)) is not None]
    day_began = end_of(new_york_date(at) - timedelta(days=1))
    return MinuteFacts(
        at=at,
        bar=own,
        others_had_bars=None if bars is None else bool(bars),
        conditions=read_conditions(rows, at, starts, day_began),
        events=[
            event
            for event in rows_within(rows, Event, "time", Span(at, at + MINUTE), where=ABOUT_ORDERS)
            if event.time < at + MINUTE and _is_of(event, symbol)
        ],
    )


def _is_of(event: Event, symbol: str) -> bool:
    if event.kind in OF_ALL:
        return True
    return event.kind in OF_THE_SYMBOL and event.subject in ("", symbol)


def orders_made(rows: Any, facts: HoldingFacts, minute: MinuteFacts) -> list[Order]:
    """Return the orders that were made within the minute."""
    until = minute.at + MINUTE
    where = {"strategy": facts.strategy, "symbol": facts.symbol}
    made = rows_within(rows, Order, "created_at", Span(minute.at, until), where=where)
    return [order for order in made if order.created_at < until]


def why_no_order(facts: HoldingFacts, minute: MinuteFacts, times: Times) -> list[str]:
    """Return why no order was made at a minute, as far as the database knows."""
    signal = next((s for s in facts.signals if s.bar_time + MINUTE == minute.at), None)
    if signal is not None:
        return [outcome_of(signal, facts, times).text]
    if minute.bar is None:
        return [_no_bar(facts, minute, times)]
    gap = facts.gap_of(minute.bar.time)
    if gap is not None:
        first, last = times.full(gap.first + MINUTE), times.clock(gap.last + MINUTE)
        return [
            f"no bot ran: the bars of {first} to {last} came with the next start, too old to decide on"
        ]
    return _no_signal(facts, minute, times)


def _no_bar(facts: HoldingFacts, minute: MinuteFacts, times: Times) -> str:
    span = f"{times.clock(minute.at - MINUTE)} to {times.clock(minute.at)}"
    if minute.others_had_bars is None:
        return "its bar can't be found in this journal"
    if minute.others_had_bars:
        return f"{facts.symbol} had no bar from {span}, though others had: no trade, or it did not arrive"
    return f"no symbol had a bar from {span}: the market was closed, or no bot has run since"


def _no_signal(facts: HoldingFacts, minute: MinuteFacts, times: Times) -> list[str]:
    last = facts.target_at(minute.at)
    none = f"no new signal at {times.clock(minute.at)}"
    if last is None:
        return [f"{none}, and none before it"]
    held = facts.held_at(minute.at)
    if isinstance(last, Event):
        target, since = 0, times.full(last.time)
        wanted = f"flat, by the operator's `flatten`, since {since}"
    else:
        target, since = last.target, times.full(last.bar_time + MINUTE)
        wanted = f"{'long' if target else 'flat'} since {since}"
    lines = [
        f"{none}: it wanted to be {wanted}, and {number(held)} were held. A signal that repeats the "
        "last one makes no order"
    ]
    if (held != 0) == (target != 0):
        return lines
    if isinstance(last, Event):
        lines += _exit_so_far(last, facts, minute, times)
    else:
        lines.append(f"that signal: {_so_far(last, facts, minute, times)}")
    return lines


def _exit_so_far(
    flatten: Event, facts: HoldingFacts, minute: MinuteFacts, times: Times
) -> list[str]:
    """Return what came of the exits of a `flatten` that there were at a minute."""
    exits = [o for o in facts.orders if o.reduces and flatten.time <= o.created_at <= minute.at]
    return [f"`flatten`: {order_outcome(exits[-1]).text}"] if exits else []


def orders_of_the_next_bar(facts: HoldingFacts, minute: MinuteFacts, times: Times) -> list[str]:
    """Return a pointer to what the bar led to that starts at a minute, and so is decided on later.

    An order's id has its bar's start, so that one may well look for it there.
    """
    bar_end = minute.at + MINUTE
    signal = next((s for s in facts.signals if s.bar_time == minute.at), None)
    orders = [o for o in facts.orders if o.bar_time == minute.at and o.created_at >= bar_end]
    if signal is None and not orders:
        return []
    decided = orders[0].created_at if signal is None else bar_end
    named = f"its {signal.label} signal" if signal is not None else "an order of its own"
    ids = ", ".join(short_id(order.client_order_id) for order in orders)
    return [
        f"the bar that starts at {times.clock(minute.at)} ends later: {named} is of "
        f"{times.clock(decided)}{f', with {ids}' if ids else ''}; "
        f"--at {times.day(decided)}T{times.clock(decided)} explains it"
    ]


def _so_far(signal: Signal, facts: HoldingFacts, minute: MinuteFacts, times: Times) -> str:
    """Return what came of a signal's orders that there were at a minute."""
    made = [order for order in facts.orders_of(signal) if order.created_at <= minute.at]
    return order_outcome(made[-1]).text if made else outcome_of(signal, facts, times).text


def minute_moments(minute: MinuteFacts) -> list[Moment]:
    """Return the minute's bar and events."""
    bar = [bar_moment(minute.bar)] if minute.bar is not None else []
    return [*bar, *map(event_moment, minute.events)]
