"""Minute assembly: bars that come one by one leave a minute at a time, oldest first.

Pure: it knows neither sockets nor clocks; times of arrival are handed in, in seconds of any clock that
never goes back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from smabot.provider import MINUTE, Bar, Calendar
from smabot_alpaca.clock import last_closed, session_spans

REMEMBERED = 10
"""Minutes whose bars are kept, so that a duplicate bar is no revision."""


class MinuteState(Enum):
    """The states of a minute; `MinuteAssembly` numbers them."""

    EXPECTED = auto()
    COLLECTING = auto()
    HELD = auto()
    READY = auto()
    DELIVERED = auto()


@dataclass(frozen=True, slots=True)
class MissingBars:
    """Bars that have not come: of these symbols, some in the minutes from ``first`` to ``last``."""

    symbols: tuple[str, ...]
    first: datetime
    last: datetime

    @property
    def most(self) -> int:
        """The most bars it may be."""
        return len(self.symbols) * ((self.last - self.first) // MINUTE + 1)


class MinuteAssembly:
    """Collects bars into minutes, and knows which ones are missing.

    States of a minute:

    1. EXPECTED: it has ended, and no bar of it waits. A bar comes: 2.
    2. COLLECTING: bars of it wait for the others. All symbols there, a bar of a later minute there, or
       ``quiet`` seconds passed since its last bar: 4.
    3. HELD: 2 or 4 would hold, but bars of an earlier minute are missing. They come, or `mark_checked`
       says that REST was asked for them: 2 or 4.
    4. READY: it leaves at the next `take_minutes`: 5.
    5. DELIVERED: a bar that comes now is a revision, or, where its symbol has nothing newer, begins
       another 2.

    Invariants:

    - Minutes leave oldest first, and no minute leaves past one whose bars are missing and unchecked.
    - Of each symbol bars leave in ascending order, each minute once.
    - A bar of a known symbol is delivered or a revision; a duplicate is neither.
    - A minute that is whole, or checked, is missing no more.
    """

    def __init__(
        self,
        symbols: Collection[str],
        calendar: Calendar,
        quiet: float,
        checked: datetime,
        newest: Mapping[str, datetime] | None = None,
        delivered: Mapping[datetime, Mapping[str, Bar]] | None = None,
    ) -> None:
        """``checked``: start of the newest minute that is known to be whole; ``newest``: of each
        symbol's newest delivered bar; ``delivered``: the newest delivered bars, by minute."""
        self.revisions: list[Bar] = []
        """Bars that came too late or changed since they left; whoever takes them clears it."""
        self._symbols = frozenset(symbols)
        self._calendar = calendar
        self._quiet = quiet
        self._newest = dict(newest or {})
        self._expected_until = checked
        self._arrived: dict[datetime, set[str]] = {}  # by minute not yet checked, oldest first
        self._waiting: dict[datetime, dict[str, Bar]] = {}
        self._last_arrival: dict[datetime, float] = {}
        self._delivered = {time: dict(minute) for time, minute in (delivered or {}).items()}

    # -- in --------------------------------------------------------------------------------------

    def add_bars(self, bars: Iterable[Bar], at: float) -> None:
        """Take minute bars in that came at ``at`` seconds."""
        newest, symbols, waiting = self._newest, self._symbols, self._waiting
        time, minute, arrived = None, {}, set()
        for bar in bars:
            symbol = bar.symbol
            if symbol not in symbols:
                continue
            if symbol in newest and bar.time <= newest[symbol]:
                self._add_late(bar)
                continue
            if bar.time != time:
                time = bar.time
                self.expect_until(bar.end)
                minute = waiting.setdefault(time, {})
                arrived = self._arrived.get(time, set())
                self._last_arrival[time] = at
            minute.setdefault(symbol, bar)
            arrived.add(symbol)

    def revise_bars(self, bars: Iterable[Bar], at: float) -> None:
        """Take bars in that replace earlier ones of the same minute."""
        for bar in bars:
            minute = self._waiting.get(bar.time, {})
            if bar.symbol in minute:
                minute[bar.symbol] = bar
            else:
                self.add_bars([bar], at)

    def expect_until(self, now: datetime) -> None:
        """Expect bars of all the sessions' minutes that have ended at ``now``."""
        last = last_closed(now)
        if last <= self._expected_until:
            return
        for minute, end in session_spans(self._calendar, self._expected_until + MINUTE, last):
            for ahead in range((end - minute) // MINUTE + 1):
                self._arrived[minute + ahead * MINUTE] = set()
        self._expected_until = last

    def mark_checked(self, until: datetime) -> None:
        """REST was asked for what was missing up to the minute that starts at ``until``."""
        self.expect_until(until + MINUTE)
        for minute in [minute for minute in self._arrived if minute <= until]:
            del self._arrived[minute]

    def lacks_bar(self, bar: Bar) -> bool:
        """Whether neither this bar nor a newer one of its symbol has come."""
        known = self._newest.get(bar.symbol)
        waiting = bar.symbol in self._waiting.get(bar.time, ())
        return not waiting and (known is None or known < bar.time)

    # -- out -------------------------------------------------------------------------------------

    def missing_bars(self, until: datetime) -> MissingBars | None:
        """Return what is missing up to the minute that starts at ``until``, or None."""
        self._drop_whole_minutes()
        symbols: set[str] = set()
        minutes = []
        for minute, arrived in self._arrived.items():
            if minute <= until and len(arrived) < len(self._symbols):
                minutes.append(minute)
                symbols |= self._symbols - arrived
        return MissingBars(tuple(sorted(symbols)), minutes[0], minutes[-1]) if minutes else None

    @property
    def held_minute(self) -> datetime | None:
        """The newest minute that is held, or None."""
        hole = self._first_hole()
        return None if hole is None else max((m for m in self._waiting if m > hole), default=None)

    def take_minutes(self, at: float, *, all_there: bool = False) -> list[list[Bar]]:
        """Return the minutes that are ready at ``at`` seconds, oldest first, each sorted by symbol.

        ``all_there``: the sender says that nothing more comes; then none waits.
        """
        taken = []
        for time in sorted(self._waiting):
            if not all_there and self.state_of(time, at) is not MinuteState.READY:
                break
            minute = self._waiting.pop(time)
            del self._last_arrival[time]
            self._delivered.setdefault(time, {}).update(minute)
            self._newest.update(dict.fromkeys(minute, time))
            taken.append([minute[symbol] for symbol in sorted(minute)])
        while len(self._delivered) > REMEMBERED:
            del self._delivered[min(self._delivered)]
        return taken

    def ready_at(self) -> float | None:
        """Return when the oldest minute is ready, in seconds; None: it needs more than time."""
        time = min(self._waiting, default=None)
        return None if time is None or self._is_held(time) else self._ready_at(time)

    def state_of(self, time: datetime, at: float) -> MinuteState | None:
        """Return the state, at ``at`` seconds, of the minute that starts then; None: it is in none."""
        if time in self._waiting:
            if self._is_held(time):
                return MinuteState.HELD
            return MinuteState.READY if at >= self._ready_at(time) else MinuteState.COLLECTING
        if time in self._delivered:
            return MinuteState.DELIVERED
        return MinuteState.EXPECTED if time in self._arrived else None

    # -- inside ----------------------------------------------------------------------------------

    def _ready_at(self, time: datetime) -> float:
        whole = len(self._arrived.get(time, ())) >= len(self._symbols)
        passed = any(later > time for later in (*self._waiting, *self._delivered))
        return self._last_arrival[time] + (0 if whole or passed else self._quiet)

    def _is_held(self, time: datetime) -> bool:
        hole = self._first_hole()
        return hole is not None and hole < time

    def _first_hole(self) -> datetime | None:
        """Return the oldest minute of which bars are missing."""
        self._drop_whole_minutes()
        whole = len(self._symbols)
        return next((m for m, arrived in self._arrived.items() if len(arrived) < whole), None)

    def _drop_whole_minutes(self) -> None:
        for minute in list(self._arrived):
            if len(self._arrived[minute]) < len(self._symbols) or minute in self._waiting:
                break
            del self._arrived[minute]

    def _add_late(self, bar: Bar) -> None:
        if bar.time in self._arrived:
            self._arrived[bar.time].add(bar.symbol)
        known = self._delivered.get(bar.time)
        if known is not None:
            if known.get(bar.symbol) == bar:
                return
            known[bar.symbol] = bar
        self.revisions.append(bar)
