"""Tapes: what is read, what is dropped and counted, and one clear line for everything bad."""

from __future__ import annotations

import builtins
import gzip
import sys
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from smabot.errors import ConfigError
from smabot_exchange.data.data_files import read_bars

GOOD = "SPY,2026-03-02T14:30:00Z,10,11,9,10.5,100,,"
REAL = Path(__file__).parents[3] / "shared/data/minute/pyalgotrade/SPY.csv.gz"


def test_a_row_becomes_a_bar(lab: Any) -> None:
    tape = lab.tape([GOOD, "SPY,2026-03-02T09:31:00-05:00,1.5,1.5,1.5,1.5,0,7,1.25"])
    first, second = read_bars(tape)
    assert first.symbol == "SPY"
    assert first.time == datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
    assert (first.open, first.high, first.low, first.close, first.volume) == (10, 11, 9, 10.5, 100)
    assert (first.trade_count, first.vwap) == (None, None)
    assert second.time.isoformat() == "2026-03-02T14:31:00+00:00"
    assert (second.volume, second.trade_count, second.vwap) == (0, 7, 1.25)


def test_gzip_and_folders_read_alike(lab: Any) -> None:
    spy = lab.rows("SPY", "2026-03-02 09:30", [10, 11])
    ibm = lab.rows("IBM", "2026-03-02 09:30", [20, 21])
    plain = lab.tape(spy, "folder/a.csv")
    (lab.folder / "folder/b.csv.gz").write_bytes(gzip.compress(lab.tape(ibm, "b.csv").read_bytes()))
    (lab.folder / "folder/README.md").write_text("not a tape")
    assert list(read_bars(plain.parent)) == [*read_bars(plain), *read_bars(lab.folder / "b.csv")]


def test_symbols_may_be_interleaved_or_follow_each_other(lab: Any) -> None:
    spy = lab.rows("SPY", "2026-03-02 09:30", [10, 11])
    ibm = lab.rows("IBM", "2026-03-02 09:30", [20, 21])
    for lines in (spy + ibm, [spy[0], ibm[0], spy[1], ibm[1]]):
        exchange = lab.open(lab.tape(lines))
        minutes = lab.play(exchange)
        assert [[bar.symbol for bar in minute.bars] for minute in minutes] == [
            ["IBM", "SPY"],
            ["IBM", "SPY"],
            [],
        ]


def test_a_byte_order_mark_and_blank_lines_do_no_harm(lab: Any) -> None:
    tape = lab.folder / "tape.csv"
    header = "symbol,timestamp,open,high,low,close,volume,trade_count,vwap"
    tape.write_text(f"\ufeff{header}\r\n{GOOD}\r\n\r\n", newline="")
    assert len(list(read_bars(tape))) == 1


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("SPY,2026-03-02T14:31:00Z,nan,11,9,10,100,,", "open nan must be a finite price above 0"),
        ("SPY,2026-03-02T14:31:00Z,10,inf,9,10,100,,", "high inf must be a finite price above 0"),
        ("SPY,2026-03-02T14:31:00Z,10,11,-9,10,100,,", "low -9.0 must be a finite price above 0"),
        ("SPY,2026-03-02T14:31:00Z,10,11,9,0,100,,", "close 0.0 must be a finite price above 0"),
        ("SPY,2026-03-02T14:31:00Z,10,8,9,10,100,,", "high 8.0 is below low 9.0"),
        ("SPY,2026-03-02T14:31:00Z,12,11,9,10,100,,", "open 12.0 is outside of low 9.0 to high"),
        ("SPY,2026-03-02T14:31:00Z,10,11,9,8,100,,", "close 8.0 is outside of low 9.0 to high"),
        ("SPY,2026-03-02T14:31:00Z,10,11,9,10,-1,,", "volume -1.0 must be a finite number"),
        ("SPY,2026-03-02T14:31:00Z,10,11,9,10,nan,,", "volume nan must be a finite number"),
        ("SPY,2026-03-02T14:31:00Z,10,11,9,10,100,-1,", "trade_count -1 must be 0 or more"),
        ("SPY,2026-03-02T14:31:00Z,10,11,9,10,100,,nan", "vwap nan must be a finite price"),
        ("SPY,2026-03-02T14:31:00Z,10,11,9,10,100,x,", "trade_count 'x' is not a number"),
        ("SPY,2026-03-02T14:31:00Z,ten,11,9,10,100,,", "open 'ten' is not a number"),
        ("SPY,2026-03-02T14:31:00Z,10,11,9,10,,,", "volume '' is not a number"),
        ("SPY,2026-03-02T14:31:30Z,10,11,9,10,100,,", "is not on the minute"),
        ("SPY,2026-03-02T14:31:00,10,11,9,10,100,,", "has no time zone"),
        ("SPY,0001-01-01T00:00:00+14:00,10,11,9,10,100,,", "is out of range"),
        ("SPY,02/03/2026 14:31,10,11,9,10,100,,", "02/03/2026 may be month/day or day/month"),
        (
            "SPY,2026-03-02,10,11,9,10,100,,",
            "2026-03-02 has no time of day: smabot replays bars of",
        ),
        ("SPY,2026-03-02T14:31:00Z,10,11,9,10,100", "7 fields where 9 are expected"),
        ("Spy,2026-03-02T14:31:00Z,10,11,9,10,100,,", "symbol 'Spy' is not a ticker in capitals"),
        (",2026-03-02T14:31:00Z,10,11,9,10,100,,", "symbol '' is not a ticker"),
        (GOOD, "SPY has a second bar at 2026-03-02T14:30Z (09:30 New York)"),
        ("SPY,2026-03-02T14:28:00Z,10,11,9,10,100,,", "SPY goes back in time"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(lab: Any, line: str, complaint: str) -> None:
    tape = lab.tape([GOOD.replace("14:30", "14:29"), GOOD, line])
    with pytest.raises(ConfigError) as caught:
        lab.open(tape, "ledger.db")
    assert str(caught.value).startswith(f"{tape} line 4: ")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (lab.folder / "ledger.db").exists()


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        (
            "symbol,timestam,open,high,low,close,volume,trade_count,vwap",
            "'timestam' is unknown (did you mean",
        ),
        (
            "symbol,timestamp,open,high,low,Adj Close,volume",
            "an adjusted close is no price that was",
        ),
        ("symbol,timestamp,open,high,low,close,tick_volume", "no column volume: a count of ticks"),
        ("symbol,timestamp,open,high,low,close,volume,Volume", "column 'Volume' is given twice"),
        (
            "symbol,x,y,z",
            "no column timestamp, open, high, low, close, volume: there are",
        ),
        (GOOD, "has no header: its first line is data"),
    ],
)
def test_a_wrong_header_is_named(lab: Any, header: str, complaint: str) -> None:
    tape = lab.tape([GOOD], header=header)
    with pytest.raises(ConfigError, match="line 1: ") as caught:
        list(read_bars(tape))
    assert complaint in str(caught.value)


