"""Data files of others into the store of bars: all of them checked first, then kept by symbol and year."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from smabot.provider import MINUTE, Bar, ConfigError, listed
from smabot_exchange.data.bar_store import BarStore, Minutes
from smabot_exchange.data.file_check import FileCheck, FileReport
from smabot_exchange.data.file_layout import Hints
from smabot_exchange.data.sessions import RegularHours

BARS_AT_ONCE = 500_000
"""About so many bars are held before they are written."""
_ROWS_A_STEP = 20_000
_FEW = 0.5
"""The share of the rows up to which bad ones may be left out: where more are bad, the file is misread."""

Tell = Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class Rules:
    """What is to be kept of the files."""

    only: Collection[str] = ()
    """Of these symbols alone; none: of all."""
    prefer: str | None = None
    """Which bar counts where two of one minute differ: ``stored`` or ``new``; None: neither, it is refused."""
    ends_of_minutes: bool = False
    """Whether times are the ends of the minutes."""
    drop_bad_rows: bool = False
    trust_zone: bool = False
    """Whether times are kept though another time zone fits them better, beyond doubt."""


@dataclass
class FileImport:
    """What came of one file."""

    report: FileReport
    kept: int = 0
    outside: int = 0
    """Rows outside the regular sessions."""
    others: int = 0
    """Rows of symbols that were not asked for."""

    @property
    def bad(self) -> int:
        """How many rows are refused."""
        return sum(each.count for each in self.report.refusals.values())


@dataclass
class SymbolImport:
    """What came of one symbol."""

    new: int = 0
    same: int = 0
    """Bars that were stored before, with the same prices and volume."""
    replaced: int = 0
    days: set[date] = field(default_factory=set)


class StoreImport:
    """Brings files into a store."""

    def __init__(self, store: BarStore, hints: Hints, rules: Rules) -> None:
        self.files: list[FileImport] = []
        self.symbols: dict[str, SymbolImport] = defaultdict(SymbolImport)
        self._store = store
        self._hints = hints
        self._rules = rules
        self._hours = RegularHours()
        self._waiting: dict[tuple[str, int], Minutes] = defaultdict(dict)
        self._held = 0

    def check(self, files: Sequence[Path], tell: Tell) -> None:
        """Read all files to their ends. Raises ConfigError for what can't be imported, and where nothing
        is left of them."""
        for number, file in enumerate(files):
            found = FileImport(FileReport(file))
            for _ in self._bars(file, found, number, tell):
                found.kept += 1
            self.files.append(found)
            self._require_sound(found)
        if not any(each.kept for each in self.files):
            raise ConfigError(f"{files[0]}: nothing to import: {', '.join(self._left_out())}")

    def keep(self, tell: Tell) -> None:
        """Store the bars of the files that were checked.

        Raises ConfigError where bars of one minute differ, and no rule says which counts; OSError.
        """
        for number, each in enumerate(self.files):
            for bar in self._bars(each.report.path, FileImport(each.report), number, tell):
                self._take(bar, each.report.path)
                if self._held >= BARS_AT_ONCE:
                    self._write()
        self._write()

    def _bars(self, file: Path, found: FileImport, number: int, tell: Tell) -> Iterator[Bar]:
        """Yield a file's bars of regular sessions; ``found`` counts the others."""
        check = FileCheck(file, self._hints, {})
        found.report = check.report
        only, late = self._rules.only, self._rules.ends_of_minutes
        for bar in check.bars():
            if check.report.rows % _ROWS_A_STEP == 1:
                tell(number, f"{file.name} {check.report.rows:,} rows")
            if only and bar.symbol not in only:
                found.others += 1
                continue
            if late:
                bar = bar._replace(time=bar.time - MINUTE)
            if self._hours.session_at(bar.time) is None:
                found.outside += 1
            else:
                yield bar

    def _require_sound(self, found: FileImport) -> None:
        report, file = found.report, found.report.path
        whole = [each for each in report.refusals.values() if each.kind in ("file", "length")]
        if whole or (report.refusals and not self._rules.drop_bad_rows):
            first = (whole or list(report.refusals.values()))[0]
            rows = "" if whole else f"{found.bad:,} of {report.rows:,} rows can't be used, first "
            raise ConfigError(
                f"{file}: {rows}{first.first}; {self._remedy(found, whole=bool(whole))}"
            )
        if report.ends_of_minutes and not self._rules.ends_of_minutes:
            raise ConfigError(
                f"{file}: its sessions run from 09:31 to 16:00 New York: its times seem to be the ends of "
                "minutes: add --ends-of-minutes, which takes a minute off"
            )
        other = report.zone_doubt.other
        if other is not None and other.is_proven and not self._rules.trust_zone:
            raise ConfigError(f"{file}: wrong time zone: {other}; --trust-zone imports it as it is")

    def _remedy(self, found: FileImport, *, whole: bool) -> str:
        """Return what helps where rows, or the whole of a file, can't be used."""
        rows, file = found.report.rows, found.report.path
        look = (
            f"`smabot data check {shlex.quote(str(file))}{self._hints.options}` looks at all of it"
        )
        if whole or "no zone" in found.report.refusals:  # whose text names the option
            return look
        if found.bad <= rows * _FEW:
            return f"{look}, --drop-bad-rows leaves them out"
        if self._hints.header and "fields" in found.report.refusals:
            return f"--columns must name each column of the file; {look}"
        return f"with so many the file itself is misread, or of another format; {look}"

    def _left_out(self) -> Iterator[str]:
        """Yield what the rows are of which none is imported, and what helps."""
        if outside := sum(each.outside for each in self.files):
            zone = next(
                (f": {zone}" for each in self.files if (zone := each.report.zone_doubt.other)), ""
            )
            yield f"{outside:,} rows outside the regular sessions{zone}"
        if others := sum(each.others for each in self.files):
            known = sorted({symbol for each in self.files for symbol in each.report.symbols})
            yield f"{others:,} rows of other symbols than --only names: {listed(known)}"
        if bad := sum(each.bad for each in self.files):
            refusals = (r for each in self.files for r in each.report.refusals.values())
            yield f"{bad:,} bad rows, first {next(refusals).first}"

    def _take(self, bar: Bar, file: Path) -> None:
        """Hold a bar until it is written."""
        minutes = self._waiting[bar.symbol, bar.time.year]
        before = minutes.get(bar.time)
        if before is not None and not _same(before, bar) and self._rules.prefer is None:
            raise _differ(before, bar, str(file), "in another file")
        if before is None or self._rules.prefer == "new":
            minutes[bar.time] = bar
        self._held += before is None

    def _write(self) -> None:
        """Write what is held, or nothing of it where bars differ."""
        if self._rules.prefer is None:
            for (symbol, year), minutes in self._waiting.items():
                stored = self._store.minutes(symbol, year)
                for time in minutes.keys() & stored.keys():
                    if not _same(stored[time], minutes[time]):
                        raise _differ(stored[time], minutes[time], "the file", "stored")
        for (symbol, year), minutes in sorted(self._waiting.items()):
            self._store.write(symbol, year, self._merged(symbol, year, minutes))
        self._waiting.clear()
        self._held = 0

    def _merged(self, symbol: str, year: int, minutes: Minutes) -> Minutes:
        stored, done = self._store.minutes(symbol, year), self.symbols[symbol]
        kept = dict(stored)
        for time, bar in minutes.items():
            done.days.add(time.date())
            if time not in stored:
                done.new += 1
                kept[time] = bar
            elif _same(stored[time], bar) or self._rules.prefer == "stored":
                done.same += _same(stored[time], bar)
            else:
                done.replaced += 1
                kept[time] = bar
        return kept


def _same(one: Bar, other: Bar) -> bool:
    """Whether prices and volume are the same; a count of trades and a mean price not all sources give."""
    return one[2:7] == other[2:7]


def _differ(before: Bar, bar: Bar, here: str, there: str) -> ConfigError:
    names = ("open", "high", "low", "close", "volume")
    name, one, two = next(
        (name, one, two)
        for name, one, two in zip(names, before[2:7], bar[2:7], strict=True)
        if one != two
    )
    return ConfigError(
        f"{bar.symbol} at {_shown(bar.time)}: {name} is {two:g} in {here}, {one:g} {there}: say which counts, "
        "--prefer stored or --prefer new, or give another --data"
    )


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def bad_rows(files: Sequence[FileImport]) -> Counter[str]:
    """Return how many rows were left out as bad, by the way in which they are."""
    counts: Counter[str] = Counter()
    for file in files:
        for refusal in file.report.refusals.values():
            counts[refusal.kind] += refusal.count
    return counts
