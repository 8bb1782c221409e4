"""What smabot makes of one data file, without stopping at what is wrong in it."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from smabot.provider import (
    EXCHANGE_ZONE,
    OVERNIGHT,
    Bar,
    ConfigError,
    SuspectedSplit,
    split_between,
)
from smabot_exchange.data.bar_spacing import bar_length, too_long
from smabot_exchange.data.data_files import data_file_error, order_fault
from smabot_exchange.data.file_layout import Hints, Layout, Table, layout_of, open_table
from smabot_exchange.data.row_reader import BadRow
from smabot_exchange.data.sessions import OutsideCalendar, session_on
from smabot_exchange.data.time_stamps import TimeReader, zone_named
from smabot_exchange.data.zone_check import ZoneDoubt, zone_doubt

_ZONES = ("America/New_York", "UTC")
"""Of those that data are given in the most usual; which one it is, only the operator knows."""

_JUMP = 10
"""How many times the price before, within a day, is more than a market's move."""
_SPIKE = 1.1
"""How many times those of the minutes before and after a price of one minute is hardly ever."""


@dataclass(frozen=True, slots=True)
class PriceJump:
    """A minute with a price far from the one before it; ``time`` is its start."""

    symbol: str
    time: datetime
    price: float
    before: float


@dataclass
class Refusal:
    """What is wrong in one way: how often, and where first."""

    kind: str
    first: str
    count: int = 0


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How a file is read."""

    kind: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    """Each meaning, and the file's column for it."""
    ignored: tuple[str, ...] = ()
    symbol_from: str = "column"
    """Or ``name``, of the file, or ``header``, or ``option``."""
    newest_first: bool = False


@dataclass(frozen=True, slots=True)
class Suspicions:
    """Prices that can be, but hardly are."""

    splits: list[SuspectedSplit] = field(default_factory=list)
    jumps: list[PriceJump] = field(default_factory=list)
    """Minutes with a price far from the one before."""
    spikes: list[PriceJump] = field(default_factory=list)
    """Minutes with a price that neither the one before nor the one after is near."""


@dataclass
class FileReport:
    """What is known of one file."""

    path: Path
    format: FileFormat = FileFormat()
    rows: int = 0
    symbols: set[str] = field(default_factory=set)
    times: str = ""
    first: datetime | None = None
    last: datetime | None = None
    refusals: dict[str, Refusal] = field(default_factory=dict)
    zones: dict[str, int] = field(default_factory=dict)
    """Of times without a zone: how many lie in a regular session, read in each of some zones."""
    suspected: Suspicions = field(default_factory=Suspicions)
    zone_doubt: ZoneDoubt = field(default_factory=ZoneDoubt)
    """Why times may be read in a wrong zone."""
    ends_of_minutes: bool = False
    """Whether each session runs from 09:31 to 16:00: times seem to be the ends of minutes."""

    def refuse(self, kind: str, text: str) -> None:
        """Count what is wrong."""
        self.refusals.setdefault(kind, Refusal(kind, text)).count += 1


class FileCheck:
    """Reads one file to its end; ``bars`` yields what can be used, ``report`` is complete after that."""

    def __init__(self, file: Path, hints: Hints, latest: MutableMapping[str, Bar]) -> None:
        self.report = FileReport(file)
        self._hints = hints
        self._latest = latest
        """The last bar of each symbol, over all files."""
        self._stamps: set[int] = set()
        self._known_days: set[date] = set()
        """Dates that the calendar knows."""
        self._sessions = _SessionEnds()

    def bars(self) -> Iterator[Bar]:
        """Yield the bars that can be used, in the order of the file."""
        import zlib

        report, file = self.report, self.report.path
        try:
            layout = layout_of(file, self._hints)
            with closing(open_table(file, self._hints)) as table:
                self._note_layout(table, layout)
                yield from self._bars_of(table, layout)
        except (EOFError, zlib.error, OSError, UnicodeDecodeError) as error:
            report.refuse("file", _apart(data_file_error(file, error, report.rows), file))
        except ConfigError as error:
            report.refuse("file", _apart(error, file))
        if not report.rows and not report.refusals:
            report.refuse("file", "has no rows after its header")
        if minutes := bar_length(self._stamps):
            report.refuse("length", too_long(minutes))
        report.suspected = self._sessions.suspected
        report.ends_of_minutes = self._sessions.end_late

    def _note_layout(self, table: Table, layout: Layout) -> None:
        source = "column"
        if layout.symbol is not None:
            source = "header" if table.symbol else "name"
            source = "option" if self._hints.symbol else source
            self.report.symbols.add(layout.symbol)
        columns = table.columns
        self.report.format = FileFormat(
            f"{table.kind}{', decimal commas' if layout.decimal_commas else ''}",
            tuple(columns.shown()),
            columns.ignored,
            source,
            layout.newest_first,
        )

    def _bars_of(self, table: Table, layout: Layout) -> Iterator[Bar]:
        report, reader = self.report, layout.reader(table, self._hints.zone)
        rows = ((row, table.where()) for row in table.rows())
        counts = _InSession(self._hints.zone is None and layout.naive, layout.day_first)
        for row, where in reversed(list(rows)) if layout.newest_first else rows:
            report.rows += 1
            place = _place(where, report.path)
            try:
                bar = Bar(*reader.values(row))
            except BadRow as error:
                report.refuse(error.kind, f"{place}: {error}")
                if error.kind == "no zone":
                    counts.add(reader.stamp(row))
                continue
            if fault := self._fault(bar):
                report.refuse(fault[0], f"{place}: {fault[1]}")
                continue
            self._note(bar)
            yield bar
        report.times = _described(reader.times.forms, self._hints.zone)
        naive = reader.times.forms == {"no zone"}
        report.zone_doubt = zone_doubt(self._stamps, self._hints.zone if naive else None)
        report.zones = counts.found

    def _fault(self, bar: Bar) -> tuple[str, str] | None:
        before = self._latest.get(bar.symbol)
        if before is not None and bar.time <= before.time:
            kind = "duplicate" if bar.time == before.time else "order"
            return kind, order_fault(bar, before.time)
        day = bar.time.date()
        if day in self._known_days:
            return None
        try:
            session_on(day)
        except OutsideCalendar as error:
            return "calendar", str(error)
        self._known_days.add(day)
        return None

    def _note(self, bar: Bar) -> None:
        report = self.report
        self._sessions.add(bar, self._latest.get(bar.symbol))
        self._latest[bar.symbol] = bar
        self._stamps.add(int(bar.time.timestamp()))
        report.symbols.add(bar.symbol)
        report.first = min(report.first or bar.time, bar.time)
        report.last = max(report.last or bar.time, bar.time)