def test_a_file_that_is_no_tape_is_named(lab: Any) -> None:
    empty = lab.folder / "empty.csv"
    empty.write_text("")
    header_only = lab.tape([], "header.csv")
    binary = lab.folder / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00\x01" * 100)
    not_gzip = lab.folder / "plain.csv.gz"
    not_gzip.write_text("symbol")
    (lab.folder / "none").mkdir()
    (lab.folder / "store/bars").mkdir(parents=True)
    (lab.folder / "store/bars/SPY.csv").write_text("")
    wrong = lab.folder / "tape.xlsx"
    wrong.write_text("")
    for path, complaint in [
        (empty, "is empty"),
        (header_only, "no rows after its header"),
        (binary, "is not UTF-8 text"),
        (not_gzip, "can't be read: Not a gzipped file"),
        (lab.folder / "none", "no .csv, .csv.gz, .parquet file in this folder"),
        (lab.folder / "store", f"in this folder; give {lab.folder / 'store/bars'}"),
        (lab.folder / "heder.csv", "no such file (did you mean 'header.csv'?)"),  # codespell:ignore
        (lab.folder / "no/such/place.csv", "no such file"),
        (wrong, "the name must end in"),
    ]:
        with pytest.raises(ConfigError) as caught:
            list(read_bars(path))
        assert complaint in str(caught.value)
        assert str(path) in str(caught.value)


def test_a_file_that_is_no_parquet_is_named(lab: Any) -> None:
    pytest.importorskip("pyarrow")
    path = lab.folder / "tape.parquet"
    path.write_text("no")
    with pytest.raises(ConfigError, match=r"tape\.parquet.* is not a readable Parquet file"):
        list(read_bars(path))


def test_a_truncated_gzip_is_named(lab: Any) -> None:
    whole = gzip.compress(
        lab.tape(lab.rows("SPY", "2026-03-02 09:30", range(10, 390))).read_bytes()
    )
    cut = lab.folder / "cut.csv.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"cut\.csv\.gz: the gzip data is truncated or damaged"):
        list(read_bars(cut))


def test_order_holds_across_the_files_of_a_folder(lab: Any) -> None:
    lab.tape(lab.rows("SPY", "2026-03-03 09:30", [10]), "folder/a.csv")
    lab.tape(lab.rows("SPY", "2026-03-02 09:30", [10]), "folder/b.csv")
    with pytest.raises(ConfigError, match=r"b\.csv line 2: SPY goes back in time.*file names"):
        list(read_bars(lab.folder / "folder"))


def test_rows_outside_the_regular_sessions_are_dropped_and_counted(lab: Any) -> None:
    times = ["2026-02-28 12:00", "2026-03-02 09:29", "2026-03-02 09:30", "2026-03-02 15:59"]
    times += ["2026-03-02 16:00", "2026-11-26 10:00", "2026-11-27 12:59", "2026-11-27 13:00"]
    exchange = lab.open(lab.tape([lab.row("SPY", time, 10) for time in times]))
    kept = [bar.time for minute in lab.play(exchange) for bar in minute.bars]
    assert kept == [lab.time(times[index]) for index in (2, 3, 6)]
    assert "5 rows outside the regular sessions left out" in exchange.notes


