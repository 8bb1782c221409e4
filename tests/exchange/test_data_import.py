"""`smabot data import` and `data list`: files of others, kept by symbol and year as every command reads them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smabot.cli import main
from smabot.domain.records import Bar
from smabot.domain.splits import split_ratio
from smabot_exchange import store_import
from smabot_exchange.data.bar_store import BarStore
from smabot_exchange.data.data_files import read_bars

pytestmark = pytest.mark.plugins  # one that is not installed leaves a warning

STORE = Path("data/bars")
HEADER = "symbol,timestamp,open,high,low,close,volume"
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def data(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Call `smabot data`."""

    def data(*arguments: str) -> Answer:
        code = main(["data", *arguments])
        answer = Answer(code, *capsys.readouterr())
        lines = [line for line in answer.out.splitlines() if not line.startswith("  smabot ")]
        assert "--json" in arguments or all(len(line) <= 80 for line in lines)
        return answer

    return data


def row(minute: int, price: float = 10, symbol: str = "SPY", day: int = 0) -> str:
    time = OPEN + timedelta(days=day, minutes=minute)
    return f"{symbol},{time:%Y-%m-%dT%H:%M:%SZ},{price},{price},{price},{price},100"


def write(name: str, rows: Sequence[str], header: str = HEADER) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text("\n".join([header, *rows]) + "\n")
    return name


def files() -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(STORE.glob("*.csv"))}


def test_bars_are_kept_by_symbol_and_year(data: Any) -> None:
    end_of_year = "SPY,2025-12-31T20:59:00Z,9,9,9,9.5,1.5"
    write("in/a.csv", [end_of_year.replace("9.5", "9"), row(-1), row(0), row(1), row(0, 5, "IBM")])
    done = data("import", "in")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "data/bars: 4 new bars",
        "symbol  new  same  replaced  sessions",
        "IBM       1     0         0         1",
        "SPY       3     0         0         2",
        "1 rows outside the regular sessions left out",
        "backtest on it",
        "  smabot backtest --data data/bars",
    ]
    assert files() == {
        "IBM-2026.csv": f"{HEADER},trade_count,vwap\n{row(0, 5, 'IBM')},,\n".encode(),
        "SPY-2025.csv": f"{HEADER},trade_count,vwap\nSPY,2025-12-31T20:59:00Z,9,9,9,9,1.5,,\n".encode(),
        "SPY-2026.csv": f"{HEADER},trade_count,vwap\n{row(0)},,\n{row(1)},,\n".encode(),
    }


def test_what_is_imported_again_changes_nothing(data: Any) -> None:
    write("a.csv", [row(minute) for minute in range(5)])
    data("import", "a.csv")
    before = files()
    again = json.loads(data("import", "a.csv", "--json").out)
    assert again["symbols"] == [
        {"symbol": "SPY", "new": 0, "same": 5, "replaced": 0, "sessions": 1}
    ]
    assert files() == before


def test_files_that_overlap_are_one(data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_import, "BARS_AT_ONCE", 3)
    write("b.csv", [row(minute) for minute in range(4, 9)])
    write("a.csv", [row(minute) for minute in range(6)])
    assert data("import", "b.csv", "a.csv").code == 0
    assert len(list(read_bars(STORE))) == 9


def test_values_that_differ_are_not_mixed_unless_it_is_said_which_count(data: Any) -> None:
    write("a.csv", [row(0), row(1)])
    write("b.csv", [row(1, 11), row(2, 11), row(0, 3, "IBM")])
    data("import", "a.csv")
    before = files()
    refused = data("import", "b.csv")
    assert (refused.code, refused.out) == (3, "")
    assert refused.err == (
        "smabot: SPY at 2026-03-02 09:31 ET: open is 11 in the file, 10 stored: say which counts, --prefer "
        "stored or --prefer new, or give another --data\n"
    )
    assert files() == before
    assert "SPY       1     0         0" in data("import", "b.csv", "--prefer", "stored").out
    assert [bar.close for bar in read_bars(STORE) if bar.symbol == "SPY"] == [10, 10, 11]
    assert "SPY       0     1         1" in data("import", "b.csv", "--prefer", "new").out
    assert [bar.close for bar in read_bars(STORE) if bar.symbol == "SPY"] == [10, 11, 11]
    both = data("import", "a.csv", "b.csv", "--data", "other")
    assert (both.code, "in b.csv, 10 in another file" in both.err) == (3, True)


