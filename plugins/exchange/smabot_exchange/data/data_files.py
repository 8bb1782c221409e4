"""Data files: minute bars from a CSV, CSV.gz or Parquet file, or from a folder of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smabot.provider import (
    EXCHANGE_ZONE,
    ZERO,
    Bar,
    ConfigError,
    file_exists,
    is_valid_bar,
    suggest,
)
from smabot_exchange.data.column_names import COLUMNS
from smabot_exchange.data.corporate_actions import (
    FILE_NAME,
    ListedAction,
    is_actions_file,
    read_actions,
)
from smabot_exchange.data.csv_table import CsvTable
from smabot_exchange.data.file_layout import Hints, Layout, Table, layout_of, open_table
from smabot_exchange.data.row_reader import BadRow, RowReader, Values, is_plain
from smabot_exchange.data.ticker_names import ticker

__all__ = ["COLUMNS", "SUFFIXES", "DataFiles", "data_file_error", "order_fault", "read_bars"]

SUFFIXES = (".csv", ".csv.gz", ".parquet")
TEXT_SUFFIXES = (".txt", ".txt.gz")
"""What a file that is named may end in, too; in a folder such files may be anything."""

Where = Callable[[], str]


class DataFiles:
    """Historical data on disk. Its fingerprint is that of its contents, wherever they lie."""

    def __init__(self, path: Path, zone: str | None = None) -> None:
        self.path = path
        self.zone = zone
        """The zone of times that have none, as ``America/New_York``; None: such times are refused."""
        self.files = _files(path)
        self.actions_files = _actions_files(path)
        """The files that list corporate actions, where there are any."""
        self.label = f"data {path.name}"
        self.stored_label = f"tape {path.name}"

    half_spread = ZERO
    """Unless the settings say otherwise."""

    def signature(self) -> str:
        """Return what a change of the files would change: cheap, but also changed by a move."""
        stats = (file.stat() for file in self.files)
        signs = [f"{s.st_ino}:{s.st_size}:{s.st_mtime_ns}:{s.st_ctime_ns}" for s in stats]
        return " ".join([*signs, self.zone] if self.zone else signs)

    def fingerprint(self) -> str:
        """Return a hash of the contents, and of what is not in them: a symbol, a time zone."""
        import hashlib

        digests = []
        for file in self.files:
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            digests.append(f"{digest}{self._not_in_file(file)}")
        if len(digests) == 1:
            return digests[0]
        return hashlib.sha256(" ".join(digests).encode()).hexdigest()

    def longer(self) -> str:
        """Return what to give as ``--data`` for more sessions after the last one."""
        return "a file with these bars and later ones"

    def cannot_extend(self, signature: str) -> str:
        """Return why they can't follow what a ledger has; of files the bars tell."""
        return "it was a simulated market" if signature.startswith("made ") else ""

    def continuing(self, signature: str) -> DataFiles:
        """Return itself: files are what they are."""
        return self

    def bars(self) -> Iterator[Bar]:
        """Yield all bars as they come in the files, checked; within a symbol times ascend.

        Raises ConfigError that names file and line of the first bad row.
        """
        latest: dict[str, datetime] = {}
        for file in self.files:
            try:
                yield from _read(file, self.zone, latest)
            except ConfigError as error:
                path = shlex.quote(str(self.path))
                raise ConfigError(
                    f"{error}; `smabot data check {path}` looks at all of it"
                ) from error

    def actions(self) -> tuple[ListedAction, ...]:
        """Return the corporate actions that the files beside the bars list. Raises ConfigError."""
        return read_actions(self.actions_files)

    def _not_in_file(self, file: Path) -> str:
        layout = _layout_of(file, self.zone)
        if layout.naive and self.zone is None:
            raise ConfigError(
                f"{file}: its times have no time zone: give the --data-zone that it was imported with"
            )
        zone = self.zone if layout.naive else None
        return "".join(f" {part}" for part in (layout.symbol, zone) if part)


def read_bars(path: Path, zone: str | None = None) -> Iterator[Bar]:
    """Yield the bars of data files, checked. Raises ConfigError."""
    return DataFiles(path, zone).bars()


def _layout_of(file: Path, zone: str | None) -> Layout:
    """Return a file's layout. Raises ConfigError for whatever is wrong with it."""
    import zlib

    try:
        return layout_of(file, Hints(zone))
    except (EOFError, zlib.error, OSError, UnicodeDecodeError) as error:
        raise data_file_error(file, error, 0) from error


def data_file_error(file: Path, error: Exception, count: int) -> ConfigError:
    """Return in one line why a file could not be read on, after ``count`` rows."""
    if isinstance(error, UnicodeDecodeError):
        return ConfigError(f"{file}: is not UTF-8 text: {error.reason}")
    if isinstance(error, OSError):
        return ConfigError(f"{file}: can't be read: {error.strerror or error}")
    return ConfigError(
        f"{file}: the gzip data is truncated or damaged after {count} rows: get a new copy of the file"
    )