def test_a_tape_without_any_regular_row_is_refused(lab: Any) -> None:
    tape = lab.tape([lab.row("SPY", "2026-03-02 08:00", 10)])
    with pytest.raises(ConfigError, match=r"tape\.csv: none of its 1 rows lies in a regular"):
        lab.open(tape)


def test_missing_minutes_are_reported_in_one_line(lab: Any) -> None:
    def session(day: str, *, without: set[int]) -> list[str]:
        lines = lab.rows("SPY", f"{day} 09:30", [10] * 390)
        return [line for index, line in enumerate(lines) if index not in without]

    tape = lab.tape(
        session("2011-01-04", without=set())
        + session("2011-01-05", without=set(range(25, 62)))
        + session("2011-01-06", without={0, 389})
        + lab.rows("KO", "2011-01-06 09:30", [5] * 388)
    )
    assert lab.open(tape).notes[1:] == (
        "SPY: 39 minutes without a bar in 2 sessions, "
        "the first 2011-01-05 09:55–10:31 New York; 1 more symbol with 2 minutes missing",
    )


def test_whole_sessions_missing_are_passed_over_and_reported(lab: Any) -> None:
    tape = lab.tape(
        lab.rows("SPY", "2026-03-02 09:30", [10] * 390)
        + lab.rows("SPY", "2026-03-05 09:30", [10] * 390)
    )
    exchange = lab.open(tape)
    assert exchange.notes[1].startswith("no bar at all in 2 sessions from 2026-03-03 to 2026-03-04")
    assert [str(session.date) for session in exchange.calendar.sessions[:3]] == [
        "2026-03-02",
        "2026-03-05",
        "2026-03-06",
    ]


def test_missing_sessions_that_are_not_in_a_row_are_told_as_holes(lab: Any) -> None:
    def tape(*days: int) -> Any:
        sessions = (lab.rows("SPY", f"2026-03-{day:02} 09:30", [10] * 390) for day in days)
        return lab.tape([*chain.from_iterable(sessions)], f"{len(days)}.csv")

    assert lab.open(tape(2, 4, 9, 11, 12)).notes[1] == (
        "no bar at all in 4 sessions in 3 holes, the longest 2 from 2026-03-05 to 2026-03-06: left out, as if "
        "the exchange had been closed"
    )
    one = lab.open(tape(2, 4), "one.db").notes[1]
    assert one.startswith("no bar at all in 1 session on 2026-03-03: ")


def _parquet(lab: Any, **columns: Any) -> Path:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path: Path = lab.folder / "tape.parquet"
    base: dict[str, Any] = {
        "symbol": ["SPY", "SPY"],
        "timestamp": [lab.time("2026-03-02 09:30"), lab.time("2026-03-02 09:31")],
        "open": [10.0, 10.5], "high": [11.0, 11.0], "low": [9.0, 9.5], "close": [10.5, 10.0],
        "volume": [100, 200], "trade_count": [None, 5], "vwap": [None, 10.25],
    }  # fmt: skip
    parquet.write_table(pa.table({**base, **columns}), path)
    return path


def test_parquet_reads_as_csv_does(lab: Any) -> None:
    csv = lab.tape([GOOD, "SPY,2026-03-02T14:31:00Z,10.5,11,9.5,10,200,5,10.25"])
    assert list(read_bars(_parquet(lab))) == list(read_bars(csv))


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"open": [10.0, float("nan")]}, "row 2: open nan must be a finite price"),
        ({"timestamp": [datetime(2026, 3, 2, 14, 30)] * 2}, "row 1: timestamp .* has no time zone"),
        ({"timestamp": [1, 2]}, "row 1: timestamp '1' is not a time"),
        ({"timestamp": [True, False]}, "row 1: timestamp True is not a time"),
        ({"close": [None, 1.0]}, "row 1: close None is not a number"),
        ({"symbol": [1, 2]}, "row 1: symbol '1' is not a ticker"),
    ],
)
def test_bad_parquet_is_named_by_row(lab: Any, columns: Any, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        list(read_bars(_parquet(lab, **columns)))


def test_parquet_without_pyarrow_says_what_to_install(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lab.folder / "tape.parquet"
    path.write_bytes(b"PAR1")
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    importing = builtins.__import__

    def without_pyarrow(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return importing(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    with pytest.raises(ConfigError, match=r"pip install 'smabot-exchange\[parquet\]'"):
        list(read_bars(path))


@pytest.mark.skipif(not REAL.exists(), reason="the real bars are not here")
def test_the_real_sessions_of_spy(lab: Any) -> None:
    exchange = lab.open(REAL)
    minutes = lab.play(exchange)
    bars = [bar for minute in minutes for bar in minute.bars]
    assert len(bars) == len(minutes) == 16_770
    sessions = [s for s in exchange.calendar.sessions if s.open < exchange.now]
    assert len(sessions) == 43
    assert exchange.now == sessions[-1].close
    first = [bar for bar in bars if bar.time < sessions[0].close]
    assert (max(bar.high for bar in first), min(bar.low for bar in first)) == (127.60, 126.66)
    assert exchange.notes[1] == "14,987 rows outside the regular sessions left out"
