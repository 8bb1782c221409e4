"""The minute barrier: bars that come one by one leave a minute at a time, oldest first.

Pure: it knows neither sockets nor clocks; times of arrival are handed in, in seconds of any clock that
never goes back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from smabot.provider import MINUTE, Bar, Calendar
from smabot_alpaca.clock import last_closed, session_spans

REMEMBERED = 10
"""Minutes whose bars are kept to tell a doubled bar from a revised one."""


@dataclass(frozen=True, slots=True)
class MissingBars:
    """Bars that have not come: of these symbols, some in the minutes from ``first`` to ``last``."""

    symbols: tuple[str, ...]
    first: datetime
    last: datetime

    @property
    def size(self) -> int:
        """The most bars it may have."""
        return len(self.symbols) * ((self.last - self.first) // MINUTE + 1)


class MinuteAssembly:
    """Collects bars into minutes, and knows which ones are missing.

    A minute leaves when all its symbols are there, when a later minute's bar has come, or when
    ``quiet`` seconds passed since its last bar. It waits where bars of a minute before it have not come,
    until `check` says that REST has been asked for them.
    Of each symbol bars leave in ascending order; what comes later than that is a revision.
    """

    def __init__(
        self,
        symbols: Collection[str],
        calendar: Calendar,
        quiet: float,
        checked: datetime,
        seen: Mapping[str, datetime] | None = None,
        left: Mapping[datetime, Mapping[str, Bar]] | None = None,
    ) -> None:
        """``checked``: start of the newest minute that is known to be whole; ``seen``: of each
        symbol's newest delivered bar; ``left``: the newest delivered bars, by minute."""
        self.revisions: list[Bar] = []
        """Bars that came too late or changed since they left; whoever takes them clears it."""
        self._symbols = frozenset(symbols)
        self._calendar = calendar
        self._quiet = quiet
        self._seen = dict(seen or {})
        self._noted = checked
        self._came: dict[datetime, set[str]] = {}  # minutes not yet checked, oldest first
        self._waiting: dict[datetime, dict[str, Bar]] = {}
        self._stirred: dict[datetime, float] = {}
        self._left = {time: dict(minute) for time, minute in (left or {}).items()}

    # -- in --------------------------------------------------------------------------------------

    def add(self, bars: Iterable[Bar], at: float) -> None:
        """Take minute bars in that came at ``at`` seconds."""
        seen, symbols, waiting = self._seen, self._symbols, self._waiting
        time, minute, came = None, {}, set()
        for bar in bars:
            symbol = bar.symbol
            if symbol not in symbols:
                continue
            if symbol in seen and bar.time <= seen[symbol]:
                self._late(bar)
                continue
            if bar.time != time:
                time = bar.time
                self.note(bar.end)
                minute = waiting.setdefault(time, {})
                came = self._came.get(time, set())
                self._stirred[time] = at
            minute.setdefault(symbol, bar)
            came.add(symbol)

    def revise(self, bars: Iterable[Bar], at: float) -> None:
        """Take bars in that replace earlier ones of the same minute."""
        for bar in bars:
            minute = self._waiting.get(bar.time, {})
            if bar.symbol in minute:
                minute[bar.symbol] = bar
            else:
                self.add([bar], at)

    def note(self, now: datetime) -> None:
        """Take note of the time: of the session's minutes that have ended."""
        last = last_closed(now)
        if last <= self._noted:
            return
        for minute, end in session_spans(self._calendar, self._noted + MINUTE, last):
            for ahead in range((end - minute) // MINUTE + 1):
                self._came[minute + ahead * MINUTE] = set()
        self._noted = last

    def check(self, until: datetime) -> None:
        """REST was asked for what was missing up to the minute that starts at ``until``."""
        self.note(until + MINUTE)
        for minute in [minute for minute in self._came if minute <= until]:
            del self._came[minute]

    def lacks(self, bar: Bar) -> bool:
        """Whether neither this bar nor a newer one of its symbol has come."""
        known = self._seen.get(bar.symbol)
        waiting = bar.symbol in self._waiting.get(bar.time, ())
        return not waiting and (known is None or known < bar.time)

    # -- out -------------------------------------------------------------------------------------

    def gap(self, until: datetime) -> MissingBars | None:
        """Return what is missing up to the minute that starts at ``until``, or None."""
        self._forget_whole()
        lacking: set[str] = set()
        minutes = []
        for minute, came in self._came.items():
            if minute <= until and len(came) < len(self._symbols):
                minutes.append(minute)
                lacking |= self._symbols - came
        return MissingBars(tuple(sorted(lacking)), minutes[0], minutes[-1]) if minutes else None

    @property
    def held(self) -> datetime | None:
        """The newest minute that waits for `check`, or None when none does."""
        hole = self._hole()
        return None if hole is None else max((m for m in self._waiting if m > hole), default=None)

    def take(self, at: float, *, all_there: bool = False) -> list[list[Bar]]:
        """Return the minutes that are ready at ``at`` seconds, oldest first, each sorted by symbol.

        ``all_there``: whoever sent them says that nothing more comes; then none waits.
        """
        ready = []
        for time in sorted(self._waiting):
            if not all_there and (self._blocked(time) or at < self._due(time)):
                break
            minute = self._waiting.pop(time)
            del self._stirred[time]
            self._left.setdefault(time, {}).update(minute)
            self._seen.update(dict.fromkeys(minute, time))
            ready.append([minute[symbol] for symbol in sorted(minute)])
        while len(self._left) > REMEMBERED:
            del self._left[min(self._left)]
        return ready

    def due(self) -> float | None:
        """Return when the oldest minute is ready, in seconds; None: it needs more than time."""
        time = min(self._waiting, default=None)
        return None if time is None or self._blocked(time) else self._due(time)

    # -- inside ----------------------------------------------------------------------------------

    def _due(self, time: datetime) -> float:
        whole = len(self._came.get(time, ())) >= len(self._symbols)
        passed = any(later > time for later in (*self._waiting, *self._left))
        return self._stirred[time] + (0 if whole or passed else self._quiet)

    def _blocked(self, time: datetime) -> bool:
        hole = self._hole()
        return hole is not None and hole < time

    def _hole(self) -> datetime | None:
        self._forget_whole()
        whole = len(self._symbols)
        return next((minute for minute, came in self._came.items() if len(came) < whole), None)

    def _forget_whole(self) -> None:
        for minute in list(self._came):
            if len(self._came[minute]) < len(self._symbols) or minute in self._waiting:
                break
            del self._came[minute]

    def _late(self, bar: Bar) -> None:
        if bar.time in self._came:
            self._came[bar.time].add(bar.symbol)
        known = self._left.get(bar.time)
        if known is not None:
            if known.get(bar.symbol) == bar:
                return
            known[bar.symbol] = bar
        self.revisions.append(bar)