def test_bad_rows_are_refused_or_left_out(data: Any) -> None:
    rows = [row(0), row(1).replace(",100", ",-1"), row(2), row(2), row(1), row(3)]
    write("a.csv", rows)
    refused = data("import", "a.csv")
    assert (refused.code, refused.out, STORE.glob("*.csv") and files()) == (3, "", {})
    assert refused.err == (
        "smabot: a.csv: 3 of 6 rows can't be used, first line 3: volume -1.0 must be a finite number, 0 or "
        "more; `smabot data check a.csv` looks at all of it, --drop-bad-rows leaves them out\n"
    )
    done = data("import", "a.csv", "--drop-bad-rows")
    assert done.code == 0
    assert "3 bad rows left out (1 volume, 1 duplicate, 1 order), first line 3" in done.out
    assert [bar.time.minute for bar in read_bars(STORE)] == [30, 32, 33]


def test_a_file_without_header_symbol_and_zone(data: Any) -> None:
    """As Kibot's and older files of FirstRate."""
    Path("export.txt").write_text(
        "03/02/2026,09:30,10,11,9,10.5,100\n03/02/2026,09:31,10.5,11,9.5,10,200\n03/13/2026,09:30,1,1,1,1,1\n"
    )
    given = ("--columns", "date,time,open,high,low,close,volume", "--data-zone", "America/New_York")
    without = data("import", "export.txt").err
    assert "has no header" in without
    assert "import it with --columns and the columns' names" in without
    unnamed = data("import", "export.txt", *given).err
    assert "no column symbol" in unnamed
    assert "import it with --symbol SPY" in unnamed
    assert (
        f"`smabot data check export.txt --data-zone America/New_York --columns {given[1]}`"
        in unnamed
    )
    checked = data("check", "export.txt", *given, "--symbol", "WMT")
    assert checked.code == 0
    assert checked.out.startswith("export.txt: can be imported\n")
    assert "symbols   WMT, from --symbol\n" in checked.out
    assert checked.out.endswith(
        "import it\n  smabot data import export.txt --data-zone America/New_York --symbol WMT --columns "
        f"{given[1]}\n"
    )
    assert data("check", "export.txt").code == 3
    assert data("import", "export.txt", *given, "--symbol", "wmt").code == 0
    assert next(read_bars(STORE)) == Bar("WMT", OPEN, 10, 11, 9, 10.5, 100)


