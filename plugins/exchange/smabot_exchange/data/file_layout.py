"""How one data file is to be read: which column means what, whose bars they are, in which zone and order."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from smabot.provider import ConfigError
from smabot_exchange.data.csv_table import CsvTable
from smabot_exchange.data.decimal_commas import has_decimal_commas
from smabot_exchange.data.parquet_table import ParquetTable
from smabot_exchange.data.row_reader import BadRow, RowReader
from smabot_exchange.data.ticker_names import ticker, ticker_of_file
from smabot_exchange.data.time_stamps import (
    TimeReader,
    find_day_first,
    is_ordered_by_file,
    zone_named,
)

Table = CsvTable | ParquetTable

_ROWS_TO_LOOK_AT = 50


@dataclass(frozen=True, slots=True)
class Hints:
    """What is said of files besides what is in them."""

    zone: str | None = None
    """The zone of times that have none, as ``America/New_York``."""
    symbol: str | None = None
    """Whose bars they are, where no column says it."""
    header: tuple[str, ...] = ()
    """The names of the columns of a CSV file whose first line has none."""

    @property
    def for_import(self) -> bool:
        """Whether something is said that only an import can be told, and no run."""
        return self.symbol is not None or bool(self.header)

    @property
    def options(self) -> str:
        """The same as options of a command line, each with a space before it."""
        given = (
            ("--data-zone", self.zone), ("--symbol", self.symbol), ("--columns", ",".join(self.header)),
        )  # fmt: skip
        return "".join(f" {option} {shlex.quote(value)}" for option, value in given if value)


@dataclass(frozen=True, slots=True)
class Layout:
    """What must be known of a file besides its rows."""

    symbol: str | None
    """Of all rows, where no column has it."""
    naive: bool
    """Whether its times have no zone, by its first rows."""
    day_first: bool | None
    """In dates like 03/02/2026; None where there are none, or none that tells."""
    newest_first: bool
    decimal_commas: bool = False
    """Whether its numbers are like 10,5, beyond doubt."""

    def reader(self, table: Table, zone: str | None) -> RowReader:
        """Return what reads the rows of the file. Raises ConfigError for a zone that does not exist."""
        times = TimeReader(zone_named(zone) if zone else None, self.day_first)
        return RowReader(table.columns, self.symbol, times, decimal_commas=self.decimal_commas)


def open_table(file: Path, hints: Hints) -> Table:
    """Open a file and match its columns. Raises ConfigError, OSError or UnicodeDecodeError."""
    if file.name.lower().endswith(".parquet"):
        return ParquetTable(file)
    return CsvTable(file, hints.header)


def layout_of(file: Path, hints: Hints) -> Layout:
    """Look at a file's first rows, and where dates ask for it at all of them.

    Raises ConfigError where the file's columns or symbol are not clear, OSError and its like where it can't
    be read.
    """
    with closing(open_table(file, hints)) as table:
        symbol = None
        if "symbol" not in table.columns.places:
            symbol = hints.symbol or _symbol_of(table)
        elif hints.symbol:
            raise ConfigError(
                f"{file}: its column {table.columns.header[table.columns.places['symbol']]} says whose bars they "
                f"are: leave out --symbol {hints.symbol}; `smabot data import --only` takes the bars of some "
                "symbols alone"
            )
        reader = Layout(symbol, False, None, False).reader(table, hints.zone)
        first = list(islice(table.rows(), _ROWS_TO_LOOK_AT))
    whole = [row for row in first if len(row) == len(table.columns.header)]
    stamps = [reader.stamp(row) for row in whole]
    commas = any("," in text for row in whole for text in reader.numbers(row))
    commas = commas and has_decimal_commas(_all_numbers(file, hints))
    day_first = None
    if any(isinstance(stamp, str) and is_ordered_by_file(stamp) for stamp in stamps[:1]):
        day_first = find_day_first(_all_stamps(file, hints))
    layout = Layout(symbol, False, day_first, False, commas)
    reader = layout.reader(table, hints.zone)
    times = list(_times(reader, first))
    naive = "no zone" in reader.times.forms
    return Layout(symbol, naive, day_first, _falls(times), commas)


def _symbol_of(table: Table) -> str:
    try:
        name = ticker(table.symbol) if table.symbol else ticker_of_file(table.file)
    except ValueError as error:
        raise ConfigError(f"{table.where()}: {error}") from None
    if name is None:
        raise ConfigError(
            f"{table.file}: no column symbol, and the file's name is not a ticker alone (SPY.csv) or "
            "with a length of bars or a date (SPY_1min.csv, SPY-2024.csv): import it with --symbol SPY, "
            "rename the file, or add the column"
        )
    return name


def _all_stamps(file: Path, hints: Hints) -> Iterator[str]:
    for reader, row in _whole_rows(file, hints):
        yield str(reader.stamp(row))


def _all_numbers(file: Path, hints: Hints) -> Iterator[str]:
    for reader, row in _whole_rows(file, hints):
        yield from reader.numbers(row)


def _whole_rows(file: Path, hints: Hints) -> Iterator[tuple[RowReader, Any]]:
    with closing(open_table(file, hints)) as table:
        reader = RowReader(table.columns, "", TimeReader(None))
        for row in table.rows():
            if len(row) == len(table.columns.header):
                yield reader, row


def _times(reader: RowReader, rows: list[Any]) -> Iterator[datetime]:
    for row in rows:
        try:
            yield reader.values(row)[1]
        except BadRow:
            continue


def _falls(times: list[datetime]) -> bool:
    """Whether times go from new to old: some step does, and none goes forward."""
    steps = list(pairwise(times))
    return any(a > b for a, b in steps) and not any(a < b for a, b in steps)