class _InSession:
    """Counts the rows that lie in a regular session, in each of the usual zones."""

    def __init__(self, wanted: bool, day_first: bool | None) -> None:
        self.found = dict.fromkeys(_ZONES, 0) if wanted else {}
        self._readers = {zone: TimeReader(zone_named(zone), day_first) for zone in self.found}

    def add(self, stamp: object) -> None:
        for zone, reader in self._readers.items():
            self.found[zone] += is_regular(reader.read(stamp))


class _SessionEnds:
    """The first and last minutes of sessions, and the prices from bar to bar."""

    def __init__(self) -> None:
        self.suspected = Suspicions()
        self._second_last: dict[str, Bar] = {}
        self._opened: set[date] = set()
        self._second: set[date] = set()
        self._closed: set[date] = set()

    def add(self, bar: Bar, before: Bar | None) -> None:
        """Look at a bar; ``before`` is the one before it of its symbol, in whichever file."""
        local = bar.time.astimezone(EXCHANGE_ZONE)
        day, minute = local.date(), (local.hour, local.minute)
        if minute == (9, 30):
            self._opened.add(day)
        elif minute == (9, 31):
            self._second.add(day)
        elif minute == (16, 0):
            self._closed.add(day)
        if before is not None and (split := split_between(before, bar)):
            self.suspected.splits.append(split)
        if before is None or bar.time - before.time >= OVERNIGHT:
            self._second_last.pop(bar.symbol, None)
            self._note_jump(bar, bar.open)
            return
        if not self._note_jump(bar, before.close) and bar.symbol in self._second_last:
            self._note_spike(self._second_last[bar.symbol], before, bar)
        self._second_last[bar.symbol] = before

    def _note_jump(self, bar: Bar, before: float) -> bool:
        for price in (bar.high, bar.low):
            if not before / _JUMP <= price <= before * _JUMP:
                self.suspected.jumps.append(PriceJump(bar.symbol, bar.time, price, before))
                return True
        return False

    def _note_spike(self, before: Bar, bar: Bar, after: Bar) -> None:
        highest, lowest = max(before.high, after.high), min(before.low, after.low)
        for price, beside in ((bar.high, highest), (bar.low, lowest)):
            if not lowest / _SPIKE <= price <= highest * _SPIKE:
                self.suspected.spikes.append(PriceJump(bar.symbol, bar.time, price, beside))
                return

    @property
    def end_late(self) -> bool:
        return bool(self._closed) and not self._opened and self._closed <= self._second


def is_regular(moment: datetime) -> bool:
    """Whether a time lies in a regular session."""
    try:
        session = session_on(moment.astimezone(EXCHANGE_ZONE).date())
    except OutsideCalendar:
        return False
    return session is not None and session.open <= moment < session.close


def _described(forms: set[str], zone: str | None) -> str:
    words = []
    for form in sorted(forms):
        if form == "offset":
            words.append("with their zone")
        elif form == "no zone":
            words.append(f"without a zone, read as {zone}" if zone else "without a zone")
        elif form == "date":
            words.append("dates without a time of day")
        else:
            words.append(f"{form} (UTC)")
    return ", ".join(words)


def _place(where: str, file: Path) -> str:
    return where.removeprefix(f"{file} ")


def _apart(error: ConfigError, file: Path) -> str:
    """Return an error's text without the file's path, which the report names already."""
    return str(error).removeprefix(f"{file}").lstrip(": ")