@pytest.mark.parametrize(
    ("arguments", "code", "says", "never"),
    [
        (["few.csv"], 3, "1 of 3 rows can't be used, first line 4: close '' is not a number; `smabot data check "
         "few.csv` looks at all of it, --drop-bad-rows leaves them out", "misread"),
        (["all.csv"], 3, "3 of 3 rows can't be used, first line 2: close '' is not a number; with so many the file "
         "itself is misread, or of another format; `smabot data check all.csv`", "--drop-bad-rows"),
        (["all.csv", "--drop-bad-rows"], 3, "nothing to import: 3 bad rows, first line 2: close ''", "outside"),
        (["naive.csv"], 3, "3 of 3 rows can't be used, first line 2: timestamp 2026-03-02 14:30:00 has no time "
         "zone: say which one it is in, with --data-zone America/New_York or --data-zone UTC; `smabot data check "
         "naive.csv` looks", "--drop-bad-rows"),
        (["few.csv", "--columns", "symbol,date,open,high,low,close,volume,vwap"], 3, "--columns must name each "
         "column of the file", "--drop-bad-rows"),
        (["few.csv", "--columns", "date,open,high,low"], 2, "--columns: no column close, volume: there are 'date', "
         "'open', 'high', 'low'", "few.csv"),
        (["few.csv", "--drop-bad-rows", "--only", "QQQ"], 3, "nothing to import: 2 rows of other symbols than --only "
         "names: SPY", "outside"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_option_that_helps(
    data: Any, arguments: list[str], code: int, says: str, never: str
) -> None:
    rows = [row(minute) for minute in range(3)]
    bad = [each.replace(",10,100", ",,100") for each in rows]
    write("few.csv", [*rows[:2], bad[2]])
    write("all.csv", bad)
    write("naive.csv", [each.replace("Z", "") for each in rows])
    done = data("import", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
    assert says in done.err
    assert never not in done.err


def test_only_some_symbols_of_a_file_of_all(data: Any) -> None:
    with gzip.open("2026-03-02.csv.gz", "wt") as file:
        file.write("ticker,volume,open,close,high,low,window_start,transactions\n")
        file.writelines(
            f"{name},100,10,10.5,11,9,1772461800000000000,3\n" for name in ("AAPL", "IBM", "SPY")
        )
    done = data("import", "2026-03-02.csv.gz", "--only", "spy,QQQ")
    assert "\n2 rows of other symbols left out\n" in done.out
    assert list(files()) == ["SPY-2026.csv"]


def test_ends_of_minutes_are_told_and_taken_off(data: Any) -> None:
    write("a.csv", [row(minute) for minute in range(1, 391)])
    refused = data("import", "a.csv")
    assert (refused.code, "add --ends-of-minutes" in refused.err) == (3, True)
    assert data("import", "a.csv", "--ends-of-minutes").code == 0
    bars = list(read_bars(STORE))
    assert (len(bars), bars[0].time) == (390, OPEN)


NEW_YORK, EST = ZoneInfo("America/New_York"), ZoneInfo("EST")
WINTER, SUMMER = datetime(2026, 3, 2, tzinfo=NEW_YORK), datetime(2026, 3, 9, tzinfo=NEW_YORK)


def written(
    zone: tzinfo, form: str, hours: tuple[int, int], days: Sequence[datetime], lacking: int = 0
) -> str:
    """Write a file of whole days with a bar each minute, its times as a clock of the zone shows them; of so many minutes
    one lacks."""
    times = [
        (day + timedelta(minutes=minute)).astimezone(zone)
        for day in days
        for minute in range(hours[0] * 60 + 30, hours[1] * 60)
        if not lacking or minute % lacking
    ]
    rows = [f"{time:{form}},10,10,10,10,100" for time in times]
    return write("SPY.csv", rows, "timestamp,open,high,low,close,volume")


@pytest.mark.parametrize(
    ("zone", "form", "given", "says"),
    [
        (NEW_YORK, "%Y-%m-%d %H:%M", "UTC",
         "69% of the minutes lie outside the regular sessions, and 100% would lie within them as "
         "America/New_York: --data-zone America/New_York reads the times so"),
        (UTC, "%Y-%m-%d %H:%M", "America/New_York", "would lie within them as UTC: --data-zone UTC reads"),
        (EST, "%Y-%m-%d %H:%M", "America/New_York",
         "8% of the minutes lie outside the regular sessions, and 100% would lie within them as EST: "),
        (NEW_YORK, "%Y-%m-%d %H:%MZ", "UTC",
         "in another time zone: the one that the times themselves say seems wrong; write them without it"),
    ],
)  # fmt: skip
def test_a_wrong_time_zone_is_told_with_the_one_that_fits(
    data: Any, zone: tzinfo, form: str, given: str, says: str
) -> None:
    file = written(zone, form, (9, 16), [WINTER, SUMMER])
    refused = data("import", file, "--data-zone", given)
    assert (refused.code, refused.out) == (3, "")
    assert "SPY.csv: wrong time zone: " in refused.err
    assert says in refused.err
    assert refused.err.endswith("; --trust-zone imports it as it is\n")
    assert not STORE.exists()
    done = data("import", file, "--data-zone", given, "--trust-zone")
    assert (done.code, done.err) == (0, "")
    told = " ".join(done.out.split())
    assert "WRONG TIME ZONE? SPY.csv: " in told
    assert says in told
    assert "remove the files of its symbols from data/bars" in told
    assert says in " ".join(data("check", file, "--data-zone", given).out.split())


def test_complete_sessions_prove_a_zone_though_the_file_has_more_than_sessions(data: Any) -> None:
    file = written(UTC, "%Y-%m-%d %H:%M", (8, 18), [WINTER, SUMMER])
    refused = data("import", file, "--data-zone", "America/New_York")
    assert refused.code == 3
    assert "wrong time zone: " in refused.err
    assert data("import", file, "--data-zone", "UTC").code == 0


def test_a_zone_that_fits_somewhat_better_is_told_and_imported(data: Any) -> None:
    """Where neither has all minutes in sessions, nor complete sessions, nothing is proved."""
    file = written(NEW_YORK, "%Y-%m-%d %H:%M", (9, 18), [WINTER, SUMMER], lacking=3)
    done = data("import", file, "--data-zone", "America/Chicago")
    assert (done.code, done.err) == (0, "")
    assert "WRONG TIME ZONE? SPY.csv: " in done.out


@pytest.mark.parametrize(
    ("zone", "form", "hours"),
    [
        (NEW_YORK, "%Y-%m-%d %H:%M", (9, 16)),
        (NEW_YORK, "%Y-%m-%d %H:%M", (4, 20)),
        (NEW_YORK, "%Y-%m-%d %H:%M%z", (4, 20)),
        (EST, "%Y-%m-%d %H:%M", (4, 20)),
        (EST, "%Y-%m-%d %H:%M", (9, 16)),
    ],
)
def test_a_right_time_zone_is_not_suspected(
    data: Any, zone: tzinfo, form: str, hours: tuple[int, int]
) -> None:
    half_day = datetime(2026, 11, 27, tzinfo=NEW_YORK)
    file = written(zone, form, hours, [WINTER, SUMMER, half_day])
    done = data("import", file, "--data-zone", str(zone))
    assert done.code == 0
    assert "ZONE" not in done.out


@pytest.mark.parametrize("days", [[WINTER, SUMMER], [SUMMER]])
def test_a_zone_without_summer_time_is_told_where_times_may_be_new_yorks(
    data: Any, days: Sequence[datetime]
) -> None:
    """With minutes before and after the sessions each session is full in either zone."""
    file = written(NEW_YORK, "%Y-%m-%d %H:%M", (4, 20), days)
    says = (
        "the data span summer time, which EST does not have: if the times are New York's, give --data-zone "
        "America/New_York"
    )
    assert f"zone? {says}" in " ".join(data("check", file, "--data-zone", "EST").out.split())
    done = data("import", file, "--data-zone", "EST")
    assert done.code == 0
    assert f"WRONG TIME ZONE? SPY.csv: {says}; before" in " ".join(done.out.split())
    (found,) = json.loads(data("check", file, "--data-zone", "Etc/GMT+5", "--json").out)["files"]
    assert found["without_summer_time"]


def test_a_zone_in_which_nothing_is_left_is_refused_with_the_one_that_fits(data: Any) -> None:
    file = written(NEW_YORK, "%Y-%m-%d %H:%M", (9, 16), [WINTER])
    done = data("import", file, "--data-zone", "Asia/Hong_Kong")
    assert (done.code, done.out) == (3, "")
    assert "100% of the minutes lie outside the regular sessions, and 100% would" in done.err
    assert "--data-zone America/New_York" in done.err
    assert not STORE.exists()


def test_a_frame_of_pandas(data: Any) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    index = pandas.date_range(OPEN, periods=3, freq="min", name="timestamp")
    prices = {name: [10.0, 11.0, 12.0] for name in ("open", "high", "low", "close")}
    frame = pandas.DataFrame({**prices, "volume": [1, 2, 3]}, index=index)
    frame.to_csv("SPY.csv")
    frame.to_parquet("SPY.parquet")
    frame.to_pickle("SPY.pkl")
    assert data("import", "SPY.csv").code == 0
    assert "0     3         0" in data("import", "SPY.parquet").out
    refused = data("import", "SPY.pkl")
    assert (refused.code, refused.err) == (
        3,
        "smabot: SPY.pkl: a pickle is not read, as it may run code: write the frame with to_csv or to_parquet\n",
    )


def test_a_split_is_told(data: Any) -> None:
    write("a.csv", [row(0, 100), row(0, 25, day=1)])
    assert "SPY 2026-03-03: opens at 25 after 100: a 4:1 split?" in data("import", "a.csv").out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["a.csv", "--symbol", "S PY"], 2, "--symbol: symbol 'S PY' is not a ticker"),
        (["a.csv", "--only", "S PY"], 2, "--only: symbol 'S PY' is not a ticker"),
        (["a.csv", "--only", ","], 2, "--only names none"),
        (
            ["a.csv", "--data-zone", "New_York"],
            3,
            "--data-zone 'New_York': no such time zone (did you mean ",
        ),
        (
            ["a.csv", "--symbol", "qqq"],
            3,
            "a.csv: its column symbol says whose bars they are: leave out --symbol QQQ; `smabot data import "
            "--only` takes the bars of some symbols alone",
        ),
        (["missing.csv"], 3, "missing.csv: no such file"),
        (["daily.csv"], 3, "has no time of day"),
        (["five.csv"], 3, "has bars of 5 minutes"),
        (["night.csv"], 3, "nothing to import: 1 rows outside the regular sessions"),
        (["a.csv", "--data", "a.csv"], 3, "data a.csv: is no folder"),
        (["a.csv", "--data", "."], 3, "has data files that smabot did not write"),
        ([], 2, "missing argument"),
    ],
)
def test_what_can_not_be_imported_is_one_line(
    data: Any, arguments: list[str], code: int, words: str
) -> None:
    write("a.csv", [row(0)])
    write("night.csv", [row(-400)])
    write("daily.csv", ["SPY,2026-03-02,10,10,10,10,1"], "symbol,date,open,high,low,close,volume")
    write("five.csv", [row(minute) for minute in range(0, 390, 5)])
    done = data("import", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
    assert words.casefold() in done.err.casefold()


def test_a_check_refuses_a_symbol_that_the_file_names_itself(data: Any) -> None:
    write("a.csv", [row(0)])
    done = data("check", "a.csv", "--symbol", "QQQ")
    assert (done.code, done.err) == (3, "")
    assert "leave out --symbol QQQ" in " ".join(done.out.split())


def test_the_list_of_what_is_stored(data: Any) -> None:
    nothing = data("list")
    assert (nothing.code, nothing.err.count("\n")) == (3, 1)
    write("a.csv", [row(0), row(1), row(3), row(0, day=2), row(0, 5, "IBM")])
    data("import", "a.csv")
    assert [" ".join(line.split()) for line in data("list").out.splitlines()] == [
        "symbol first last sessions missing bars gaps size",
        "IBM 2026-03-02 2026-03-02 1 0 1 389 100 B",
        "SPY 2026-03-02 2026-03-04 2 1 4 776 233 B",
        "missing: sessions without a bar; gaps: minutes without one in the other sessions",
    ]
    found = json.loads(data("list", "--json").out)
    assert found["symbols"][1]["missing"] == ["2026-03-03"]


@pytest.mark.plugins
def test_a_backtest_reads_the_store_as_it_reads_the_files(
    data: Any, spy_tape: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with gzip.open(spy_tape, "rt") as file:
        Path("some.csv").write_text("".join(islice(file, 3_000)))
    data("import", "some.csv")
    assert main(["backtest", "--plugins", "sma,risk", "--data", str(STORE), "--json"]) == 0
    stored = capsys.readouterr().out
    assert main(["backtest", "--plugins", "sma,risk", "--data", "some.csv", "--json"]) == 0
    straight = json.loads(capsys.readouterr().out)
    notes = straight.pop("notes"), (kept := json.loads(stored)).pop("notes")
    assert kept == straight
    assert {*notes[0]} - {*notes[1]} == {
        note for note in notes[0] if "outside the regular sessions" in note or "some.csv" in note
    }


PRICES = st.floats(0.0001, 1e6)
BARS = st.dictionaries(
    st.integers(0, 389),
    st.tuples(PRICES, st.floats(0, 1e12), st.none() | st.integers(0, 10**9), st.none() | PRICES),
    max_size=20,
)


@pytest.mark.parametrize("format", ["csv", "parquet"])
@given(bars=BARS)
def test_what_is_written_is_read_to_the_last_digit(
    tmp_path_factory: pytest.TempPathFactory, format: str, bars: Any
) -> None:
    if format == "parquet":
        pytest.importorskip("pyarrow")
    minutes = {
        (time := OPEN + timedelta(minutes=minute)): Bar("BRK.B", time, *[price] * 4, volume, count, vwap)
        for minute, (price, volume, count, vwap) in bars.items()
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("store")
    store = BarStore(folder, format)
    store.write("BRK.B", 2026, minutes)
    if minutes:
        assert BarStore(folder).minutes("BRK.B", 2026) == minutes
    assert sum(BarStore(folder).days("BRK.B").values()) == len(minutes)


@given(new=st.integers(2, 20), close=st.floats(1, 1e4), night=st.floats(0.98, 1.02))
def test_any_split_is_found_and_no_common_night_is_one(
    new: int, close: float, night: float
) -> None:
    assert split_ratio(close, close / new * night) in {f"{new}:1", f"{new + 1}:1", f"{new - 1}:1"}
    assert split_ratio(close, close * new * night) in {f"1:{new}", f"1:{new + 1}", f"1:{new - 1}"}
    assert split_ratio(close, close / 1.5 * night) == "3:2"
    assert split_ratio(close, close * night) == split_ratio(close, close * night * 1.2) == ""
