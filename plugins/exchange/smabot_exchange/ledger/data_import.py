"""From historical data to a new ledger: what lies in the regular sessions, checked, counted, all or nothing."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

from smabot.provider import EXCHANGE_ZONE, Bar, ConfigError, FileLock, Session, sync_to_disk
from smabot_exchange.data.bar_spacing import bar_length, too_long
from smabot_exchange.data.corporate_actions import ListedAction
from smabot_exchange.data.data_source import DataSource
from smabot_exchange.data.sessions import OutsideCalendar, regular_sessions, session_on, span
from smabot_exchange.data.split_check import SplitCheck
from smabot_exchange.ledger.beginning import Beginning
from smabot_exchange.ledger.schema import APPLICATION_ID, SCHEMA, VERSION
from smabot_exchange.matching.account import AccountTerms
from smabot_exchange.matching.orders import plain

_DAY = 86_400
_MINUTE = 60
_AFTERMATH = timedelta(days=10)
"""Sessions after the data's last one are known too: an order sent after its close waits for them."""

_ENOUGH = 1_000

_INSERT_BAR = "INSERT INTO bars VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_SESSION = "INSERT INTO sessions VALUES (?, ?, ?, ?)"


def build_ledger(
    path: Path, source: DataSource, terms: AccountTerms, lock: FileLock, beginning: Beginning
) -> None:
    """Write a new ledger beside its place, lock it, and move it there when it is whole.

    Raises ConfigError when the data are bad or the file can't be written; then nothing is there.
    """
    unfinished = path.with_name(path.name + ".importing")
    try:
        unfinished.unlink(missing_ok=True)
        _fill(unfinished, source, terms, beginning)
        sync_to_disk(unfinished)
        lock.hold(unfinished)
        for left_over in ("-wal", "-shm"):
            path.with_name(path.name + left_over).unlink(missing_ok=True)
        unfinished.replace(path)
        sync_to_disk(path.parent)
    except OutsideCalendar as error:
        raise ConfigError(f"{source.label}: {error}") from None
    except (OSError, sqlite3.OperationalError) as error:
        raise ConfigError(
            f"ledger {path}: can't be written ({error}); give another --ledger or --db"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _fill(path: Path, source: DataSource, terms: AccountTerms, beginning: Beginning) -> None:
    began = time.perf_counter()
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -65536")
        db.executescript(SCHEMA)
        signature = source.signature()
        intake = DataImport(source.label, source.stored_label, source.actions())
        db.execute("BEGIN")
        db.executemany(_INSERT_BAR, intake.rows(source.bars()))
        sessions = intake.finish()
        db.executemany("INSERT INTO assets VALUES (?, ?)", sorted(intake.first_opens.items()))
        db.executemany(INSERT_SESSION, map(session_row, sessions))
        played = [session for session, has_data in sessions if has_data]
        starts = beginning.start(played, source.label)
        start = int(starts.timestamp())
        past = sum(session.close <= starts for session in played)
        meta = {
            "fingerprint": source.fingerprint(),
            "signature": signature,
            "label": source.stored_label,
            "account_id": str(uuid4()),
            "opening_cash": plain(terms.cash),
            "participation": plain(terms.max_volume_share),
            "multiplier": plain(terms.multiplier),
            "half_spread": plain(terms.half_spread),
            **{name: plain(value) for name, value in asdict(terms.costs).items()},
            "minutes": str(intake.minutes_from(start)),
            "start": str(start),
            "history": str(past),
            "since": beginning.since_text,
            "bars": str(intake.bars),
            "last_bar": str(intake.last_bar),
            "notes": json.dumps(intake.notes(past)),
            "import_seconds": f"{time.perf_counter() - began:.1f}",
        }
        db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        db.execute(
            "INSERT INTO state VALUES (1, ?, 0, ?, ?, '0')",
            (start, plain(terms.cash), plain(terms.cash)),
        )
        db.execute("COMMIT")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")
    finally:
        db.close()


def session_row(known: tuple[Session, bool]) -> tuple[str, int, int, bool]:
    """Return the row of table ``sessions`` of one that has data, or comes after them (false)."""
    session, played = known
    opens, closes = session.open.timestamp(), session.close.timestamp()
    return session.date.isoformat(), int(opens), int(closes), played


class DataImport:
    """Keeps the regular sessions' bars, and counts what is dropped and what is missing."""

    def __init__(self, label: str, stored_label: str, actions: Iterable[ListedAction] = ()) -> None:
        """``actions``: those that the data list."""
        self.first_opens: dict[str, float] = {}
        """Of each symbol the first open: the price that is known before its first bar."""
        self.minutes: set[int] = set()
        self._label = label
        self._stored_label = stored_label
        self._days: dict[int, tuple[int, int] | None] = {}
        self._played: dict[int, Session] = {}
        self.bars = 0
        """How many are kept."""
        self._dropped = 0
        self._outside: set[int] = set()
        """Minutes out of session, until there are enough to tell how long the bars are."""
        self._gaps = MissingMinutes()
        self._splits = SplitCheck(each.action for each in actions)

    def rows(self, bars: Iterable[Bar]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of table ``bars``."""
        days, minutes, due, opens = self._days, self.minutes, self._gaps.due, self.first_opens
        closes: dict[str, float] = {}
        kept = dropped = 0
        for symbol, start, open_, high, low, close, *rest in bars:
            stamp = int(start.timestamp())
            # A regular session lies within one UTC date, which is also its New York date.
            day = stamp // _DAY
            if day not in days:
                days[day] = self._hours_of(day)
            hours = days[day]
            if hours is None or not hours[0] <= stamp < hours[1]:
                dropped += 1
                if dropped < _ENOUGH:
                    self._outside.add(stamp)
                continue
            if symbol not in opens:
                opens[symbol] = open_
            if due.get(symbol) == stamp:
                due[symbol] = stamp + _MINUTE
            else:
                if symbol in due and due[symbol] // _DAY != day:
                    self._splits.look(symbol, due[symbol], closes[symbol], stamp, open_)
                self._gaps.jump(symbol, stamp, hours)
            closes[symbol] = close
            minutes.add(stamp)
            kept += 1
            yield (stamp, symbol, open_, high, low, close, *rest)
        self.bars, self._dropped = kept, dropped

    def finish(self) -> list[tuple[Session, bool]]:
        """Return the sessions, those with data (true) and the few after its end (false).

        Raises ConfigError when no row fell into a regular session.
        """
        if minutes := bar_length(self.minutes or self._outside):
            raise ConfigError(f"{self._label}: {too_long(minutes)}")
        if not self.bars:
            raise ConfigError(
                f"{self._label}: none of its {self._dropped:,} rows lies in a regular session "
                "(9:30 to 16:00 New York time on a trading day): `smabot data check` with it shows how "
                "its times are read"
            )
        self._gaps.finish()
        days = sorted({minute // _DAY for minute in self.minutes})
        played = [self._played[day] for day in days]
        after = _sessions_after(played[-1].date)
        return [(session, True) for session in played] + [(session, False) for session in after]

    def minutes_from(self, start: int) -> int:
        """Return how many minutes with bars begin at or after a time, seconds since 1970."""
        return sum(minute >= start for minute in self.minutes)

    @property
    def last_bar(self) -> int:
        """When the last bar starts, seconds since 1970."""
        return max(self.minutes)

    def notes(self, past: int = 0) -> list[str]:
        """Return what an operator should know, a line each; so many sessions are history."""
        played = {minute // _DAY for minute in self.minutes}
        lines = [
            f"{self._stored_label}, {_count(len(self.first_opens), 'symbol')}, "
            f"{_count(len(played), 'session')}, {_count(self.bars, 'bar')}"
        ]
        if self._dropped:
            lines.append(f"{_count(self._dropped, 'row')} outside the regular sessions left out")
        if holes := self._holes(played):
            lines.append(
                f"no bar at all in {_described(holes)}: left out, as if the exchange had been closed"
            )
        if missing := self._gaps.describe():
            lines.append(missing)
        lines += self._splits.notes()
        if past:
            last = self._played[sorted(played)[past - 1]]
            lines.append(history_note(past, last))
        return lines

    def _holes(self, played: set[int]) -> list[list[date]]:
        """Return the sessions without a bar between others, those in a row together."""
        holes: list[list[date]] = []
        for before, day in pairwise(sorted(played)):
            between = (session_on(_utc(each * _DAY).date()) for each in range(before + 1, day))
            if hole := [session.date for session in between if session is not None]:
                holes.append(hole)
        return holes

    def _hours_of(self, day: int) -> tuple[int, int] | None:
        try:
            session = session_on(_utc(day * _DAY).date())
        except OutsideCalendar as error:
            raise OutsideCalendar(f"{error}, or leave out the rows beyond") from None
        if session is None:
            return None
        self._played[day] = session
        return int(session.open.timestamp()), int(session.close.timestamp())


class MissingMinutes:
    """The minutes of a session in which a symbol that traded in it has no bar."""

    def __init__(self) -> None:
        self.due: dict[str, int] = {}
        """Of each symbol the minute that comes next if none is missing."""
        self._close: dict[str, int] = {}
        self._minutes: dict[str, int] = {}
        self._sessions: dict[str, set[int]] = {}
        self._first: dict[str, tuple[int, int]] = {}

    def jump(self, symbol: str, stamp: int, hours: tuple[int, int]) -> None:
        """Count what is missing before a bar that is not the one due."""
        opens, closes = hours
        if self._close.get(symbol) != closes:
            self._end_session(symbol)
            self._close[symbol] = closes
            self.due[symbol] = opens
        self._missing(symbol, self.due[symbol], stamp)
        self.due[symbol] = stamp + _MINUTE

    def finish(self) -> None:
        """Count what is missing at the data's end."""
        for symbol in self.due:
            self._end_session(symbol)

    def describe(self) -> str:
        """Return one line, empty when nothing is missing."""
        if not self._minutes:
            return ""
        symbol = min(self._first, key=lambda name: (self._first[name], name))
        start, end = (_utc(stamp).astimezone(EXCHANGE_ZONE) for stamp in self._first[symbol])
        line = (
            f"{symbol}: {_count(self._minutes[symbol], 'minute')} without a bar in "
            f"{_count(len(self._sessions[symbol]), 'session')}, "
            f"the first {start:%Y-%m-%d %H:%M}–{end:%H:%M} New York"
        )
        if others := len(self._minutes) - 1:
            rest = sum(self._minutes.values()) - self._minutes[symbol]
            line += f"; {_count(others, 'more symbol')} with {_count(rest, 'minute')} missing"
        return line

    def _end_session(self, symbol: str) -> None:
        if symbol in self._close:
            self._missing(symbol, self.due[symbol], self._close[symbol])

    def _missing(self, symbol: str, start: int, end: int) -> None:
        if start >= end:
            return
        self._minutes[symbol] = self._minutes.get(symbol, 0) + (end - start) // _MINUTE
        self._sessions.setdefault(symbol, set()).add(end // _DAY)
        self._first.setdefault(symbol, (start, end - _MINUTE))


def _sessions_after(end: date) -> list[Session]:
    """Return the sessions that follow the data. Raises OutsideCalendar where they are not known."""
    last = span()[1]
    if end + _AFTERMATH > last:
        raise OutsideCalendar(
            f"its last session is {end}, and orders after it wait for the next ones, but the trading "
            f"calendar ends on {last}: leave out the rows after {last - _AFTERMATH}, or upgrade "
            "smabot-exchange"
        )
    return regular_sessions(end + timedelta(days=1), end + _AFTERMATH)


def history_note(past: int, last: Session) -> str:
    """Return that so many sessions are history, up to the last of them."""
    return f"{_count(past, 'session')} of them history, up to {last.date}"


def _described(holes: Sequence[Sequence[date]]) -> str:
    """Return how many sessions holes have, and where the longest is."""
    longest = max(holes, key=len)
    span = f"from {longest[0]} to {longest[-1]}" if len(longest) > 1 else f"on {longest[0]}"
    if len(holes) == 1:
        return f"{_count(len(longest), 'session')} {span}"
    sessions = _count(sum(map(len, holes)), "session")
    return f"{sessions} in {len(holes):,} holes, the longest {len(longest):,} {span}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _utc(stamp: int) -> datetime:
    return datetime.fromtimestamp(stamp, UTC)
