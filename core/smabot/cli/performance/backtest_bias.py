"""What makes a backtest's figures better than trading would be: counted step by step, while it trades."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from math import sqrt
from operator import attrgetter
from typing import Any

from smabot.cli.performance.performance import Performance
from smabot.cli.performance.ratios import SESSIONS_A_YEAR
from smabot.domain.calendar import MINUTE, Calendar
from smabot.domain.corporate_actions import CorporateAction
from smabot.domain.records import ZERO, Adjustment, Bar, Fill
from smabot.domain.splits import SuspectedSplit, split_between
from smabot.errors import counted

MOST_SHARE = 0.05
"""Who takes more of a minute's volume moves its price, which a bar that is past does not show."""
MOST_SPLITS = 3
"""So many are named."""
HIGHEST_SHARPE = 4.0
"""What strategies that trade minutes rarely exceed, after chance is taken off."""
HIGHEST_WIN_RATE = 0.95
ENOUGH_WON = 30
"""Fewer round trips may all be won by chance."""


class BacktestBias:
    """Looks at each committed step of a backtest once, and says what its figures leave out."""

    def __init__(self, calendar: Calendar) -> None:
        """``calendar`` has the sessions too of which the data lack all."""
        self._fills = _Fills(calendar)
        self._data = _DataUnderPositions(calendar)

    def take(self, rows: Sequence[Any], bars: Sequence[Bar]) -> None:
        """Take a step's rows and bars in, or those of several; fills are of the last minute."""
        self._data.take_bars(bars)
        if fills := [row for row in rows if type(row) is Fill]:
            self._fills.take(fills, bars)
            self._data.take_fills(fills)

    def take_splits(self, rows: Sequence[Any]) -> None:
        """Take in the splits among a step's rows that the bot follows just now, and what became of its shares."""
        self._data.take_splits(rows)

    def notes(self) -> Iterator[str]:
        """Yield a line for each reason to trust the figures less, with what to do."""
        yield from self._fills.notes()
        yield from self._data.notes()


def too_good(performance: Performance) -> Iterator[str]:
    """Yield a line where the figures are better than knowing the past alone gives.

    Two standard errors of the Sharpe ratio are taken off, as few sessions give a high one by chance.
    """
    reasons, statistics = [], performance.statistics
    sharpe, sessions = performance.sharpe, len(performance.days)
    if sharpe is not None and sharpe - 2 * sqrt(SESSIONS_A_YEAR / sessions) > HIGHEST_SHARPE:
        reasons.append(f"a Sharpe ratio of {sharpe:.1f} over {counted(sessions, 'session')}")
    trips, won = statistics.round_trips, statistics.win_rate
    if trips >= ENOUGH_WON and won is not None and won >= HIGHEST_WIN_RATE:
        reasons.append(f"{statistics.wins:,} of {counted(trips, 'round trip')} won")
    if reasons:
        yield (
            f"too good to be true? {' and '.join(reasons)}: if the strategy looks ahead, or knows these days "
            "from a file, trading will not repeat it; try it with `smabot verify`, and on days that it has "
            "not seen"
        )


