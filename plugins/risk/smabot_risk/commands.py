"""`smabot breaker`, `smabot breaker reset` and `smabot limits`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import click
from rich.table import Table

from smabot.records import ZERO, EquityPoint
from smabot_risk.circuit_breaker import RESET, BreakerSettings, BreakerState, in_words
from smabot_risk.daily_limits import DailySettings, DayCounts, SymbolCounts

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def breaker_group(settings: BreakerSettings) -> click.Group:
    """Return the group that shows and resets the breaker."""

    @click.group(invoke_without_command=True)
    @as_json_option
    @click.pass_context
    def breaker(ctx: click.Context, as_json: bool) -> None:
        """Show the circuit breaker: armed or tripped, since when and why."""
        if ctx.invoked_subcommand is not None:
            return
        with ctx.obj.rows() as rows:
            state = rows.row(BreakerState, "main") or BreakerState("main")
        lines = [
            ("state", in_words(state)),
            ("failures in a row", _of(state.failure_count, settings.max_failures)),
            ("last failure", state.last_failure or "none"),
            ("session's start", _baseline(state.session_equity, settings.max_session_drawdown)),
            ("peak", _baseline(state.peak_equity, settings.max_peak_drawdown)),
        ]
        data = {**asdict(state), "settings": settings.model_dump()}
        ctx.obj.emit(data, _table(("circuit breaker", ""), lines), as_json)

    @breaker.command()
    @as_json_option
    @click.pass_context
    def reset(ctx: click.Context, as_json: bool) -> None:
        """Arm the breaker again, with no failures and from the equity there is now."""
        answer = ctx.obj.send(RESET)
        ctx.obj.emit({"answer": answer}, answer, as_json)

    return breaker


def limits_command(settings: DailySettings) -> click.Command:
    """Return the command that shows what the newest trading date has used of its limits."""

    @click.command()
    @as_json_option
    @click.pass_context
    def limits(ctx: click.Context, as_json: bool) -> None:
        """Show what the last trading date used of the daily limits."""
        with ctx.obj.rows() as rows:
            days = rows.rows(DayCounts, newest_by="trading_date", limit=1)
            points = rows.rows(EquityPoint, newest_by="time", limit=1)
            day = days[0] if days else None
            symbols = (
                rows.rows(SymbolCounts, where={"trading_date": day.trading_date}) if day else []
            )
        equity = points[0].equity if points else ZERO
        loss = max(day.start_equity - equity, ZERO) if day else ZERO
        used = {
            "max_trades": day.trade_count if day else 0,
            "max_orders": day.order_count if day else 0,
            "max_orders_per_symbol": max((each.order_count for each in symbols), default=0),
            "max_loss": loss,
            "max_loss_fraction": loss / day.start_equity if day and day.start_equity else ZERO,
            "max_exposure": points[0].positions_value if points else ZERO,
        }
        data = {
            **(asdict(day) if day else {}),
            "loss": loss,
            "used": used,
            "symbols": {each.symbol: each.order_count for each in symbols},
            "settings": settings.model_dump(),
        }
        title = f"limits on {day.trading_date}" if day else "limits: no trading date yet"
        lines = [(name, _of(value, getattr(settings, name))) for name, value in used.items()]
        ctx.obj.emit(data, _table((title, "used"), lines), as_json)

    return limits


def _of(used: int | Decimal, limit: int | Decimal) -> str:
    return f"{_number(used)} of {_number(limit)}" if limit else f"{_number(used)} (off)"


def _number(value: int | Decimal) -> str:
    return f"{value:,.2f}" if isinstance(value, Decimal) else f"{value:,}"


def _baseline(equity: Decimal | None, limit: Decimal) -> str:
    trips = f", trips {limit:.2%} below" if limit else " (off)"
    return f"{equity:,.2f}{trips}" if equity is not None else "not known yet"


def _table(columns: tuple[str, str], lines: Sequence[tuple[str, Any]]) -> Table:
    table = Table(*columns, box=None)
    for line in lines:
        table.add_row(*line)
    return table