def order_fault(bar: Bar, before: datetime) -> str:
    """Return what is wrong with a bar that is not later than the one before of its symbol."""
    local = bar.time.astimezone(EXCHANGE_ZONE)
    if bar.time == before:
        return (
            f"{bar.symbol} has a second bar at {bar.time:%Y-%m-%dT%H:%MZ} "
            f"({local:%H:%M} New York): keep one"
        )
    return (
        f"{bar.symbol} goes back in time, from {before:%Y-%m-%dT%H:%MZ} to "
        f"{bar.time:%Y-%m-%dT%H:%MZ}: sort by time (a folder is read in the order of its file names)"
    )


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in _within(path) if _is_data_file(file))
        if not found:
            below = sorted(file.parent for file in path.glob("*/*") if _has_suffix(file))
            hint = f"; give {below[0]}" if below else ""
            raise ConfigError(f"data {path}: no {', '.join(SUFFIXES)} file in this folder{hint}")
        return found
    if not file_exists(path, f"data {path}"):
        hint = ""
        if path.parent.is_dir():
            hint = suggest(path.name, ("simulated", *(f.name for f in path.parent.iterdir())))
        raise ConfigError(
            f"data {path}: no such file{hint}; give a file, a folder, or 'simulated' for a simulated market"
        )
    if not path.name.lower().endswith((*SUFFIXES, *TEXT_SUFFIXES)):
        raise ConfigError(f"data {path}: the name must end in {', '.join(SUFFIXES)} or .txt")
    return [path]


def _actions_files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in _within(path) if is_actions_file(file))
    else:
        name = re.sub(r"\.(csv|txt|parquet)(\.gz)?$", "", path.name, flags=re.IGNORECASE)
        found = [path.with_name(f"{name}.{FILE_NAME}")]
    return [file for file in found if file_exists(file, f"corporate actions {file}")]


def _within(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"data {folder}: can't be read: {error.strerror}") from error


def _is_data_file(file: Path) -> bool:
    """Tell whether a file in a folder is meant. Raises ConfigError for one that can't be read."""
    return _has_suffix(file) and not is_actions_file(file) and file_exists(file, f"data {file}")


def _has_suffix(file: Path) -> bool:
    return file.name.lower().endswith(SUFFIXES) and not file.name.startswith(".")


def _read(file: Path, zone: str | None, latest: dict[str, datetime]) -> Iterator[Bar]:
    """Yield a file's bars, checked; ``latest`` keeps each symbol's last time. Raises ConfigError."""
    import zlib

    count, hints = 0, Hints(zone)
    try:
        layout = layout_of(file, hints)
        with closing(open_table(file, hints)) as table:
            found = _bars(table, layout.reader(table, zone))
            if layout.newest_first:
                found = reversed([(bar, _standing(where)) for bar, where in found])
            for bar, where in found:
                symbol, time = bar[0], bar[1]
                before = latest.get(symbol)
                if before is None:
                    bar = _by_ticker(bar, where)
                    symbol = bar[0]
                    before = latest.get(symbol)
                if before is not None and time <= before:
                    raise ConfigError(f"{where()}: {order_fault(bar, before)}")
                latest[symbol] = time
                count += 1
                yield bar
    except (EOFError, zlib.error, OSError, UnicodeDecodeError) as error:
        raise data_file_error(file, error, count) from error
    if not count:
        raise ConfigError(f"{file}: has no rows after its header")


def _standing(where: Where) -> Where:
    place = where()
    return lambda: place


def _by_ticker(bar: Bar, where: Where) -> Bar:
    """Return a bar with its symbol in capitals. Raises ConfigError where it is none."""
    try:
        return bar._replace(symbol=ticker(bar.symbol))
    except ValueError as error:
        raise ConfigError(f"{where()}: {error}") from None


def _bars(table: Table, reader: RowReader) -> Iterable[tuple[Bar, Where]]:
    if table.columns.own and isinstance(table, CsvTable) and not reader.decimal_commas:
        return _own_bars(table, reader)
    return _other_bars(table, reader)


def _own_bars(table: CsvTable, reader: RowReader) -> Iterator[tuple[Bar, Where]]:
    """Yield the bars of smabot's own columns: as `_other_bars` does, in a third of the time."""
    parse = datetime.fromisoformat
    make, kind, where = tuple.__new__, Bar, table.where
    for row in table.rows():
        try:
            symbol, stamp, o, h, low, c, v, n, w = row
            time = parse(stamp)
            values: Values = (
                symbol, time, float(o), float(h), float(low), float(c), float(v),
                int(n) if n else None, float(w) if w else None,
            )  # fmt: skip
        except ValueError:
            values = _careful(reader, row, where)
        else:
            if time.tzinfo is not UTC or not is_plain(row) or not _sound(values):
                values = _careful(reader, row, where)
        yield make(kind, values), where


def _other_bars(table: Table, reader: RowReader) -> Iterator[tuple[Bar, Where]]:
    where = table.where
    for row in table.rows():
        yield tuple.__new__(Bar, _careful(reader, row, where)), where


def _sound(values: Values) -> bool:
    """Whether prices, volume and minute are right."""
    time = values[1]
    return is_valid_bar(tuple.__new__(Bar, values)) and not (time.second or time.microsecond)


def _careful(reader: RowReader, row: Any, where: Where) -> Values:
    try:
        return reader.values(row)
    except BadRow as error:
        raise ConfigError(f"{where()}: {error}") from None
