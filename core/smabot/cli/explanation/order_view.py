"""An order's story as JSON and on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from smabot.cli.explanation.moments import Facts, Moment, Timeline, in_order
from smabot.cli.explanation.order_facts import OrderFacts, read_order, realized
from smabot.cli.explanation.order_timeline import order_moments, terms
from smabot.cli.explanation.signal_outcome import order_outcome
from smabot.cli.records.order_ids import short_id
from smabot.cli.times import Times
from smabot.domain.records import Order


def explained(times: Times, rows: Any, order: Order) -> tuple[dict[str, Any], list[Any]]:
    """Return an order's story: its data, and the parts of the screen."""
    facts = read_order(rows, order)
    moments = in_order(order_moments(facts))
    head = [
        ("order", short_id(order.client_order_id)),
        (
            "what",
            f"{terms(order)}, {'an exit' if order.reduces else 'an entry'} of {order.strategy}",
        ),
        ("outcome", order_outcome(order).text),
    ]
    data = {"order": order, **order_data(facts), "outcome": order_outcome(order)}
    return data | {"timeline": as_data(moments)}, [Facts(times, head), "", Timeline(times, moments)]


def order_data(facts: OrderFacts) -> dict[str, Any]:
    """Return an order's facts as JSON has them."""
    return {
        "bar": None if facts.bar is None else facts.bar._asdict(),
        "signal": facts.signal,
        "command": facts.command,
        "size": facts.size,
        "checks": facts.checks,
        "events": facts.events,
        "queried_by_runs": [run.run_id for run, _ in facts.queried],
        "attempts_before": [order.client_order_id for order in facts.before],
        "decision_price": facts.asked_price,
        "fills": [{**asdict(f), "slippage": facts.slippage(f)} for f in facts.fills],
        "realized_pnl": realized(facts) if facts.order.reduces else None,
        "round_trip": facts.round_trip,
    }


def as_data(moments: Sequence[Moment]) -> list[dict[str, Any]]:
    """Return moments as JSON has them."""
    return [asdict(moment) for moment in moments]
