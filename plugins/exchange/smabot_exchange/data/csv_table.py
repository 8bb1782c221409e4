"""CSV files as tables: their columns and rows, from files with commas, semicolons or tabs, gzipped or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from smabot.provider import ConfigError, listed
from smabot_exchange.data.column_names import COLUMNS, Columns, match_columns, plain_name

_DELIMITERS = ",\t;|"
_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars |"}


class CsvTable:
    """An open CSV file. Its first rows are read: what follows are data."""

    def __init__(self, file: Path, header: Sequence[str] = ()) -> None:
        """``header``: the columns' names, where the first line is data."""
        import csv

        self.file = file
        self.symbol: str | None = None
        """Of all rows, where the header names it, as yfinance's does."""
        self._delimiter = _delimiter(file)
        self._stream: IO[str] = _opened(file)
        # strict: else a quote that nothing closes takes the rows after it into its field
        self._rows = csv.reader(self._stream, delimiter=self._delimiter, strict=True)
        try:
            self.columns = match_columns(header, str(file)) if header else self._header()
        except csv.Error as error:
            self.close()
            raise ConfigError(f"{self.where()}: {error}") from error
        except BaseException:
            self.close()
            raise

    @property
    def kind(self) -> str:
        """What kind of file it is, in words."""
        packed = "gzipped " if self.file.suffix.lower() == ".gz" else ""
        return f"{packed}CSV with {_NAMES[self._delimiter]}"

    @property
    def reader(self) -> Iterator[list[str]]:
        """The rows that are left, as they come; a blank line is an empty list."""
        return self._rows

    def where(self) -> str:
        """Return the place of the row that was read last, for a message."""
        return f"{self.file} line {self._rows.line_num}"

    def rows(self) -> Iterator[list[str]]:
        """Yield the rows that are left. Raises ConfigError where the text is no CSV."""
        import csv

        try:
            for row in self._rows:
                if row:
                    yield row
        except csv.Error as error:
            raise ConfigError(f"{self.where()}: {error}") from error

    def close(self) -> None:
        self._stream.close()

    def _header(self) -> Columns:
        header = next(self._rows)
        label = plain_name(header[0])
        of_tickers = label == "ticker" and "open" not in map(plain_name, header)
        if label == "price" or of_tickers:
            second = next(self._rows, [])
            labels = {plain_name(row[0]) for row in (header, second) if row}
            if labels == {"price", "ticker"}:
                return self._of_yfinance(header, second)
        return match_columns(header, self.where())

    def _of_yfinance(self, first: list[str], second: list[str]) -> Columns:
        """Read yfinance's header of three lines: prices, tickers, the index's name."""
        prices, tickers = first, second
        if plain_name(first[0]) == "ticker":
            prices, tickers = second, first
        names = sorted({name for name in tickers[1:] if name})
        if len(names) != 1:
            raise ConfigError(
                f"{self.where()}: has the columns of several symbols side by side ({listed(names, 5)}); "
                "write a row for each symbol and minute: data.stack(level='Ticker').to_csv(…)"
            )
        self.symbol = names[0]
        third = next(self._rows, [])
        return match_columns([*third[:1], *prices[1:]], self.where())


def _opened(file: Path) -> IO[str]:
    if file.suffix.lower() == ".gz":
        import gzip

        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def _delimiter(file: Path) -> str:
    with _opened(file) as stream:
        first = stream.readline()
    if not first.strip("\r\n"):
        raise ConfigError(f"{file}: is empty; its first line must be {','.join(COLUMNS)}")
    return max(_DELIMITERS, key=first.count)
