"""Data files: minute bars from a CSV, CSV.gz or Parquet file, or from a folder of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from smabot.provider import (
    EXCHANGE_ZONE,
    ZERO,
    Bar,
    ConfigError,
    bar_fault,
    file_exists,
    is_valid_bar,
    suggest,
)

COLUMNS = (
    "symbol", "timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap",
)  # fmt: skip
SUFFIXES = (".csv", ".csv.gz", ".parquet")

_SYMBOL = re.compile(r"[A-Z][A-Z0-9.]{0,11}")
_NEVER = datetime.min.replace(tzinfo=UTC)


class DataFiles:
    """Historical data on disk. Its fingerprint is that of its contents, wherever they lie."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = _files(path)
        self.label = f"data {path.name}"
        self.stored_label = f"tape {path.name}"

    half_spread = ZERO
    """Unless the settings say otherwise."""

    def signature(self) -> str:
        """Return what a change of the files would change: cheap, but also changed by a move."""
        stats = (file.stat() for file in self.files)
        return " ".join(f"{s.st_ino}:{s.st_size}:{s.st_mtime_ns}:{s.st_ctime_ns}" for s in stats)

    def fingerprint(self) -> str:
        """Return a hash of the contents."""
        import hashlib

        digests = []
        for file in self.files:
            with file.open("rb") as stream:
                digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
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
            yield from _read(file, latest)


def read_bars(path: Path) -> Iterator[Bar]:
    """Yield the bars of data files, checked. Raises ConfigError."""
    return DataFiles(path).bars()


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in _within(path) if _is_data_file(file))
        if not found:
            raise ConfigError(f"data {path}: no {', '.join(SUFFIXES)} file in this folder")
        return found
    if not file_exists(path, f"data {path}"):
        hint = ""
        if path.parent.is_dir():
            hint = suggest(path.name, (f.name for f in path.parent.iterdir()))
        raise ConfigError(
            f"data {path}: no such file{hint}; give a file, a folder, or 'simulated' for a simulated market"
        )
    if not path.name.endswith(SUFFIXES):
        raise ConfigError(f"data {path}: the name must end in {', '.join(SUFFIXES)}")
    return [path]


def _within(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"data {folder}: can't be read: {error.strerror}") from error


def _is_data_file(file: Path) -> bool:
    """Tell whether a file in a folder is meant. Raises ConfigError for one that can't be read."""
    named = file.name.endswith(SUFFIXES) and not file.name.startswith(".")
    return named and file_exists(file, f"data {file}")


def _read(file: Path, latest: dict[str, datetime]) -> Iterator[Bar]:
    import zlib

    rows = _parquet_rows if file.suffix == ".parquet" else _csv_rows
    count = 0
    try:
        for bar, where in rows(file):
            symbol, time = bar[0], bar[1]
            before = latest.get(symbol)
            if before is None:
                if not _SYMBOL.fullmatch(symbol):
                    raise ConfigError(
                        f"{where()}: symbol {symbol!r} is not a ticker in capitals, like BRK.B"
                    )
            elif time <= before:
                _fail_order(bar, before, where())
            latest[symbol] = time
            count += 1
            yield bar
    except (EOFError, zlib.error) as error:
        raise ConfigError(
            f"{file}: the gzip data is truncated or damaged after {count} rows: get a new copy of the file"
        ) from error
    except OSError as error:
        raise ConfigError(f"{file}: can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8 text: {error.reason}") from error
    if not count:
        raise ConfigError(f"{file}: has no rows after its header")


def _csv_rows(file: Path) -> Iterator[tuple[Bar, Callable[[], str]]]:
    import csv
    import gzip

    opener = gzip.open if file.suffix == ".gz" else open
    parse = datetime.fromisoformat
    make, kind = tuple.__new__, Bar
    with opener(file, "rt", encoding="utf-8-sig", newline="") as stream:
        rows = csv.reader(stream)

        def where() -> str:
            return f"{file} line {rows.line_num}"

        try:
            header = next(rows, None)
            if header is None:
                raise ConfigError(f"{file}: is empty; its first line must be {','.join(COLUMNS)}")
            _check_columns(header, where())
            for row in rows:
                if not row:
                    continue
                try:
                    symbol, stamp, o, h, low, c, v, n, w = row
                    time = parse(stamp)
                    values = (
                        symbol, time, float(o), float(h), float(low), float(c), float(v),
                        int(n) if n else None, float(w) if w else None,
                    )  # fmt: skip
                except ValueError:
                    _fail_text(row, where())
                if time.tzinfo is not UTC or not _sound(values):
                    values = _checked(values, where())
                yield make(kind, values), where
        except csv.Error as error:
            raise ConfigError(f"{where()}: {error}") from error


