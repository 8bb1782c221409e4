"""A symbol's story as JSON and on the screen: now, of a day, and of a minute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

from smabot.cli.explanation.holding_facts import HoldingFacts, read_holding
from smabot.cli.explanation.minute_reasons import (
    minute_moments,
    orders_made,
    orders_of_the_next_bar,
    read_minute,
    why_no_order,
)
from smabot.cli.explanation.moments import Facts, Moment, Timeline, in_order
from smabot.cli.explanation.order_facts import ABOUT_ORDERS, read_order
from smabot.cli.explanation.order_timeline import event_moment, order_moments, price
from smabot.cli.explanation.order_view import as_data, order_data
from smabot.cli.explanation.signal_outcome import outcome_of
from smabot.cli.explanation.why_not import (
    block_lines,
    blocks_holding,
    wanted_words,
    why_not_as_wanted,
)
from smabot.cli.output import gain, number
from smabot.cli.records.record_filters import Span, rows_within
from smabot.cli.run_outcome import failure_of, how_it_ended
from smabot.cli.times import Times
from smabot.domain.book_view import EPOCH
from smabot.domain.bot_records import Block, Event, Run
from smabot.domain.calendar import EXCHANGE_ZONE, MINUTE, new_york_date
from smabot.domain.records import Bar, Holding, Signal

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.cli.records.time_arguments import TypedTime

LAST_SIGNALS = 5
Explained = tuple[dict[str, Any], list[Any]]


def explained(times: Times, rows: Any, symbol: str, holdings: Sequence[Holding]) -> Explained:
    """Return what is wanted of a symbol and held, why they differ, and the last signal's story."""
    bar = last_bar(rows, symbol)
    blocks = blocks_holding(rows.rows(Block), newest(rows) or EPOCH)
    parts: list[Any] = []
    found = []
    for holding in holdings:
        facts = read_holding(rows, holding)
        why = why_not_as_wanted(facts, times)
        signals = facts.signals[-LAST_SIGNALS:]
        moments = _story(rows, facts, signals[-1:], times)
        head = [
            ("wants", wanted_words(facts, times)),
            ("holds", _held(facts, bar)),
            *(("why" if not n else "", line) for n, line in enumerate(why)),
            ("price", f"{bar.close:,.2f} at {times.full(bar.end)}" if bar else "no bar yet"),
        ]
        parts += [
            *([""] if parts else []),
            f"{symbol} by {facts.strategy or 'no strategy'}",
            Facts(times, head),
        ]
        if len(signals) > 1:
            parts += ["", "last signals", Timeline(times, _lines(facts, signals, times))]
        if moments:
            parts += ["", "the last one", Timeline(times, moments)]
        found.append({
            "strategy": facts.strategy, "state": facts.state, "position": facts.position, "why": why,
            "signals": _signals_data(facts, signals, times),
            "timeline": as_data(moments),
        })  # fmt: skip
    if not parts:
        parts = [f"{symbol}: no strategy has signalled it yet, and nothing is held"]
    bot = _bot_words(rows)
    data = {
        "symbol": symbol, "bot": bot, "blocks": blocks,
        "last_bar": bar._asdict() if bar else None, "holdings": found,
    }  # fmt: skip
    lines = [("blocked", line) for line in block_lines(blocks, times)]
    return data, [Facts(times, [("bot", bot), *lines]), "", *parts]


def explained_day(
    app: App, rows: Any, symbol: str, holdings: Sequence[Holding], date: TypedTime
) -> Explained:
    """Return what came of each signal of a trading date, and what went on beside them."""
    times, now = app.times, newest(rows) or app.wall()
    since, until = date.begin(now, EXCHANGE_ZONE), date.end(now, EXCHANGE_ZONE)
    parts: list[Any] = []
    found = []
    beside = rows_within(rows, Event, "time", Span(since, until), where=ABOUT_ORDERS)
    for holding in holdings:
        facts = read_holding(rows, holding, Span(since, until))
        signals = [s for s in facts.signals if since <= s.bar_time + MINUTE <= until]
        moments = in_order([
            *_lines(facts, signals, times),
            *(event_moment(e) for e in beside if _beside(e, facts)),
        ])  # fmt: skip
        none = f"no signals of {symbol} on {times.day(since)}"
        parts += [*([""] if parts else []), f"{symbol} by {facts.strategy or 'no strategy'}"]
        parts += [Timeline(times, moments)] if moments else [none]
        found.append({
            "strategy": facts.strategy, "signals": _signals_data(facts, signals, times),
            "timeline": as_data(moments),
        })  # fmt: skip
    if not parts:
        parts = [f"{symbol}: no strategy has signalled it yet"]
    return {"symbol": symbol, "since": since, "until": until, "holdings": found}, parts


