"""Alpaca's bars of past sessions into a store: what is missing there, a month at a time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Protocol

from loguru import logger

from smabot.provider import MINUTE, Bar, BrokerError, Calendar, ConfigError, Session
from smabot_alpaca.machine import Machine
from smabot_alpaca.rest.bar_history import BarHistory
from smabot_alpaca.rest.client import RequestRefused

BARS_AT_ONCE = 100_000
"""About so many bars are fetched before they are written: what a kill costs at most."""
FULL_SESSION = 390
PAUSES = (1.0, 4.0, 15.0, 60.0)
"""Seconds before another attempt, where Alpaca or the way to it failed."""

Tell = Callable[[int, str], None]
Minutes = dict[datetime, Bar]


class Store(Protocol):
    """Where bars are kept, by symbol and year: the paper exchange's `BarStore`."""

    def years(self, symbol: str) -> list[int]: ...
    def days(self, symbol: str, years: Sequence[int] | None = None) -> Counter[date]: ...
    def minutes(self, symbol: str, year: int) -> Minutes: ...
    def write(self, symbol: str, year: int, minutes: Minutes) -> None: ...


@dataclass(frozen=True, slots=True)
class Chunk:
    """Sessions of one month that all of some symbols lack."""

    symbols: tuple[str, ...]
    sessions: tuple[Session, ...]

    @property
    def size(self) -> int:
        """How many sessions these are, counted for each symbol."""
        return len(self.symbols) * len(self.sessions)


def missing_chunks(
    store: Store, symbols: Sequence[str], sessions: Sequence[Session]
) -> list[Chunk]:
    """Return what a store lacks, oldest first. A session of which it has any bar is complete there."""
    years = sorted({session.date.year for session in sessions})
    stored = {symbol: store.days(symbol, years) for symbol in symbols}
    chunks = []
    for _, group in groupby(sessions, lambda session: (session.date.year, session.date.month)):
        month = list(group)
        lacking: dict[tuple[Session, ...], list[str]] = defaultdict(list)
        for symbol in symbols:
            missing = tuple(each for each in month if each.date not in stored[symbol])
            if missing:
                lacking[missing].append(symbol)
        for missing, names in lacking.items():
            most = max(BARS_AT_ONCE // (FULL_SESSION * len(missing)), 1)
            starts = range(0, len(names), most)
            chunks += [Chunk(tuple(names[start : start + most]), missing) for start in starts]
    return chunks


class BarFetch:
    """Fetches bars into a store. Whatever ends it, the next one goes on by what is stored."""

    def __init__(self, store: Store, history: BarHistory, machine: Machine) -> None:
        self.fetched: Counter[str] = Counter()
        """How many bars of each symbol were fetched and stored."""
        self._store = store
        self._history = history
        self._machine = machine
        self._reached = False
        """Whether Alpaca has answered: a first failure is rather a wrong address or no network at all."""

    def fetch(self, chunks: Sequence[Chunk], tell: Tell) -> None:
        """Fetch and store chunks. Raises BrokerError, and OSError where the store can't be written."""
        done = 0
        for chunk in chunks:
            shown = f"{chunk.sessions[0].date:%Y-%m} {chunk.symbols[0]}"
            more = f" and {len(chunk.symbols) - 1} more" if len(chunk.symbols) > 1 else ""
            tell(done, f"{shown}{more}, {self.fetched.total():,} bars")
            self._keep(chunk, self._between(chunk.symbols, chunk.sessions))
            done += chunk.size
        tell(done, f"{self.fetched.total():,} bars")

    def check_source(self, newest: dict[str, Session]) -> None:
        """Compare the newest session that is stored of each symbol with what Alpaca gives now.

        Raises ConfigError where most of its bars differ: those of two sources must not stand in one file.
        """
        by_session = sorted(newest, key=lambda symbol: (newest[symbol].date, symbol))
        for session, symbols in groupby(by_session, lambda symbol: newest[symbol]):
            names = list(symbols)
            given = _by_symbol(self._between(names, [session]))
            for symbol in names:
                stored = {
                    time: bar
                    for time, bar in self._store.minutes(symbol, session.date.year).items()
                    if session.open <= time < session.close
                }
                _require_same(symbol, session, stored, given.get(symbol, {}))

    def _keep(self, chunk: Chunk, bars: Sequence[Bar]) -> None:
        year = chunk.sessions[0].date.year
        missing = {session.date for session in chunk.sessions}
        wanted = [bar for bar in bars if bar.time.date() in missing]
        for symbol, minutes in sorted(_by_symbol(wanted).items()):
            self._store.write(symbol, year, self._store.minutes(symbol, year) | minutes)
            self.fetched[symbol] += len(minutes)

    def _between(self, symbols: Sequence[str], sessions: Sequence[Session]) -> list[Bar]:
        """Return the bars from the first session to the last one, with patience. Raises BrokerError."""
        first, last = sessions[0].open, sessions[-1].close - MINUTE
        pauses = iter(PAUSES if self._reached else PAUSES[:1])
        while True:
            try:
                bars = self._history.between(symbols, first, last)
            except BrokerError as error:
                pause = next(pauses, None)
                if pause is None or isinstance(error, RequestRefused):
                    raise
                logger.info("alpaca: {}: trying again in {:g} s", error, pause)
                self._machine.sleep(pause)
            else:
                self._reached = True
                return bars


def newest_stored(
    store: Store, symbols: Sequence[str], session_on: Callable[[date], Session | None]
) -> dict[str, Session]:
    """Return of each symbol with bars the newest session that is stored."""
    found = {}
    for symbol in symbols:
        if years := store.years(symbol):
            days = store.days(symbol, years[-1:])
            session = session_on(max(days)) if days else None
            if session is not None:
                found[symbol] = session
    return found


def calendar_of(sessions: Sequence[Session]) -> Calendar:
    """Return a calendar of sessions, each once."""
    return Calendar({session.date: session for session in sessions}.values())


def _by_symbol(bars: Sequence[Bar]) -> dict[str, Minutes]:
    found: dict[str, Minutes] = defaultdict(dict)
    for bar in bars:
        found[bar.symbol].setdefault(bar.time, bar)
    return found


def _require_same(symbol: str, session: Session, stored: Minutes, given: Minutes) -> None:
    def differs(time: datetime) -> bool:
        return time not in given or given[time][2:7] != stored[time][2:7]

    differing = sorted(filter(differs, stored))
    if 2 * len(differing) <= len(stored):
        return  # a few are late corrections
    time = next(iter(differing))
    now = f"{given[time].close:g} now" if time in given else "no bar now"
    raise ConfigError(
        f"{symbol}: most bars stored of {session.date} are not what Alpaca gives (close at "
        f"{time:%H:%M}Z {stored[time].close:g} stored, {now}): another --feed or --adjustment, another "
        "source, or a split since; give what it was fetched with, or another --data"
    )