def _parquet_rows(file: Path) -> Iterator[tuple[Bar, Callable[[], str]]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ConfigError(
            f"{file}: Parquet needs pyarrow: pip install 'smabot-exchange[parquet]'"
        ) from None

    number = 0

    def where() -> str:
        return f"{file} row {number}"

    try:
        with parquet.ParquetFile(file) as source:
            _check_columns(source.schema_arrow.names, str(file))
            for batch in source.iter_batches(batch_size=65536):
                columns = [batch.column(name).to_pylist() for name in COLUMNS]
                for values in zip(*columns, strict=True):
                    number += 1
                    bar = _checked(_typed(values, where()), where())
                    yield tuple.__new__(Bar, bar), where
    except pyarrow.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{file}: is not a readable Parquet file: {reason}") from error


def _check_columns(header: list[str], where: str) -> None:
    if tuple(header) == COLUMNS:
        return
    expected = ",".join(COLUMNS)
    if twice := [name for name in COLUMNS if header.count(name) > 1]:
        raise ConfigError(
            f"{where}: column {twice[0]!r} is given twice; the columns are {expected}"
        )
    missing = [name for name in COLUMNS if name not in header]
    for name in header:
        if name not in COLUMNS:
            raise ConfigError(
                f"{where}: unknown column {name!r}{suggest(name, missing)}; the columns are {expected}"
            )
    if missing:
        raise ConfigError(f"{where}: column {missing[0]!r} is missing; the columns are {expected}")
    raise ConfigError(f"{where}: the columns must come in the order {expected}")


def _sound(values: tuple[Any, ...]) -> bool:
    """Whether prices, volume and minute are right."""
    time = values[1]
    return is_valid_bar(tuple.__new__(Bar, values)) and not (time.second or time.microsecond)


def _checked(values: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    """Return the values with the time in UTC; raise ConfigError that says what is wrong."""
    symbol, time = values[:2]
    if time.tzinfo is None:
        raise ConfigError(f"{where}: timestamp {time} has no time zone: write 2026-03-02T14:30:00Z")
    if time.second or time.microsecond:
        raise ConfigError(
            f"{where}: timestamp {time} is not on the minute: give the minute's start"
        )
    if wrong := bar_fault(tuple.__new__(Bar, values)):
        raise ConfigError(f"{where}: {wrong}")
    try:
        return (symbol, time.astimezone(UTC), *values[2:])
    except OverflowError:
        raise ConfigError(f"{where}: timestamp {time} is out of range") from None


def _fail_text(row: list[str], where: str) -> NoReturn:
    """Say which field of a CSV row can't be read."""
    if len(row) != len(COLUMNS):
        raise ConfigError(f"{where}: {len(row)} fields where {len(COLUMNS)} are expected")
    try:
        datetime.fromisoformat(row[1])
    except ValueError:
        raise ConfigError(
            f"{where}: timestamp {row[1]!r} is not a time: write 2026-03-02T14:30:00Z"
        ) from None
    for name, text in zip(COLUMNS[2:7], row[2:7], strict=True):
        try:
            float(text)
        except ValueError:
            raise ConfigError(f"{where}: {name} {text!r} is not a number") from None
    raise ConfigError(f"{where}: trade_count {row[7]!r} or vwap {row[8]!r} is not a number")


def _typed(values: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    """Return a Parquet row's values with the types of a bar."""
    symbol, time, *numbers, trades, vwap = values
    try:
        if isinstance(time, str):
            time = datetime.fromisoformat(time)
        if not isinstance(symbol, str) or not isinstance(time, datetime):
            raise TypeError("symbol must be a string and timestamp a time with its zone")
        return (
            symbol, time, *map(float, numbers),
            None if trades is None else int(trades), None if vwap is None else float(vwap),
        )  # fmt: skip
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: a value of the wrong type: {error}") from None


def _fail_order(bar: Bar, before: datetime, where: str) -> NoReturn:
    local = bar.time.astimezone(EXCHANGE_ZONE)
    if bar.time == before:
        raise ConfigError(
            f"{where}: {bar.symbol} has a second bar at {bar.time:%Y-%m-%dT%H:%MZ} "
            f"({local:%H:%M} New York): keep one"
        )
    raise ConfigError(
        f"{where}: {bar.symbol} goes back in time, from {before:%Y-%m-%dT%H:%MZ} to "
        f"{bar.time:%Y-%m-%dT%H:%MZ}: sort by time (a folder is read in the order of its file names)"
    )
