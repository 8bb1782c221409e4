"""Data files of other sources: their columns, symbols and times, and what is refused because it is not clear."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.records import Bar
from smabot.errors import ConfigError
from smabot_exchange.data.data_files import read_bars
from smabot_exchange.data.ticker_names import ticker_of_file

NEW_YORK = "America/New_York"


def moment(minute: int) -> datetime:
    """A minute after the open of 2 March 2026, UTC."""
    return datetime(2026, 3, 2, 14, minute, tzinfo=UTC)


PLAIN = [
    Bar("SPY", moment(30), 10, 11, 9, 10.5, 100),
    Bar("SPY", moment(31), 10.5, 11, 9.5, 10, 200),
]
COUNTED = [PLAIN[0]._replace(trade_count=3, vwap=10.25), PLAIN[1]._replace(trade_count=5)]

SOURCES = {
    # file name, lines, time zone that is needed, bars
    "alpaca's frame": (
        "x.csv",
        "symbol,timestamp,open,high,low,close,volume,trade_count,vwap\n"
        "SPY,2026-03-02 14:30:00+00:00,10.0,11.0,9.0,10.5,100.0,3.0,10.25\n"
        "SPY,2026-03-02 14:31:00+00:00,10.5,11.0,9.5,10.0,200.0,5.0,\n",
        None, COUNTED,
    ),
    "alpaca's JSON keys": (
        "x.csv",
        "S,t,o,h,l,c,v,n,vw\nSPY,2026-03-02T14:30:00Z,10,11,9,10.5,100,3,10.25\n"
        "SPY,2026-03-02T14:31:00Z,10.5,11,9.5,10,200,5,\n",
        None, COUNTED,
    ),
    "alpaca's messages": (
        "x.csv",
        "T,S,o,h,l,c,v,t,n,vw\nb,SPY,10,11,9,10.5,100,2026-03-02T14:30:00Z,3,10.25\n"
        "b,SPY,10.5,11,9.5,10,200,2026-03-02T14:31:00Z,5,\n",
        None, COUNTED,
    ),
    "yfinance, one ticker": (
        "spy_1m.csv",
        "Datetime,Open,High,Low,Close,Adj Close,Volume\n"
        "2026-03-02 09:30:00-05:00,10,11,9,10.5,7,100\n2026-03-02 09:31:00-05:00,10.5,11,9.5,10,7,200\n",
        None, PLAIN,
    ),
    "yfinance, header of three lines": (
        "download.csv",
        "Price,Close,High,Low,Open,Volume\nTicker,SPY,SPY,SPY,SPY,SPY\nDatetime,,,,,\n"
        "2026-03-02 14:30:00+00:00,10.5,11,9,10,100\n2026-03-02 14:31:00+00:00,10,11,9.5,10.5,200\n",
        None, PLAIN,
    ),
    "yfinance, stacked": (
        "x.csv",
        "Datetime,Ticker,Close,High,Low,Open,Volume\n"
        "2026-03-02 14:30:00+00:00,SPY,10.5,11,9,10,100\n2026-03-02 14:31:00+00:00,SPY,10,11,9.5,10.5,200\n",
        None, PLAIN,
    ),
    "pandas, index without a name": (
        "SPY.csv",
        ",open,high,low,close,volume\n2026-03-02 14:30:00+00:00,10,11,9,10.5,100\n"
        "2026-03-02 14:31:00+00:00,10.5,11,9.5,10,200\n",
        None, PLAIN,
    ),
    "pandas, numbered rows": (
        "SPY.csv",
        ",time,open,high,low,close,volume\n0,2026-03-02 14:30:00+00:00,10,11,9,10.5,100\n"
        "1,2026-03-02 14:31:00+00:00,10.5,11,9.5,10,200\n",
        None, PLAIN,
    ),
    "Kaggle, a date and a time": (
        "SPY-2026.csv",
        "Date,Time,Open,High,Low,Close,Volume\n2026-03-02,09:30,10,11,9,10.5,100\n"
        "2026-03-02,09:31,10.5,11,9.5,10,200\n",
        NEW_YORK, PLAIN,
    ),
    "Stooq": (
        "spy.us.txt",
        "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
        "SPY.US,1,20260302,153000,10,11,9,10.5,100,0\nSPY.US,1,20260302,153100,10.5,11,9.5,10,200,0\n",
        "Europe/Warsaw", PLAIN,
    ),
    "Polygon's flat files": (
        "2026-03-02.csv",
        "ticker,volume,open,close,high,low,window_start,transactions\n"
        "SPY,100,10,10.5,11,9,1772461800000000000,3\nSPY,200,10.5,10,11,9.5,1772461860000000000,5\n",
        None, [PLAIN[0]._replace(trade_count=3), PLAIN[1]._replace(trade_count=5)],
    ),
    "Databento": (
        "x.csv",
        "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol\n"
        "1772461800000000000,33,2,15144,10000000000,11000000000,9000000000,10500000000,100,SPY\n"
        "1772461860000000000,33,2,15144,10500000000,11000000000,9500000000,10000000000,200,SPY\n",
        None, PLAIN,
    ),
    "Databento, with prices and times as text": (
        "x.csv",
        "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol\n"
        "2026-03-02T14:30:00.000000000Z,33,2,15144,10.000000000,11.000000000,9.000000000,10.500000000,100,SPY\n"
        "2026-03-02T14:31:00.000000000Z,33,2,15144,10.500000000,11.000000000,9.500000000,10.000000000,200,SPY\n",
        None, PLAIN,
    ),
    "Robinhood": (
        "x.csv",
        "begins_at,open_price,close_price,high_price,low_price,volume,session,interpolated,symbol\n"
        "2026-03-02T14:30:00Z,10.00,10.50,11.00,9.00,100,reg,False,SPY\n"
        "2026-03-02T14:31:00Z,10.50,10.00,11.00,9.50,200,reg,False,SPY\n",
        None, PLAIN,
    ),
    "Barchart": (
        "spy_intraday-1min.csv",
        "Time,Open,High,Low,Latest,Change,%Change,Volume\n2026-03-02 09:30,10,11,9,10.5,0,0%,100\n"
        "2026-03-02 09:31,10.5,11,9.5,10,0,0%,200\n",
        NEW_YORK, PLAIN,
    ),
    "TradingView": (
        "BATS_SPY, 1.csv",
        "time,open,high,low,close,Volume\n1772461800,10,11,9,10.5,100\n1772461860,10.5,11,9.5,10,200\n",
        None, PLAIN,
    ),
    "MetaTrader": (
        "SPY_M1_202603020930_202603020931.csv",
        "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
        "2026.03.02\t09:30:00\t10\t11\t9\t10.5\t7\t100\t1\n2026.03.02\t09:31:00\t10.5\t11\t9.5\t10\t7\t200\t1\n",
        NEW_YORK, PLAIN,
    ),
    "milliseconds, semicolons": (
        "SPY.csv",
        "t;o;h;l;c;v\n1772461800000;10;11;9;10.5;100\n1772461860000;10.5;11;9.5;10;200\n",
        None, PLAIN,
    ),
    "decimal commas": (
        "SPY.csv",
        "t;o;h;l;c;v\n1772461800;10;11;9;10,5;100\n1772461860;10,500;11,000;9,500;10,000;200,0\n",
        None, PLAIN,
    ),
    "decimal commas, first of all among whole numbers": (
        "SPY.csv",
        "t\to\th\tl\tc\tv\n1772461800\t10,000\t11,000\t9,000\t10,500\t100\n"
        "1772461860\t10,500\t11\t9,5\t10,0\t200\n",
        None, PLAIN,
    ),
    "decimal commas, in quotes between commas": (
        "SPY.csv",
        't,o,h,l,c,v\n1772461800,10,11,9,"10,5",100\n1772461860,"10,5",11,"9,5",10,"2,0e2"\n',
        None, PLAIN,
    ),
    "decimal commas and points of thousands": (
        "SPY.csv",
        "t;o;h;l;c;v\n1772461800;1.000,0;1.100,0;900;1.050,0;1.234.567,0\n",
        None, [PLAIN[0]._replace(open=1000.0, high=1100.0, low=900.0, close=1050.0, volume=1234567.0)],
    ),
    "IBKR": (
        "SPY.csv",
        "date,open,high,low,close,volume,average,barCount\n"
        "20260302 09:30:00 US/Eastern,10,11,9,10.5,100,10.25,3\n"
        "20260302 09:31:00 US/Eastern,10.5,11,9.5,10,200,10,5\n",
        None, [PLAIN[0]._replace(trade_count=3), PLAIN[1]._replace(trade_count=5)],
    ),
    "Alpha Vantage, newest first": (
        "SPY_intraday_1min.csv",
        "timestamp,open,high,low,close,volume\n2026-03-02 09:31:00,10.5,11,9.5,10,200\n"
        "2026-03-02 09:30:00,10,11,9,10.5,100\n",
        NEW_YORK, PLAIN,
    ),
    "yfinance, by ticker": (
        "download.csv",
        "Ticker,SPY,SPY,SPY,SPY,SPY\nPrice,Open,High,Low,Close,Volume\nDatetime,,,,,\n"
        "2026-03-02 14:30:00+00:00,10,11,9,10.5,100\n2026-03-02 14:31:00+00:00,10.5,11,9.5,10,200\n",
        None, PLAIN,
    ),
    "lower case": (
        "x.csv",
        "symbol,timestamp,open,high,low,close,volume\nspy,2026-03-02T14:30:00Z,10,11,9,10.5,100\n"
        "spy,2026-03-02T14:31:00Z,10.5,11,9.5,10,200\n",
        None, PLAIN,
    ),
}  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
def test_the_usual_files_are_read_as_they_are(tmp_path: Path, source: str) -> None:
    name, text, zone, bars = SOURCES[source]
    (tmp_path / name).write_text(text)
    assert list(read_bars(tmp_path / name, zone)) == bars
    if zone is not None:
        with pytest.raises(
            ConfigError, match=r"line [23]: timestamp .* has no time zone.*--data-zone"
        ):
            list(read_bars(tmp_path / name))


@pytest.mark.parametrize("seconds", [1, 10**3, 10**6, 10**9])
def test_an_epoch_has_the_unit_of_its_size(lab: Any, seconds: int) -> None:
    rows = [f"SPY,{1772461800 * seconds},10,11,9,10.5,100"]
    file = lab.tape(rows, header="symbol,time,open,high,low,close,volume")
    assert list(read_bars(file)) == PLAIN[:1]


@pytest.mark.parametrize(
    ("stamp", "more"),
    [
        ("3/2/2026 9:30", "3/13/2026 9:30"),
        ("03/02/2026 09:30:00", "12/31/2026 09:30:00"),
        ("2/3/2026 9:30", "13/3/2026 9:30"),
        ("02.03.2026 09:30", "31.03.2026 09:30"),
        ("2026/03/02 9:30:00 AM", ""),
        ("3/2/2026 9:30 a.m.", "3/30/2026 4:00 p.m."),
        ("20260302 0930", ""),
        ("20260302093000", ""),
        ("2026-03-02T09:30:00.000", ""),
    ],
)
def test_dates_are_read_where_only_one_reading_is_possible(
    tmp_path: Path, stamp: str, more: str
) -> None:
    rows = [f"{each},10,11,9,10.5,100" for each in (stamp, more) if each]
    file = tmp_path / "SPY.csv"
    file.write_text("\n".join(["date,open,high,low,close,volume", *rows]))
    assert next(iter(read_bars(file, NEW_YORK))) == PLAIN[0]


def test_a_date_that_may_be_of_two_months_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "SPY.csv"
    file.write_text(
        "date,open,high,low,close,volume\n03/02/2026 09:30,10,11,9,10,1\n03/02/2026 09:31,10,11,9,10,1\n"
    )
    with pytest.raises(ConfigError, match="line 2: date 03/02/2026 may be month/day or day/month"):
        list(read_bars(file, NEW_YORK))


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("SPY.csv", "SPY"), ("AAPL_1min.csv", "AAPL"), ("spy-2024.csv.gz", "SPY"), ("BRK.B.csv", "BRK.B"),
        ("brk-b.us.txt", "BRK.B"), ("T.parquet", "T"), ("SPY 2024-01-02.csv", "SPY"), ("DATA.csv", "DATA"),
        ("NASDAQ_AAPL, 1.csv", "AAPL"), ("msft.us.csv", "MSFT"), ("SPY.2024.csv", "SPY"),
        ("data.csv", None), ("bars.csv", None), ("tape.csv", None), ("x.csv", None), ("2026-03-02.csv", None),
        ("SPY_AAPL.csv", None), ("export (1).csv", None), ("my-backtest.csv", None), ("prices.csv", None),
        ("Spy.csv", None), ("intraday_1min_SPY.csv", None),
        ("yf_hist.csv", None), ("yahoo_1min.csv", "YAHOO"), ("AAPL_data.csv", None), ("SPY_raw_1min.csv", None),
        ("aapl-1m.csv", "AAPL"), ("AAPL_minute_2024-01-02.csv", "AAPL"), ("AAPL_1T.csv", "AAPL"),
    ],
)  # fmt: skip
def test_a_files_name_tells_its_symbol_or_it_does_not(name: str, symbol: str | None) -> None:
    assert ticker_of_file(Path("folder") / name) == symbol


REFUSED = {
    "no symbol": ("export.csv", "time,open,high,low,close,volume\n1772461800,10,11,9,10,1\n", "rename the file"),
    "daily": ("SPY.csv", "Date,Open,High,Low,Close,Volume\n2026-03-02,10,11,9,10,1\n", "no time of day: smabot rep"),
    "daily, Stooq": (
        "spy.us.txt", "<TICKER>,<PER>,<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>\nSPY.US,D,20260302,10,11,9,10,1\n",
        "no time of day",
    ),
    "several tickers side by side": (
        "x.csv", "Price,Close,Close,Open\nTicker,IBM,SPY,IBM\nDatetime,,,\n", r"side by side \(IBM, SPY\).*stack",
    ),
    "a comma that may be of thousands": (
        "SPY.csv", "t;o;h;l;c;v\n1772461800;10,500;11;9;10;100\n",
        "open '10,500' is not a number: whether its comma is a decimal one",
    ),
    "commas of thousands": (
        "SPY.csv", "t;o;h;l;c;v\n1772461800;1,000.50;1,001.50;999.5;1,000.75;1,000\n",
        "open '1,000.50' is not a number.* as 1234.5",
    ),
    "a point among decimal commas": (
        "SPY.csv", "t;o;h;l;c;v\n1772461800;10,5;11;9;10;1.234\n",
        "volume '1.234' has a point where other numbers have decimal commas",
    ),
    "seconds": ("SPY.csv", "t,o,h,l,c,v\n1772461801,10,11,9,10,1\n", "is not on the minute"),
    "a number that is no time": ("SPY.csv", "t,o,h,l,c,v\n7,10,11,9,10,1\n", "timestamp '7' is not a time"),
    "no header": ("SPY.csv", "2026-03-02 09:30,10,11,9,10,1\n", "has no header: its first line is data"),
    "an unknown zone": ("SPY.csv", "t,o,h,l,c,v\n2026-03-02 09:30 Mars/Base,1,1,1,1,1\n", "has an unknown time zone"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_clear_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    name, text, complaint = REFUSED[case]
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=complaint) as caught:
        list(read_bars(tmp_path / name))
    assert "smabot data check" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("every", "words"), [(5, "bars of 5 minutes"), (60, "bars of 60 minutes")])
def test_longer_bars_are_refused(lab: Any, every: int, words: str) -> None:
    days = ("2026-03-02", "2026-03-03")
    rows = [row for day in days for row in lab.rows("SPY", f"{day} 09:30", [10] * 390)[::every]]
    with pytest.raises(
        ConfigError, match=rf"tape\.csv: has {words}: smabot replays bars of 1 minute"
    ):
        lab.open(lab.tape(rows))


@pytest.mark.parametrize("clock", ["00:00", "16:00", "09:30"])
def test_daily_bars_are_refused(lab: Any, clock: str) -> None:
    rows = [lab.row("SPY", f"2026-03-{day:02} {clock}", 10) for day in (2, 3, 4, 5, 6)]
    with pytest.raises(ConfigError, match=r"tape\.csv: has daily bars"):
        lab.open(lab.tape(rows))


def test_a_rarely_traded_symbol_is_not_taken_for_longer_bars(lab: Any) -> None:
    minutes = [0, 5, 15, 40, 60, 90, 120, 200, 301, 305]
    rows = lab.rows("SPY", "2026-03-02 09:30", [10] * 390)
    assert len(lab.play(lab.open(lab.tape([rows[minute] for minute in minutes])))) >= len(minutes)


@pytest.mark.parametrize("index", ["Datetime", "__index_level_0__"])
@pytest.mark.parametrize("zone", ["UTC", NEW_YORK, None])
def test_a_frame_of_pandas_is_read_from_parquet(
    tmp_path: Path, index: str, zone: str | None
) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    local = timedelta(0) if zone else timedelta(hours=5)
    times = [moment(minute).replace(tzinfo=None) - local for minute in (30, 31)]
    columns = {"Open": [10.0, 10.5], "High": [11.0, 11.0], "Low": [9.0, 9.5], "Close": [10.5, 10.0]}
    stamps = pa.array(times, pa.timestamp("ns", zone))
    table = pa.table({**columns, "Volume": [100, 200], "N": [float("nan"), 5.0], index: stamps})
    parquet.write_table(table, tmp_path / "SPY.parquet")
    bars = list(read_bars(tmp_path / "SPY.parquet", None if zone else NEW_YORK))
    assert bars == [PLAIN[0], PLAIN[1]._replace(trade_count=5)]


def test_a_folder_with_a_file_for_each_symbol_is_replayed(lab: Any) -> None:
    for name in ("SPY.csv", "AAPL_1min.csv"):
        lab.tape(
            ["2026-03-02 09:30:00-05:00,10,11,9,10,100", "2026-03-02 09:31:00-05:00,10,11,9,10,100"],
            f"folder/{name}", header="Datetime,Open,High,Low,Close,Volume",
        )  # fmt: skip
    minutes = lab.play(lab.open(lab.folder / "folder"))
    assert [[bar.symbol for bar in minute.bars] for minute in minutes] == [["AAPL", "SPY"]] * 2 + [
        []
    ]


def test_a_ledger_keeps_to_the_zone_and_the_symbol_it_was_created_with(lab: Any) -> None:
    header = "time,open,high,low,close,volume"
    file = lab.tape(["2026-03-02 09:30,10,11,9,10,100"], "SPY.csv", header=header)
    first = lab.open(file, "ledger.db", data_zone=NEW_YORK)
    assert first.now == lab.time("2026-03-02 09:30")
    first.close()
    lab.open(file, "ledger.db", data_zone=NEW_YORK).close()
    with pytest.raises(
        ConfigError, match=r"SPY\.csv: its times have no time zone: give the --data-z"
    ):
        lab.open(file, "ledger.db")
    with pytest.raises(ConfigError, match="was created with other data"):
        lab.open(file, "ledger.db", data_zone="America/Chicago")
    other = file.rename(lab.folder / "IBM.csv")
    with pytest.raises(ConfigError, match="was created with other data"):
        lab.open(other, "ledger.db", data_zone=NEW_YORK)


def test_a_zone_that_is_not_needed_changes_nothing(lab: Any) -> None:
    file = lab.tape(lab.rows("SPY", "2026-03-02 09:30", [10, 11]))
    lab.open(file, "ledger.db").close()
    lab.open(file, "ledger.db", data_zone="Asia/Tokyo").close()


@pytest.mark.parametrize(
    ("day", "line"),
    [
        ("2036-12-30", "its last session is 2036-12-30, .*the trading calendar ends on 2036-12-31"),
        ("2037-01-05", "no trading calendar for 2037-01-05: .*leave out the rows beyond"),
    ],
)
def test_data_of_the_calendars_end_say_so(lab: Any, day: str, line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        lab.open(lab.tape(lab.rows("SPY", f"{day} 09:30", [10])))
