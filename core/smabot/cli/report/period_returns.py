"""Returns by session and by month, without what was deposited or withdrawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from math import prod

from smabot.cli.commands.pnl import period_name
from smabot.cli.records.equity_history import EquityDay
from smabot.domain.records import ZERO


@dataclass(frozen=True, slots=True)
class PeriodReturn:
    """What a session or a month made. ``gained`` is a fraction, None where equity was 0 or below before it.

    Money in US dollars: ``change`` of equity without ``deposits``, and ``equity`` at the end.
    """

    period: str
    gained: float | None
    change: Decimal
    deposits: Decimal
    equity: Decimal


def day_returns(days: Sequence[EquityDay]) -> list[PeriodReturn]:
    """Return each session's return: its change by the equity before it."""
    return [
        PeriodReturn(
            each.day.isoformat(), _gained(each), each.change, each.deposits, each.end.equity
        )
        for each in days
    ]


def month_returns(days: Sequence[EquityDay]) -> list[PeriodReturn]:
    """Return each month's return, compounded from those of its sessions."""
    return [
        _of_several(name, list(members))
        for name, members in groupby(days, key=lambda each: period_name(each.day, "month"))
    ]


def _of_several(name: str, days: Sequence[EquityDay]) -> PeriodReturn:
    gains = [gained for each in days if (gained := _gained(each)) is not None]
    return PeriodReturn(
        name,
        prod(1 + each for each in gains) - 1 if len(gains) == len(days) else None,
        sum((each.change for each in days), ZERO),
        sum((each.deposits for each in days), ZERO),
        days[-1].end.equity,
    )


def _gained(day: EquityDay) -> float | None:
    before = day.end.equity - day.change - day.deposits
    return float(day.change / before) if before > 0 else None
