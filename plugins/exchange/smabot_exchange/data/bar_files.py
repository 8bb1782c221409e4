"""Files of one symbol's bars in smabot's own columns: written, and looked through for their dates."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from pathlib import Path

from smabot.provider import Bar, ConfigError
from smabot_exchange.data.column_names import COLUMNS
from smabot_exchange.data.parquet_table import needs_pyarrow

FORMATS = ("csv", "parquet")

_DATE = re.compile(rb"\n[A-Z0-9.]+,(\d{4}-\d\d-\d\d)T")


def write_bars(file: Path, format: str, bars: Iterable[Bar]) -> None:
    """Write bars, in their order; the same bars give the same bytes. Raises OSError, and ConfigError where
    Parquet can't be written."""
    if format == "parquet":
        _write_parquet(file, list(bars))
        return
    with file.open("w", encoding="ascii", newline="") as out:
        out.write(",".join(COLUMNS) + "\n")
        out.writelines(_lines(bars))


def dates_in(file: Path) -> Counter[date]:
    """Return the dates of a file's bars, UTC, each with their number. Reads nothing else of it."""
    if file.suffix == ".parquet":
        counts = Counter(time.date().isoformat().encode() for time in _times(file))
    else:
        counts = Counter(_DATE.findall(file.read_bytes()))
    try:
        return Counter({date.fromisoformat(day.decode()): n for day, n in counts.items()})
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from None


def _lines(bars: Iterable[Bar]) -> Iterator[str]:
    for symbol, time, open_, high, low, close, volume, trades, vwap in bars:
        numbers = ",".join(map(_number, (open_, high, low, close, volume)))
        count = "" if trades is None else trades
        mean = "" if vwap is None else _number(vwap)
        yield f"{symbol},{time:%Y-%m-%dT%H:%M:%SZ},{numbers},{count},{mean}\n"


def _number(value: float) -> str:
    """Return the shortest text that is read as the same number."""
    return repr(float(value)).removesuffix(".0")


def _write_parquet(file: Path, bars: list[Bar]) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise needs_pyarrow(file) from None
    kinds = dict.fromkeys(COLUMNS, pyarrow.float64())
    kinds |= {
        "symbol": pyarrow.string(), "timestamp": pyarrow.timestamp("us", "UTC"),
        "trade_count": pyarrow.int64(),
    }  # fmt: skip
    columns = zip(*bars, strict=True) if bars else [()] * len(COLUMNS)
    arrays = {
        name: pyarrow.array(values, kinds[name])
        for name, values in zip(COLUMNS, columns, strict=True)
    }
    parquet.write_table(pyarrow.table(arrays), file)


def _times(file: Path) -> Iterator[datetime]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise needs_pyarrow(file) from None
    column = parquet.read_table(file, columns=["timestamp"]).column(0)
    yield from column.to_pylist()
