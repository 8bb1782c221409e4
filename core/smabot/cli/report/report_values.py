"""A report as data: exact values by name, for JSON and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from smabot.cli.performance.backtest_table import backtest_data
from smabot.cli.report.check_counts import CheckCount
from smabot.cli.report.distribution import Distribution
from smabot.cli.report.period_returns import PeriodReturn, day_returns, month_returns
from smabot.cli.run_outcome import how_it_ended
from smabot.cli.run_settings import settings_data
from smabot.domain.records import Order
from smabot.domain.round_trips import RoundTrip

if TYPE_CHECKING:
    from smabot.cli.report.report_data import Report
    from smabot.cli.report.trade_reasons import Trade

TRADES = (
    *(each.name for each in fields(RoundTrip)), "return", "held_seconds", "entry_reason", "exit_reason",
)  # fmt: skip
ORDERS = (*(each.name for each in fields(Order)), "why")
PERIODS = ("period", "return", "change", "deposits", "equity")
CHECKS = tuple(each.name for each in fields(CheckCount))


def report_rows(report: Report) -> dict[str, list[dict[str, Any]]]:
    """Return the tables of a report. ``why`` is why an order was made."""
    days = report.performance.days
    return {
        "trades": [_trade(each) for each in report.trades],
        "orders": [
            {**asdict(each), "why": report.reasons[each.client_order_id]} for each in report.orders
        ],
        "days": [_period(each) for each in day_returns(days)],
        "months": [_period(each) for each in month_returns(days)],
        "checks": [asdict(each) for each in report.checks],
    }


def report_data(report: Report, notes: Sequence[str]) -> dict[str, Any]:
    """Return a report as JSON has it: the figures of a backtest, and the tables."""
    rows = report_rows(report)
    figures = backtest_data(report.performance, report.market, notes)
    spread = Distribution.of([each.trip.realized_pnl for each in report.trades])
    return {
        **figures,
        "days": rows["days"], "months": rows["months"], "trades": rows["trades"],
        "distribution": spread,
        "unfilled_orders": [
            {**row, "decided_at": report.priced.get(row["client_order_id"])}
            for row in rows["orders"]
            if row["client_order_id"] in {each.client_order_id for each in report.unfilled}
        ],
        "checks": rows["checks"],
        "runs": [
            {
                "run_id": each.run_id, "started_at": each.started_at, "ended_at": each.ended_at,
                "end": how_it_ended(each, running=each.run_id == report.running),
                "ready_ms": each.ready_ms, "version": each.version, "mode": each.mode,
                "plugins": each.plugins,
            }
            for each in report.runs
        ],
        "settings": settings_data(report.settings or ()),
        "settings_changes": [asdict(each) for each in report.settings_changes],
    }  # fmt: skip


def _trade(trade: Trade) -> dict[str, Any]:
    return {
        **asdict(trade.trip),
        "return": trade.gained, "held_seconds": trade.held.total_seconds(),
        "entry_reason": trade.entry_reason, "exit_reason": trade.exit_reason,
    }  # fmt: skip


def _period(period: PeriodReturn) -> dict[str, Any]:
    return {
        "period": period.period, "return": period.gained, "change": period.change,
        "deposits": period.deposits, "equity": period.equity,
    }  # fmt: skip
