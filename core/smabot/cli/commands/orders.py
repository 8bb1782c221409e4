"""`smabot orders`: lists orders, or shows some of them in full."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from smabot.cli import output
from smabot.cli.records.order_ids import find_order, short_id
from smabot.cli.records.record_filters import OPEN_GROUP, Filters, filtered
from smabot.cli.records.record_listing import limit_of, newest, show
from smabot.domain.frozen_classes import replace
from smabot.errors import UsageError

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.cli.records.listing import Listing
    from smabot.domain.records import Fill, Order


@click.command()
@click.argument("ids", nargs=-1, metavar="[ORDER]...")
@click.option("--open", "only_open", is_flag=True, help="Only orders that may still fill.")
@click.pass_obj
@filtered(limit=limit_of("orders"), status=True)
def orders(app: App, ids: tuple[str, ...], only_open: bool, filters: Filters) -> None:
    """List orders, the newest last.

    With ORDER, an id or a part that no other order has, show everything that is known of it: also what
    each risk check answered, and its fills.
    """
    from smabot.domain.records import Order

    if only_open:
        if filters.statuses:
            raise UsageError("--open is --status open: give one of them")
        filters = replace(filters, statuses=(OPEN_GROUP,))
    if ids:
        _show_in_full(app, ids, filters)
        return
    with app.rows() as rows:
        found, span = newest(app, rows, Order, "created_at", filters)
    show(
        app, "orders", found, filters, span, csv_fields=Order,
        screen=lambda shown: listing(app, shown), as_json=with_risk_checks,
    )  # fmt: skip


def listing(app: App, orders: list[Order]) -> Listing:
    """Return orders as a table."""
    from smabot.cli.records.listing import Listing

    limited = any(order.limit_price is not None for order in orders)
    limits = [(">limit", lambda o: output.money(o.limit_price))] if limited else []
    columns: output.Columns = (
        app.times.column(orders, lambda o: o.created_at),
        ("symbol", lambda o: o.symbol),
        ("side", lambda o: o.side.value),
        (">qty", lambda o: output.number(o.qty)),
        ("status", status_words),
        *limits,
        (">price", lambda o: output.money(o.filled_avg_price)),
    )
    ids = ("order", lambda o: short_id(o.client_order_id))
    return Listing(columns, orders, movable=ids, notes=lambda o: notes(app, o))


def status_words(order: Order) -> str:
    """Return an order's status, and how much has filled where that is not all or nothing."""
    from smabot.domain.order_terms import Status

    status = order.status.value
    if not order.filled_qty or order.status is Status.FILLED:
        return status
    filled = f"filled {output.number(order.filled_qty)} of {output.number(order.qty)}"
    return filled if order.status is Status.PARTIALLY_FILLED else f"{filled}, {status}"


def notes(app: App, order: Order) -> list[str]:
    """Return why an order is as it is, and what is known of its cancel."""
    found = [order.reason] if order.reason else []
    asked = order.cancel_requested_at
    if asked is not None:
        why = f": {order.cancel_reason}" if order.cancel_reason else ""
        if not order.status.terminal:
            found.append(f"cancel unanswered since {app.times.full(asked)}{why}")
        elif not order.cancel_reason or order.cancel_reason != order.reason:
            found.append(f"cancel requested {app.times.full(asked)}{why}")
    return found


def with_risk_checks(order: Order) -> dict[str, Any]:
    """Return an order's fields, and its checks read: ``checks`` keeps their text."""
    from smabot.domain.risk_answers import read_checks

    return asdict(order) | {"risk_checks": read_checks(order.checks)}


# -- orders in full --------------------------------------------------------------------------------


def _show_in_full(app: App, ids: tuple[str, ...], filters: Filters) -> None:
    from smabot.domain.records import Fill, Order

    if filters.selective or filters.limit is not None:
        raise UsageError(
            "an order's id names it: give no --status, --symbol or other filter with it"
        )
    with app.rows() as rows:
        found = list(dict.fromkeys(find_order(rows, text) for text in ids))
        fills = [
            rows.rows(Fill, where={"client_order_id": order.client_order_id}, newest_by="time")
            for order in found
        ]
    if app.as_json:
        both = zip(found, fills, strict=True)
        app.emit({"orders": [with_risk_checks(o) | {"fills": made} for o, made in both]}, "")
        return
    if filters.as_csv:
        output.print_csv(Order, found)
        return
    screen: list[Any] = []
    for order, made in zip(found, fills, strict=True):
        screen += [*([""] if screen else []), *_in_full(app, order, made)]
    app.emit({}, screen)


def _in_full(app: App, order: Order, fills: list[Fill]) -> list[Any]:
    from smabot.cli.records.listing import Details, Listing
    from smabot.domain.calendar import MINUTE
    from smabot.domain.risk_answers import read_checks

    def exact(time: Any) -> str:
        return app.times.full(time, seconds=True)

    number, money = output.number, output.money
    asked = order.cancel_requested_at
    limit = f" at {money(order.limit_price)} or better" if order.limit_price is not None else ""
    filled = f"{number(order.filled_qty)} of {number(order.qty)}"
    if order.filled_avg_price is not None:
        filled += f" at {number(order.filled_avg_price)}"
    timeout = order.timeout_minutes
    lines = {
        "order": order.client_order_id,
        "strategy": order.strategy or "none",
        "symbol": order.symbol,
        "kind": "exit" if order.reduces else "entry",
        "terms": f"{order.side} {number(order.qty)}, {order.type}{limit}, {order.time_in_force}",
        "status": order.status.value,
        "reason": order.reason,
        "filled": filled,
        "fees": money(order.fees) if order.fees else "",
        "realized P&L": output.gain(order.realized_pnl) if order.reduces else "",
        "bar": f"{app.times.full(order.bar_time)} to {app.times.clock(order.bar_time + MINUTE)}",
        "attempt": str(order.attempt),
        "created": exact(order.created_at),
        "submitted": exact(order.submitted_at),
        "last update": exact(order.updated_at),
        "broker's id": order.broker_order_id or "",
        "timeout": "" if timeout is None else f"{timeout} min" if timeout else "never",
        "cancel": f"requested {exact(asked)}: {order.cancel_reason}".rstrip(": ") if asked else "",
        "refusal": order.cause.value,
        "free shares": "" if order.available is None else number(order.available),
        "price collar": "its bar was outside; it waits for another one" if order.collared else "",
        "given up": exact(order.given_up_at),
    }
    parts: list[Any] = [Details(lines)]
    if checks := read_checks(order.checks):
        parts += [Listing((
            ("check", lambda c: c.name),
            ("", lambda c: "passed" if c.passed else "FAILED"),
            (">value", lambda c: c.value),
            (">limit", lambda c: c.limit),
        ), checks, notes=lambda c: [c.reason] if c.reason != order.reason else [])]  # fmt: skip
    if fills:
        parts += [Listing((
            ("fill", lambda f: exact(f.time)),
            (">qty", lambda f: number(f.qty)),
            (">price", lambda f: number(f.price)),
            *([(">fees", lambda f: money(f.fees))] if order.fees else []),
            (">realized P&L", lambda f: output.gain(f.realized_pnl) if f.reduces else ""),
        ), fills)]  # fmt: skip
    return parts
