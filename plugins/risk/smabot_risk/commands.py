"""`smabot breaker`, `smabot breaker reset` and `smabot limits`."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from smabot.api import ZERO, EquityPoint
from smabot_risk.breaker_state import RESET_COMMAND, BreakerState, describe_breaker
from smabot_risk.daily_counts import DayCounts, SymbolCounts, count_of_limit
from smabot_risk.settings import CircuitBreakerSettings, DailyLimitsSettings

if TYPE_CHECKING:
    from smabot.api import App


def breaker_group(settings: CircuitBreakerSettings) -> click.Group:
    """Return the command that shows the breaker, with the one that resets it."""

    @click.group(invoke_without_command=True)
    @click.pass_context
    def breaker(ctx: click.Context) -> None:
        """Show the circuit breaker: armed or tripped, since when and why."""
        if ctx.invoked_subcommand is None:
            _show_breaker(ctx.obj, settings)

    @breaker.command()
    @click.pass_obj
    def reset(app: App) -> None:
        """Arm the breaker again; failures and drawdown start over."""
        answer = app.send(RESET_COMMAND)
        app.emit({"answer": answer}, app.times.in_text(answer))

    return breaker


def limits_command(settings: DailyLimitsSettings) -> click.Command:
    """Return the command that shows what was used of the limits."""

    @click.command()
    @click.pass_obj
    def limits(app: App) -> None:
        """Show what the last trading date used of the daily limits."""
        _show_limits(app, settings)

    return limits


def _show_breaker(app: App, settings: CircuitBreakerSettings) -> None:
    with app.rows() as rows:
        state = rows.row(BreakerState, "main") or BreakerState("main")
    lines = [
        ("breaker", app.times.in_text(describe_breaker(state))),
        ("failures in a row", _used_of(state.failure_count, settings.max_failures)),
        ("last failure", _last_failure(state)),
        ("session opening equity", _baseline(state.session_equity, settings.max_session_drawdown)),
        ("peak", _baseline(state.peak_equity, settings.max_peak_drawdown)),
    ]
    data = {**asdict(state), "settings": settings.model_dump()}
    app.emit(data, app.table(("", ""), lines, heads=False))


def _show_limits(app: App, settings: DailyLimitsSettings) -> None:
    with app.rows() as rows:
        days = rows.rows(DayCounts, newest_by="trading_date", limit=1)
        points = rows.rows(EquityPoint, newest_by="time", limit=1)
        if not days:
            app.emit({"trading_date": None}, "no trading date yet")
            return
        day = days[0]
        symbols = rows.rows(SymbolCounts, where={"trading_date": day.trading_date})
    loss = max(day.start_equity - points[0].equity, ZERO) if points else ZERO
    loss_limit = day.start_equity * settings.max_loss_fraction
    exposure = points[0].positions_value if points else ZERO
    busiest = max(symbols, key=lambda each: each.order_count, default=None)
    most = busiest.order_count if busiest else 0
    lines = [
        ("max_trades", _used_of(day.trade_count, settings.max_trades)),
        ("max_orders", _used_of(day.order_count, settings.max_orders)),
        ("max_orders_per_symbol", _used_of(most, settings.max_orders_per_symbol, busiest)),
        ("max_loss", _used_of(loss, settings.max_loss)),
        ("max_loss_fraction", _used_of(loss, loss_limit)),
        ("max_exposure", _used_of(exposure, settings.max_exposure)),
    ]
    data = {
        **asdict(day),
        "loss": loss,
        "holdings": exposure,
        "orders_per_symbol": {each.symbol: each.order_count for each in symbols},
        "settings": settings.model_dump(),
    }
    app.emit(data, app.table((f"limits on {day.trading_date}", "used"), lines))


def _last_failure(state: BreakerState) -> str:
    """Return the id of the order that failed last, as `smabot orders` shows ids."""
    return (
        state.failed_orders.split()[-1].removeprefix("smabot-") if state.failed_orders else "none"
    )


def _used_of(used: int | Decimal, limit: int | Decimal, of: SymbolCounts | None = None) -> str:
    who = f" ({of.symbol})" if of else ""
    if isinstance(used, int):
        text = count_of_limit(used, int(limit))
    else:
        text = f"{used:,.2f} of {limit:,.2f}" if limit else f"{used:,.2f}"
    return text + who if limit else f"{text}{who}, no limit"


def _baseline(equity: Decimal | None, limit: Decimal) -> str:
    if equity is None:
        return "not known yet"
    return f"{equity:,.2f}, trips {limit:.2%} below" if limit else f"{equity:,.2f}, no limit"
