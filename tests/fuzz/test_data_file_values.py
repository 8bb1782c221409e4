"""Data files gone wrong: a line that names the place, or the bars that are written there."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

pytest.importorskip("smabot_exchange")

from smabot.errors import ConfigError
from smabot_exchange.data.data_files import read_bars
from smabot_exchange.data.file_check import FileCheck
from smabot_exchange.data.file_layout import Hints
from smabot_exchange.data.simulated_market import SimulatedMarket

OWN = ["symbol", "timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap"]
ROWS = [
    ["SPY", "2026-03-02T14:30:00Z", "10.5", "11", "9.25", "10.75", "100", "3", "10.6"],
    ["SPY", "2026-03-02T14:31:00Z", "10.75", "11.5", "10", "11", "200.5", "", ""],
    ["SPY", "2026-03-02T14:32:00Z", "11", "11", "11", "11", "0", "7", "11"],
]
FOREIGN = {
    "own": (OWN, ROWS),
    "named": (["Ticker", "Datetime", "Open", "High", "Low", "Close", "Volume", "Adj Close"], [
        ["spy", "2026-03-02 09:30:00-05:00", *row[2:7], "1"] for row in ROWS[:1]
    ]),
    "split": (["<DATE>", "<TIME>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<VOL>"], [
        ["20260302", f"09{30 + index}00", *row[2:7]] for index, row in enumerate(ROWS)
    ]),
    "american": (["date", "time", "open", "high", "low", "close", "volume"], [
        ["03/13/2026", f"9:{30 + index} AM", *row[2:7]] for index, row in enumerate(ROWS)
    ]),
    "epoch": (["t", "o", "h", "l", "c", "v", "n", "vw"], [
        [str(1_772_461_800_000 + 60_000 * index), *row[2:]] for index, row in enumerate(ROWS)
    ]),
}  # fmt: skip
"""By the name of a format: its header and its rows."""
CELLS = [
    "", " ", "1_000", "１２", "1,5", "1e3", "+5", " 5", "5 ", "-0", "inf", "NaN", "0x10", "1e400", "9007199254740993",
    "9007199254740993.0", "2026-03-02T14:30:00.5Z", "2026-03-02T14:30:00.0000001Z", "2026-03-02 09:30 +99:99",
    "2026-03-02 09:30 Nowhere/Land", "03/02/2026 09:30:00.9", "2026-03-02T14:30:60Z", "1772461800.5",
    "1772461800000000001", "2026-03-02", "99:99", "SPY.US", "S\0PY", '"', '"SPY', "x" * 200, "2026-02-30 09:30",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:00-14:00", "9:30 PM", "253000", "2026-03-02T14:30:00+05:45",
]  # fmt: skip

Explore = Callable[..., None]


def number(text: str) -> float | None:
    """The number that a cell says; None where it says none."""
    return (
        float(text)
        if re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text.strip(" "))
        else None
    )


def written(rows: list[list[str]], delimiter: str) -> bytes:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return stream.getvalue().encode("utf-8", "replace")


@st.composite
def tables(draw: Any, header: list[str], rows: list[list[str]]) -> list[list[str]]:
    """A table with up to three changes of cells, rows or columns."""
    table = [list(header), *map(list, rows)]
    for _ in range(draw(st.integers(0, 3))):
        row = draw(st.sampled_from(table))
        place = draw(st.integers(0, max(len(row) - 1, 0)))
        what = draw(
            st.sampled_from(["cell", "cell", "cell", "drop", "more", "double", "remove", "swap"])
        )
        if what == "cell" and row:
            row[place] = draw(st.sampled_from(CELLS))
        elif what == "drop" and row:
            del row[place]
        elif what == "more":
            row.insert(place, draw(st.sampled_from(CELLS)))
        elif what == "double":
            table.append(list(row))
        elif what == "remove" and len(table) > 1:
            table.remove(row)
        elif row:
            other = draw(st.integers(0, len(row) - 1))
            row[place], row[other] = row[other], row[place]
    return table


def test_cells(explore: Explore, tmp_path: Path, one_line: Any) -> None:
    file = tmp_path / "SPY.csv"

    def check(data: Any) -> None:
        header, rows = FOREIGN[data.draw(st.sampled_from(sorted(FOREIGN)))]
        table = data.draw(tables(header, rows))
        file.write_bytes(written(table, data.draw(st.sampled_from(",;\t|"))))
        try:
            bars = list(read_bars(file, zone="America/New_York"))
        except ConfigError as error:
            assert one_line(error)
            assert table != [header, *rows]
            return
        filled = [row for row in table[1:] if row]
        assert len(bars) == len(filled)
        if (bars and bars[-1].time < bars[0].time) or (
            len(filled) > 1 and _first(filled) > _last(filled)
        ):
            return
        found = sorted(bars, key=lambda bar: bar.time)
        for bar, row in zip(found, filled, strict=True) if table[0] == header else ():
            if found != bars:
                break
            cells = dict(zip(map(str.casefold, header), row, strict=True))
            for value, names in zip(bar[2:7], PRICES, strict=True):
                cell = next(cells[name] for name in names if name in cells)
                assert value == number(cell), (value, cell)
            count = next((cells[name] for name in ("trade_count", "n") if name in cells), "")
            assert bar.trade_count == (int(Decimal(count.strip(" "))) if count else None)

    explore(check, share=2)


PRICES = [
    (name, name[0], f"<{name}>", "<vol>" if name == "volume" else name)
    for name in ("open", "high", "low", "close", "volume")
]


def _first(rows: list[list[str]]) -> str:
    return "".join(rows[0][:2])


def _last(rows: list[list[str]]) -> str:
    return "".join(rows[-1][:2])


def test_bytes(explore: Explore, odd: Any, tmp_path: Path, one_line: Any) -> None:
    """Whatever the bytes of a file are: bars, or one line; and the check of a file never stops."""

    def check(data: Any) -> None:
        name = data.draw(st.sampled_from(["SPY.csv", "SPY.csv.gz", "SPY.parquet"]))
        file = tmp_path / name
        header, rows = FOREIGN[data.draw(st.sampled_from(sorted(FOREIGN)))]
        whole = written(data.draw(tables(header, rows)), ",")
        content = data.draw(odd.damaged(whole))
        if name.endswith(".gz"):
            content = data.draw(odd.damaged(gzip.compress(content, mtime=0)))
        file.write_bytes(content)
        try:
            list(read_bars(file, zone="UTC"))
        except ConfigError as error:
            assert one_line(error)
        check = FileCheck(file, Hints("UTC"), {})
        used = list(check.bars())
        assert len(used) + sum(refusal.count for refusal in check.report.refusals.values()) >= 1

    explore(check)


def test_parquet_values(explore: Explore, tmp_path: Path, one_line: Any) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "SPY.parquet"
    time = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
    micros = int(time.timestamp()) * 10**6
    stamps = {
        "ns": arrow.array([micros * 1000 + 1], arrow.timestamp("ns", "UTC")),
        "ns whole": arrow.array([micros * 1000], arrow.timestamp("ns", "UTC")),
        "far": arrow.array([2**62], arrow.timestamp("us", "UTC")),
        "naive": arrow.array([micros // 1000], arrow.timestamp("ms")),
        "zone": arrow.array([micros], arrow.timestamp("us", "+05:45")),
        "bad zone": arrow.array([micros], arrow.timestamp("us", "Nowhere/Land")),
        "date": arrow.array([20_514], arrow.date32()),
        "far date": arrow.array([2**30], arrow.date32()),
        "text": arrow.array(["2026-03-02T14:30:00Z"]),
        "bytes": arrow.array([b"2026-03-02T14:30:00Z"]),
        "epoch": arrow.array([micros // 10**6]),
        "float": arrow.array([micros / 10**6 + 0.5]),
        "null": arrow.array([None], arrow.timestamp("us")),
        "clock": arrow.array([52_200], arrow.time32("s")),
        "duration": arrow.array([2**62], arrow.duration("s")),
    }
    values = {
        "float": arrow.array([10.5]), "int": arrow.array([10]), "bool": arrow.array([True]),
        "text": arrow.array(["10.5"]), "null": arrow.array([None], arrow.float64()),
        "nan": arrow.array([float("nan")]), "decimal": arrow.array([Decimal("10.5")]),
        "list": arrow.array([[10.5]]), "half": arrow.array([10.5], arrow.float32()),
        "dictionary": arrow.array(["10.5"]).dictionary_encode(), "big": arrow.array([2**53 + 1]),
    }  # fmt: skip
    said = {
        "float": 10.5,
        "int": 10,
        "text": 10.5,
        "decimal": 10.5,
        "half": 10.5,
        "dictionary": 10.5,
    }

    def check(data: Any) -> None:
        kind = data.draw(st.sampled_from(sorted(stamps)))
        price, count = (data.draw(st.sampled_from(sorted(values))) for _ in range(2))
        columns = {"timestamp": stamps[kind]}
        columns |= dict.fromkeys(("open", "high", "low", "close", "volume"), values[price])
        columns["trade_count"] = values[count]
        parquet.write_table(arrow.table(columns), file)
        try:
            (bar,) = read_bars(file, zone="UTC")
        except ConfigError as error:
            assert one_line(error)
            assert (kind, price, count) != ("ns whole", "float", "int")
            return
        finally:
            list(FileCheck(file, Hints("UTC"), {}).bars())
        assert bar.time == time
        assert kind in ("ns whole", "naive", "zone", "text", "epoch")
        assert price not in said or bar.close == said[price]
        assert price in (*said, "big")
        assert bar.trade_count == {"int": 10, "big": 2**53 + 1}.get(count)
        assert count in ("int", "big", "null", "nan")

    explore(check)


def test_a_quote_that_nothing_closes_swallows_no_rows(tmp_path: Path) -> None:
    file = tmp_path / "SPY.csv"
    lines = ["timestamp,open,high,low,close,volume,remark"]
    lines += [f"2026-03-02T14:{30 + n}:00Z,1,1,1,1,1,{'x' if n else chr(34)}" for n in range(5)]
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(ConfigError, match=r"SPY\.csv line"):
        list(read_bars(file))


def test_simulated_markets(explore: Explore, odd: Any, one_line: Any) -> None:
    def check(data: Any) -> None:
        parts = {
            "symbols": "50",
            "sessions": "3",
            "seed": "7",
            "start": "2026-03-02",
            "shape": "waves",
        }
        for name in data.draw(st.lists(st.sampled_from(sorted(parts)), max_size=2)):
            parts[name] = data.draw(
                st.sampled_from([*CELLS, "0", "-1", "7", "99999999999999999999", "WAVES"])
            )
        spec = "simulated:" + ",".join(f"{name}={value}" for name, value in parts.items())
        try:
            market = SimulatedMarket.parse(spec)
        except ConfigError as error:
            assert one_line(error)
            return
        for name in ("symbols", "sessions", "seed"):
            assert re.fullmatch(r"\s*[+-]?[0-9]+\s*", parts[name]), parts[name]
            assert getattr(market, name) == int(parts[name])
        assert market.shape == parts["shape"].strip()
        assert SimulatedMarket.parse(market.describe()).signature() == market.signature()

    explore(check, share=2)