def explained_at(
    app: App,
    rows: Any,
    symbol: str,
    holdings: Sequence[Holding],
    date: TypedTime | None,
    at: TypedTime,
) -> Explained:
    """Return why a symbol had an order at a minute, or had none."""
    times, now = app.times, newest(rows) or app.wall()
    zone = UTC if app.utc else EXCHANGE_ZONE
    if date is not None:
        day = new_york_date(date.begin(now, EXCHANGE_ZONE))
        now = datetime.combine(day, time(12), EXCHANGE_ZONE)
    moment = at.begin(now, zone).replace(second=0, microsecond=0)
    minute = read_minute(rows, symbol, moment)
    parts: list[Any] = [f"{symbol} at {times.full(moment)}"]
    found = []
    for holding in holdings:
        facts = read_holding(rows, holding, Span(moment, moment + MINUTE))
        orders = orders_made(rows, facts, minute)
        why = []
        if not orders:
            why = why_no_order(facts, minute, times) + orders_of_the_next_bar(facts, minute, times)
        moments = in_order(m for order in orders for m in order_moments(read_order(rows, order)))
        if orders:
            parts += [
                "",
                f"{facts.strategy or 'no strategy'} made an order",
                Timeline(times, moments),
            ]
        else:
            parts += [
                "",
                Facts(
                    times,
                    [
                        ((facts.strategy or "no strategy") if not n else "", line)
                        for n, line in enumerate(why)
                    ],
                ),
            ]
        found.append({
            "strategy": facts.strategy, "why_no_order": why,
            "orders": [{"order": o, **order_data(read_order(rows, o))} for o in orders],
            "timeline": as_data(moments),
        })  # fmt: skip
    beside = minute_moments(minute)
    if not holdings:
        parts += ["no strategy has signalled it yet"]
    if beside and not all(each["orders"] for each in found):
        parts += ["", Timeline(times, beside)]
    if minute.conditions:
        parts += ["", "in force then", Timeline(times, map(event_moment, minute.conditions))]
    data = {
        "symbol": symbol, "at": moment, "bar": minute.bar._asdict() if minute.bar else None,
        "in_force": minute.conditions, "events": minute.events, "holdings": found,
    }  # fmt: skip
    return data, parts


# -- pieces ----------------------------------------------------------------------------------------


def newest(rows: Any) -> datetime | None:
    """Return the newest time of a database, or None."""
    from smabot.cli.records.record_filters import newest_time

    return newest_time(rows)


def last_bar(rows: Any, symbol: str) -> Bar | None:
    """Return a symbol's newest bar, or None."""
    return next((bar for minute in rows.windows(1, {symbol}) for bar in minute), None)


def _bot_words(rows: Any) -> str:
    """Return whether a bot runs, or how the last run ended."""
    runs = rows.rows(Run, newest_by="run_id", limit=1)
    running = rows.in_use()
    if not runs:
        return "is starting" if running else "has never run"
    how, why = how_it_ended(runs[0], running=running), failure_of(runs[0])
    return (
        how
        if running
        else f"not running; the last run {'was ' if how.startswith('killed') else ''}{how}{f': {why}' if why else ''}"
    )


def _held(facts: HoldingFacts, bar: Bar | None) -> str:
    from decimal import Decimal

    held, position = facts.held, facts.position
    if position is None or not held:
        return "nothing"
    text = f"{number(held)} at {price(position.avg_price)}"
    if bar is None:
        return text
    sign = 1 if held > 0 else -1
    return f"{text}, unrealized P&L {gain(held * Decimal(repr(bar.close)) - position.cost * sign)}"


def _lines(facts: HoldingFacts, signals: Sequence[Signal], times: Times) -> list[Moment]:
    """Return a line for each signal, with what came of it."""
    return [
        Moment(
            s.bar_time + MINUTE, "signal", s.label, f"at {s.price:,.2f}: {outcome.text}",
            grave=not outcome.done and outcome.code not in ("open", "late"),
        )
        for s in signals
        for outcome in [outcome_of(s, facts, times)]
    ]  # fmt: skip


def _story(rows: Any, facts: HoldingFacts, signals: Sequence[Signal], times: Times) -> list[Moment]:
    """Return the story of signals and their orders."""
    moments: list[Moment] = []
    for signal in signals:
        orders = facts.orders_of(signal)
        for order in orders:
            moments += order_moments(read_order(rows, order), all_checks=False)
        if not orders:
            moments += _lines(facts, [signal], times)
    operators = [o for o in facts.orders if signals and o.bar_time > signals[-1].bar_time]
    for order in operators:
        moments += order_moments(read_order(rows, order), all_checks=False)
    return in_order(dict.fromkeys(moments))


def _signals_data(
    facts: HoldingFacts, signals: Sequence[Signal], times: Times
) -> list[dict[str, Any]]:
    from dataclasses import asdict

    return [
        {
            **asdict(signal),
            "outcome": outcome_of(signal, facts, times),
            "orders": [order.client_order_id for order in facts.orders_of(signal)],
        }
        for signal in signals
    ]


def _beside(event: Any, facts: HoldingFacts) -> bool:
    from smabot.cli.explanation.order_facts import OF_ALL, OF_THE_SYMBOL

    if event.kind in OF_THE_SYMBOL:
        return event.subject in ("", facts.symbol)
    return event.kind in OF_ALL