class _Fills:
    """Counts the fills at prices that the market may not have given."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._count = self._heavy = self._opening = 0
        self._largest = 0.0

    def take(self, fills: Sequence[Fill], bars: Sequence[Bar]) -> None:
        minute = fills[-1].time.replace(second=0, microsecond=0)
        taken = dict.fromkeys([fill.symbol for fill in fills], 0.0)
        for fill in fills:
            taken[fill.symbol] += float(fill.qty)
        shares = dict.fromkeys(taken, 0.0)
        for bar in reversed(bars):
            if bar[1] < minute:
                break
            if bar[0] in taken:
                shares[bar[0]] = taken[bar[0]] / bar.volume if bar.volume else 1.0
        heavy = [share for fill in fills if (share := shares[fill.symbol]) > MOST_SHARE]
        self._heavy += len(heavy)
        self._largest = max(self._largest, *heavy, 0.0)
        self._count += len(fills)
        session = self._calendar.session_at(minute)
        if session is not None and session.open == minute:
            self._opening += len(fills)

    def notes(self) -> Iterator[str]:
        if self._heavy:
            yield (
                f"{self._heavy:,} of {counted(self._count, 'fill')} took more than {MOST_SHARE:.0%} of "
                f"their bar's volume, {self._largest * 100:.3g}% at most: trade less, or set a lower "
                "exchange.max_volume_share"
            )
        if self._opening:
            yield (
                f"{self._opening:,} of {counted(self._count, 'fill')} {_be(self._opening)} in a session's "
                "first minute, where the opening price is uncertain: trade later, or set "
                "exchange.slippage"
            )


def _be(number: int) -> str:
    return "is" if number == 1 else "are"


@dataclass(frozen=True, slots=True)
class _Hole:
    """Minutes of sessions in which a held symbol had no bar, in a row, from ``start`` on."""

    minutes: int
    symbol: str
    start: datetime


class _DataUnderPositions:
    """Finds what the data lack, or have wrong, while a position is held."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._last: dict[str, Bar] = {}
        self._held: dict[str, Decimal] = {}
        self._holes: list[_Hole] = []
        self._splits: list[SuspectedSplit] = []
        self._followed: set[tuple[str, date]] = set()

    def take_bars(self, bars: Sequence[Bar]) -> None:
        last = self._last
        for bar in bars:
            before = last.get(bar[0])
            last[bar[0]] = bar
            if before is not None and bar[1] - before[1] != MINUTE and self._held.get(bar[0]):
                self._add_hole(before, bar.time)
                split = split_between(before, bar)
                if split is not None and (split.symbol, split.date) not in self._followed:
                    self._splits.append(split)

    def take_splits(self, rows: Sequence[Any]) -> None:
        for row in rows:
            if type(row) is Adjustment:
                self._held[row.symbol] = self._held.get(row.symbol, ZERO) + row.qty
            elif type(row) is CorporateAction and row.applied_at is not None:
                self._followed.add((row.symbol, row.ex_date))

    def take_fills(self, fills: Sequence[Fill]) -> None:
        for fill in fills:
            change = fill.qty * fill.side.sign
            self._held[fill.symbol] = self._held.get(fill.symbol, ZERO) + change

    def _add_hole(self, before: Bar, until: datetime) -> None:
        """Count what a symbol lacks after a bar of it: nothing where no session was open."""
        if minutes := open_minutes(self._calendar, before.end, until):
            self._holes.append(_Hole(minutes, before.symbol, before.end))

    def notes(self) -> Iterator[str]:
        """Yield them; the bars of what is still held may have ended early, too."""
        end = max((bar.end for bar in self._last.values()), default=None)
        for symbol, held in self._held.items():
            if held and end is not None:
                self._add_hole(self._last[symbol], end)
        if self._holes:
            longest = max(self._holes, key=attrgetter("minutes"))
            total = sum(hole.minutes for hole in self._holes)
            yield (
                f"positions were held over {counted(len(self._holes), 'hole')} in the data, "
                f"{counted(total, 'minute')} in all, {longest.minutes:,} in the longest: {longest.symbol} from "
                f"{longest.start:%Y-%m-%d %H:%M} UTC; get those bars, or trade symbols that have them"
            )
        for split in self._splits[:MOST_SPLITS]:
            yield (
                f"{split.symbol} was held over what looks like a {split.ratio} split on {split.date}, so its "
                "profit is not real: take adjusted bars, as `smabot data fetch --adjustment split` gets them"
            )
        if (more := len(self._splits) - MOST_SPLITS) > 0:
            yield f"{counted(more, 'more such split')}: see `smabot data check`"


def open_minutes(calendar: Calendar, since: datetime, until: datetime) -> int:
    """Return how many minutes of sessions lie between two times."""
    minutes, session = 0, calendar.next_session(since)
    while session is not None and session.open < until:
        minutes += (min(session.close, until) - max(session.open, since)) // MINUTE
        session = calendar.next_session(session.close)
    return minutes
