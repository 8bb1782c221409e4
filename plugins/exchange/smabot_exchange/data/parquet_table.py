"""Parquet files as tables: their columns and rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smabot.provider import ConfigError
from smabot_exchange.data.column_names import match_columns

_BATCH = 65_536


class ParquetTable:
    """An open Parquet file."""

    kind = "Parquet"
    symbol: str | None = None

    def __init__(self, file: Path) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise needs_pyarrow(file) from None
        self.file = file
        self._arrow: Any = pyarrow
        self._number = 0
        try:
            self._source = parquet.ParquetFile(file)
        except pyarrow.ArrowException as error:
            raise self._unreadable(error) from error
        try:
            self.columns = match_columns(self._source.schema_arrow.names, str(file))
        except BaseException:
            self.close()
            raise

    def where(self) -> str:
        """Return the place of the row that was read last, for a message."""
        return f"{self.file} row {self._number}"

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows. Raises ConfigError where the file is damaged."""
        try:
            for batch in self._source.iter_batches(batch_size=_BATCH):
                columns = [self._values(column) for column in batch.columns]
                for row in zip(*columns, strict=True):
                    self._number += 1
                    yield row
        except (self._arrow.ArrowException, KeyError, OverflowError, ValueError) as error:
            raise self._unreadable(error) from error

    def close(self) -> None:
        self._source.close()

    def _values(self, column: Any) -> list[Any]:
        """Return a column's values; times to the microsecond, as Python has them.

        Raises ArrowException, and what else pyarrow raises for values that Python can't hold.
        """
        kind = column.type
        if self._arrow.types.is_timestamp(kind) and kind.unit == "ns":
            column = column.cast(self._arrow.timestamp("us", kind.tz))
        values: list[Any] = column.to_pylist()
        return values

    def _unreadable(self, error: Exception) -> ConfigError:
        reason = str(error).splitlines()[0]
        return ConfigError(f"{self.file}: is not a readable Parquet file: {reason}")


def needs_pyarrow(file: Path) -> ConfigError:
    """Return the error that Parquet can be neither read nor written."""
    return ConfigError(f"{file}: Parquet needs pyarrow: pip install 'smabot-exchange[parquet]'")
