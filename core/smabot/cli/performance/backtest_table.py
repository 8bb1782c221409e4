"""How a backtest's result looks: as a table beside buy-and-hold, and as JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from smabot.cli.output import gain, money, table
from smabot.cli.performance.buy_and_hold import BuyAndHold
from smabot.cli.performance.performance import Performance
from smabot.cli.text_layout import width_of, wrapped
from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import Status
from smabot.errors import counted

if TYPE_CHECKING:
    from smabot.cli.times import Times

HUGE = 100
"""What is scaled to a year from few sessions may have dozens of digits."""
Shown = Callable[[Any], str]


def as_percent(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:+.2%}" if abs(value) < HUGE else f"{value * 100:+.0e}%"


def as_share(value: Any) -> str:
    return "-" if value is None else f"{value:.2%}"


def as_number(value: Any) -> str:
    return "-" if value is None else f"{value:.2f}"


COMPARED: Mapping[str, tuple[str, Shown]] = {
    "return": ("return", as_percent),
    "annual_return": ("annualised", as_percent),
    "volatility": ("volatility", as_share),
    "sharpe": ("Sharpe", as_number),
    "sortino": ("Sortino", as_number),
    "calmar": ("Calmar", as_number),
    "max_drawdown": ("max drawdown", as_share),
}
"""What stands beside buy-and-hold: the names in JSON and on the screen, and how each is shown."""


def figures_of(performance: Performance) -> dict[str, Any]:
    """Return the ratios, by the names that those of buy-and-hold have."""
    return {
        "return": _float(performance.gained),
        "annual_return": performance.annual_return,
        "volatility": performance.volatility,
        "sharpe": performance.sharpe,
        "sortino": performance.sortino,
        "calmar": performance.calmar,
        "max_drawdown": float(performance.drawdown.depth),
    }


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def backtest_data(
    performance: Performance, market: BuyAndHold, notes: Sequence[str]
) -> dict[str, Any]:
    """Return the result as JSON has it."""
    statistics, fell = performance.statistics, performance.drawdown
    return {
        "begin": performance.begin.time, "end": performance.end.time,
        "sessions": len(performance.days),
        "opening_equity": performance.begin.equity, "closing_equity": performance.end.equity,
        **figures_of(performance),
        "drawdown_from": fell.peak, "drawdown_to": fell.bottom, "recovered": fell.recovered,
        "exposure": performance.exposure, "invested": performance.invested, "turnover": performance.turnover,
        "traded": performance.traded, "fees": performance.fees,
        "price_costs": performance.price_costs,
        "round_trips": statistics.round_trips, "win_rate": _float(statistics.win_rate),
        "profit_factor": _float(statistics.profit_factor), "average_trade": statistics.average_trade,
        "average_win": statistics.average_win, "average_loss": statistics.average_loss,
        "holding_seconds": _seconds(performance), "still_held": performance.still_held,
        "fills": len(performance.fills),
        "orders": {str(status): n for status, n in sorted(performance.orders.items())},
        "blocked_by": dict(performance.blocked_by),
        "buy_and_hold": market.figures,
        "notes": list(notes),
    }  # fmt: skip


def _seconds(performance: Performance) -> float | None:
    held = performance.holding_time
    return None if held is None else held.total_seconds()


def backtest_lines(
    performance: Performance, market: BuyAndHold, times: Times, notes: Sequence[str]
) -> list[Any]:
    """Return the result as the screen shows it."""
    figures, held = figures_of(performance), market.figures
    compared = [
        (title, shown(figures[name]), shown(held[name]))
        for name, (title, shown) in COMPARED.items()
    ]
    return [
        span_line(performance, times),
        "",
        table(("", ">strategy", ">buy and hold"), compared),
        "",
        table(("", ""), list(other_figures(performance, times)), heads=False),
        *note_lines([times.in_text(note) for note in notes]),
    ]


def note_lines(notes: Sequence[str]) -> list[str]:
    """Return notes below a table, in the screen's width."""
    width = width_of(sys.stdout)
    lines = [line for note in notes for line in wrapped(f"note: {note}", width, 6)]
    return ["", *lines] if lines else []


def span_line(performance: Performance, times: Times) -> str:
    """Return from when to when it is, and what equity became."""
    begin, end = performance.begin, performance.end
    sessions = counted(len(performance.days), "session")
    return (
        f"{times.day(begin.time)} to {times.day(end.time)}, {sessions}: "
        f"{money(begin.equity)} became {money(end.equity)}"
    )


def other_figures(performance: Performance, times: Times) -> Iterable[tuple[str, str]]:
    """Yield the titles and texts of what stands below the ratios."""
    statistics, fell = performance.statistics, performance.drawdown
    if fell.depth:
        back = f"recovered {times.full(fell.recovered)}" if fell.recovered else "not recovered"
        yield "drawdown", f"{times.full(fell.peak)} to {times.full(fell.bottom)}, {back}"
    yield "round trips", _trips(performance)
    if statistics.round_trips:
        averages = (statistics.average_trade, statistics.average_win, statistics.average_loss)
        trade, win, loss = ("-" if each is None else gain(each) for each in averages)
        yield "average trade", f"{trade}; won {win}, lost {loss}"
    held = performance.holding_time
    yield "held for", "-" if held is None else f"{_clock(held)} on average, nights included"
    yield (
        "exposure",
        f"{as_share(performance.exposure)} of the time; {as_share(performance.invested)} of equity on average",
    )
    turnover = performance.turnover
    yield "turnover", "-" if turnover is None else f"{turnover:,.1f} times equity a year"
    yield "costs", _costs(performance)
    if (paid := performance.price_costs) is not None and performance.traded:
        share = f"{paid / performance.traded:.4%} of what was traded; market orders alone"
        yield "spread, slippage", f"{money(paid)}, {share}" if paid else "none; market orders alone"
    yield "orders", _orders(performance.orders)
    for name, times_failed in performance.blocked_by.items():
        yield "", f"{times_failed:,} blocked by {name}"


def _clock(span: timedelta) -> str:
    """Return a span as ``3 h 05 min``."""
    hours, minutes = divmod(round(span / MINUTE), 60)
    return f"{hours:,} h {minutes:02} min"


def _trips(performance: Performance) -> str:
    statistics = performance.statistics
    text = f"{statistics.round_trips:,}"
    if statistics.win_rate is not None:
        text += f", {statistics.win_rate:.0%} won"
    if statistics.profit_factor is not None:
        text += f", profit factor {statistics.profit_factor:.2f}"
    if performance.still_held:
        text += f"; {counted(performance.still_held, 'position')} still open"
    return text


def _costs(performance: Performance) -> str:
    """Return the fees, and their part of what was traded."""
    fees, traded = performance.fees, performance.traded
    if not fees or not traded:
        return "no commissions or fees"
    return f"{money(fees)} of fees, {fees / traded:.4%} of what was traded"


def _orders(orders: Mapping[Status, int]) -> str:
    named = ", ".join(f"{number:,} {status}" for status, number in sorted(orders.items()))
    return named or "none"
