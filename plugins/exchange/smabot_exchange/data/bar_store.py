"""The store of minute bars: a folder with a file for each symbol and year, which ``--data FOLDER`` reads.

Nothing but the files says what is stored. Each is written beside its place and moved there, so that a kill at
any moment leaves the old file or the new one, and what wrote goes on by what it finds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

from smabot.provider import Bar, ConfigError, CorporateAction, FileLock, listed, sync_to_disk
from smabot_exchange.data.bar_files import FORMATS, dates_in, write_bars
from smabot_exchange.data.corporate_actions import (
    FILE_NAME,
    ListedAction,
    as_listed,
    read_actions,
    write_actions,
)
from smabot_exchange.data.data_files import SUFFIXES, read_bars

_NAME = re.compile(r"(?P<symbol>[A-Z][A-Z0-9.]{0,11})-(?P<year>\d{4})\.(?P<format>csv|parquet)")
_PART = ".part"

Minutes = dict[datetime, Bar]
"""A symbol's bars of one year by their start, UTC."""


class BarStore:
    """A folder of bars of regular sessions. Only what holds the `lock` may write."""

    def __init__(self, folder: Path, format: str | None = None) -> None:
        """Look at a folder, which need not be there.

        ``format`` is that of new files, ``csv`` or ``parquet``; None: as the files that are there, else CSV.
        Raises ConfigError where it is no folder, holds data files of others, or files of another format.
        """
        self.folder = folder
        self.label = f"data {folder}"
        self._files: dict[str, dict[int, Path]] = {}
        """Of each symbol its files by year."""
        found = self._look()
        if format and found and found != format:
            raise ConfigError(
                f"{self.label}: has {found} files: leave out --format {format}, or give another --data"
            )
        self.format = format or found or FORMATS[0]

    @property
    def actions_file(self) -> Path:
        """The file that lists the corporate actions of its symbols, which need not be there."""
        return self.folder / FILE_NAME

    def actions(self) -> tuple[ListedAction, ...]:
        """Return the corporate actions that are listed, by ex-date. Raises ConfigError for a bad list."""
        return read_actions([self.actions_file] if self.actions_file.exists() else [])

    def add_actions(self, actions: Iterable[CorporateAction]) -> int:
        """List what is not listed yet, and return how many these are. Raises ConfigError, OSError."""
        known = {each.action.action_id: each for each in self.actions()}
        found = {each.action.action_id: each for each in map(as_listed, actions)}
        new = [each for identity, each in found.items() if identity not in known]
        if new:
            write_actions(self.actions_file, [*known.values(), *new])
        return len(new)

    @property
    def symbols(self) -> list[str]:
        """The symbols that have files, sorted."""
        return sorted(self._files)

    def years(self, symbol: str) -> list[int]:
        """Return the years of which a symbol has a file, ascending."""
        return sorted(self._files.get(symbol, {}))

    def size(self, symbol: str) -> int:
        """Return how many bytes a symbol's files have."""
        return sum(file.stat().st_size for file in self._files.get(symbol, {}).values())

    def minutes(self, symbol: str, year: int) -> Minutes:
        """Return the bars of a year, none where there is no file. Raises ConfigError for a damaged one."""
        file = self._files.get(symbol, {}).get(year)
        if file is None:
            return {}
        found = {bar.time: bar for bar in read_bars(file)}
        if any(bar.symbol != symbol or bar.time.year != year for bar in found.values()):
            raise ConfigError(
                f"{file}: has bars of another symbol or year: move it to another folder"
            )
        return found

    def days(self, symbol: str, years: Iterable[int] | None = None) -> Counter[date]:
        """Return the trading dates that have bars, each with their number."""
        files = self._files.get(symbol, {})
        counts: Counter[date] = Counter()
        for year in files if years is None else set(years) & files.keys():
            counts += dates_in(files[year])
        return counts

    def write(self, symbol: str, year: int, minutes: Minutes) -> None:
        """Replace a symbol's bars of a year; they are on disk when this returns. Raises OSError."""
        file = self.folder / f"{symbol}-{year}.{self.format}"
        part = file.with_name(f".{file.name}{_PART}")
        try:
            write_bars(part, self.format, (minutes[time] for time in sorted(minutes)))
            sync_to_disk(part)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
        sync_to_disk(self.folder)
        self._files.setdefault(symbol, {})[year] = file

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep others from writing in the body. Raises LockHeld, and ConfigError where nobody can write."""
        held = FileLock(self.folder / ".store", self.label, "give another --data")
        try:
            self._look()  # another one may have written meanwhile
            for left_over in self.folder.glob(f".*{_PART}"):
                left_over.unlink(missing_ok=True)
            yield
        finally:
            held.release()

    def _look(self) -> str | None:
        """Find the files; return their format, None where there are none."""
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(f"{self.label}: is no folder: give a folder to keep bars in")
        self._files.clear()
        formats, others = set(), []
        for file in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            if named := _NAME.fullmatch(file.name):
                self._files.setdefault(named["symbol"], {})[int(named["year"])] = file
                formats.add(named["format"])
            elif (
                file.name.lower().endswith(SUFFIXES)
                and not file.name.startswith(".")
                and file.name != FILE_NAME
            ):
                others.append(file.name)
        if others:
            raise ConfigError(
                f"{self.label}: has data files that smabot did not write ({listed(others, 3)}): give another "
                "folder with --data, and import them into it with `smabot data import`"
            )
        if len(formats) > 1:
            raise ConfigError(
                f"{self.label}: has both csv and parquet files: keep one kind of them"
            )
        return next(iter(formats), None)
