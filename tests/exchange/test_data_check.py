"""`smabot data check`: what it says of files that can be replayed, and of all that is wrong in others."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from smabot.cli import main

HEADER = "Datetime,Open,High,Low,Close,Adj Close,Volume"


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    def line(self, title: str) -> str:
        """The text that a title has, its lines as one."""
        lines, found = self.out.splitlines(), []
        for number, text in enumerate(lines):
            if text.startswith(f"  {title} "):
                found.append(text[12:].strip())
                for more in lines[number + 1 :]:
                    if not more.startswith(" " * 12):
                        break
                    found.append(more.strip())
        return " ".join(found)


Check = Callable[..., Answer]


@pytest.fixture
def check(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> Check:
    def check(*arguments: str) -> Answer:
        code = main(["data", "check", *arguments])
        answer = Answer(code, *capsys.readouterr())
        if "--json" not in arguments:
            lines = answer.out.splitlines()
            assert all(len(line) <= 80 for line in lines if "smabot run" not in line)
        return answer

    return check


def sessions(
    days: Sequence[int] = (2, 3), first: str = "09:30", price: float = 10, minutes: int = 390
) -> list[str]:
    """Rows of sessions in March 2026, with New York's times without a zone."""
    rows = []
    for day in days:
        start = datetime.fromisoformat(f"2026-03-{day:02} {first}")
        for minute in range(minutes):
            time = start + timedelta(minutes=minute)
            rows.append(f"{time},{price},{price + 1},{price - 1},{price},7,100")
    return rows


def write(name: str, rows: Sequence[str], header: str = HEADER) -> str:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text("\n".join([header, *rows]) + "\n")
    return name


def test_it_says_how_a_file_is_read(check: Check) -> None:
    rows = sessions()
    del rows[100:130]
    found = check(write("SPY_1min.csv", rows), "--data-zone", "America/New_York")
    assert found.code == 0, found.err
    assert found.out.startswith("SPY_1min.csv: can be replayed\n")
    assert found.line("columns") == "timestamp from Datetime, Open, High, Low, Close, Volume"
    assert found.line("ignored") == "Adj Close"
    assert found.line("symbols") == "SPY, from the file's name"
    assert found.line("times") == "without a zone, read as America/New_York"
    assert found.line("minutes") == "2026-03-02 09:30 ET to 2026-03-03 15:59 ET"
    assert found.line("sessions") == "2, with 750 minutes"
    assert "30 minutes without a bar in 1 session" in found.line("note")
    assert found.out.splitlines()[-2:] == [
        "backtest on it",
        "  smabot backtest --data SPY_1min.csv --data-zone America/New_York",
    ]


def test_without_a_zone_it_counts_what_each_would_give(check: Check) -> None:
    found = check(write("SPY.csv", sessions()))
    assert found.code == 3
    assert found.out.startswith("SPY.csv: can't be replayed\n")
    assert found.line("zone") == (
        "of 780 rows these would lie in a regular session: 780 as America/New_York, 180 as UTC; "
        "say which it is with --data-zone"
    )
    assert found.line("refused").startswith(
        "780 rows, first line 2: timestamp 2026-03-02 09:30:00 has"
    )


def test_it_counts_all_that_is_wrong(check: Check) -> None:
    rows = sessions([2])
    rows[5] = rows[5].replace(",11,", ",3,")
    rows[6] = rows[6].replace(",11,", ",3,")
    rows[9] = "x" + rows[9]
    rows[20] = rows[19]
    rows[30], rows[31] = rows[31], rows[30]
    rows[40] = rows[40].replace(",100", ",many")
    rows[50] = rows[50].replace("2026", "2086")
    rows[60] += ",1"
    found = check(write("SPY.csv", rows), "--data-zone", "America/New_York", "--json")
    assert found.code == 3
    (report,) = json.loads(found.out)["files"]
    assert {each["kind"]: (each["rows"], each["first"].split(":")[0]) for each in report["refused"]} == {
        "prices": (2, "line 7"), "time": (1, "line 11"), "duplicate": (1, "line 22"),
        "order": (1, "line 33"), "number": (1, "line 42"), "calendar": (1, "line 52"),
        "fields": (1, "line 62"),
    }  # fmt: skip
    assert report["rows"] == 390
    assert report["first"] == "2026-03-02T14:30:00Z"
    assert "refused" in check("SPY.csv", "--data-zone", "America/New_York").out


def test_different_faults_are_counted_apart(check: Check) -> None:
    rows = sessions([2])
    rows[5] = rows[5].replace(",11,", ",3,")
    rows[6] = rows[6].replace(",11,", ",nan,")
    rows[7] = rows[7].replace(",100", ",-5")
    rows[8] = rows[8].replace(",11,", ",9.5,")
    rows[9] = rows[9].replace(",100", ",nan")
    found = check(write("SPY.csv", rows), "--data-zone", "America/New_York")
    assert found.code == 3
    for words in (
        "line 7: high 3.0 is below low 9.0",
        "line 8: high nan must be a finite price above 0",
        "2 rows, first line 9: volume -5.0 must be a finite number, 0 or more",
        "line 10: open 10.0 is outside of low 9.0 to high 9.5",
    ):
        assert words in found.line("refused")


def test_a_price_that_jumps_within_a_day_is_told(check: Check) -> None:
    rows = sessions([2])
    rows[5] = rows[5].replace(",11,", ",1000000000,")
    rows[0] = rows[0].replace(",9,", ",0.5,")
    found = check(write("SPY.csv", rows), "--data-zone", "America/New_York")
    assert found.code == 0
    assert found.line("jump?") == (
        "2 minutes with such a jump, first SPY 2026-03-02 09:30 ET: 0.5 after 10, more than 10 times off: "
        "a wrong price?"
    )
    told = check("SPY.csv", "--data-zone", "America/New_York", "--json").out
    assert json.loads(told)["files"][0]["price_jumps"][1] == {
        "symbol": "SPY", "time": "2026-03-02T14:35:00Z", "price": 1e9, "before": 10.0,
    }  # fmt: skip
    assert "jump?" not in check(write("IBM.csv", sessions()), "--data-zone", "America/New_York").out


@pytest.mark.plugins
def test_a_run_refuses_what_the_check_refuses_and_names_it(
    check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    write("SPY.csv", sessions())
    assert main(["run", "--data", "SPY.csv"]) == 3
    line = capsys.readouterr().err
    assert "has no time zone" in line
    assert line.endswith("`smabot data check SPY.csv` looks at all of it\n")


def test_times_that_seem_to_be_the_ends_of_minutes_are_told(check: Check) -> None:
    late = check(write("SPY.csv", sessions(first="09:31")), "--data-zone", "America/New_York")
    assert late.code == 0
    assert "sessions run from 09:31 to 16:00 New York" in late.line("note")
    right = check(write("IBM.csv", sessions(minutes=391)), "--data-zone", "America/New_York")
    assert "sessions run" not in right.out


@pytest.mark.parametrize(
    ("price", "words"), [(2.5, "a 4:1 split?"), (20, "a 1:2 split?"), (10.7, "")]
)
def test_a_price_that_changes_as_by_a_split_is_told(check: Check, price: float, words: str) -> None:
    rows = sessions([2]) + sessions([3], price=price)
    found = check(write("SPY.csv", rows), "--data-zone", "America/New_York")
    assert found.code == 0
    assert found.line("split?").endswith(words)
    assert bool(found.line("split?")) == bool(words)


@pytest.mark.parametrize("every", [5, 30])
def test_longer_bars_are_named(check: Check, every: int) -> None:
    found = check(write("SPY.csv", sessions()[::every]), "--data-zone", "America/New_York")
    assert found.code == 3
    assert found.line("refused") == f"has bars of {every} minutes: smabot replays bars of 1 minute"


def test_daily_bars_are_named(check: Check) -> None:
    rows = [f"2026-03-0{day},10,11,9,10,7,100" for day in (2, 3, 4)]
    found = check(write("SPY.csv", rows, HEADER.replace("Datetime", "Date")))
    assert found.code == 3
    assert found.line("refused").startswith("3 rows, first line 2: 2026-03-02 has no time of day")


def test_a_folder_is_shown_file_by_file(check: Check) -> None:
    for name in ("SPY", "AAPL"):
        write(f"folder/{name}.csv", sessions())
    write("folder/notes.csv", ["x"], "y")
    found = check("folder", "--data-zone", "America/New_York")
    assert found.code == 3
    assert found.out.splitlines()[0] == "folder: can't be replayed"
    assert found.line("refused").startswith("line 1: no column timestamp, open")
    Path("folder/notes.csv").unlink()
    found = check("folder", "--data-zone", "America/New_York")
    assert found.code == 0
    assert found.line("symbols") == "AAPL, from the file's name SPY, from the file's name"
    assert found.line("sessions") == "2, with 780 minutes"


def test_a_folder_of_many_files_has_a_line_for_each(check: Check) -> None:
    for number in range(12):
        write(f"folder/{'ABCDEFGHIJKL'[number] * 3}.csv", sessions([2], minutes=30))
    found = check("folder", "--data-zone", "America/New_York")
    assert found.code == 0
    assert len(found.out.splitlines()) < 20
    assert "AAA.csv: AAA, 30 rows, 2026-03-02 to 2026-03-02" in found.out.splitlines()


@pytest.mark.plugins
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("SPY.csv", b"", "is empty"),
        ("SPY.csv", b"\xff\xfe\x00", "is not UTF-8 text"),
        ("SPY.csv.gz", b"no gzip", "can't be read: Not a gzipped file"),
        ("SPY.csv", HEADER.encode(), "has no rows after its header"),
        (
            "prices.csv",
            f"{HEADER}\n1,1,1,1,1,1,1".encode(),
            "no column symbol, and the file's name",
        ),
        ("SPY.csv", b"\x00\x00", "line 1"),
    ],
)
def test_a_file_that_can_not_be_read_is_told(
    check: Check, name: str, content: bytes, words: str
) -> None:
    Path(name).write_bytes(content)
    found = check(name)
    assert found.code == 3
    assert words in found.line("refused")
    assert found.err == ""


@pytest.mark.plugins
def test_what_is_not_there_is_one_line(check: Check) -> None:
    write("SPY.csv", [])
    for name, words in (("SPX.csv", "did you mean 'SPY.csv'?"), ("simulatd", "'simulated'?")):
        found = check(name)
        assert (found.code, found.out, found.err.count("\n")) == (3, "", 1)
        assert words in found.err


def test_a_simulated_market_is_answered_too(check: Check) -> None:
    found = check("simulated:symbols=7,sessions=3")
    assert found.code == 0
    assert found.line("symbols") == "7: AAPL, IBM, KO, MSFT, SPY, ZAAA, ZAAB"
    assert found.line("sessions") == "3, from 2026-03-02 to 2026-03-04"
    assert found.line("bars").startswith("8,190, artificial")
    assert json.loads(check("simulated", "--json").out)["can_be_replayed"] is True
    assert check("simulated:sessions=none").code == 3


def test_without_a_file_it_takes_the_settings(check: Check, monkeypatch: Any) -> None:
    monkeypatch.setenv("SMABOT_DATA", write("SPY.csv", sessions()))
    monkeypatch.setenv("SMABOT_DATA_ZONE", "America/New_York")
    assert check().out.startswith("SPY.csv: can be replayed")


@pytest.mark.plugins
def test_config_check_looks_for_the_data_file(
    in_tmp: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("SPY.csv").write_text(HEADER)
    for data, code in (("SPY.csv", 0), ("simulated:seed=2", 0), ("SPYY.csv", 3)):
        monkeypatch.setenv("SMABOT_DATA", data)
        assert main(["config", "check"]) == code
    assert "data = 'SPYY.csv' (SMABOT_DATA): no such file or folder (did you mean 'SPY.csv'?)" in (
        capsys.readouterr().err
    )


def test_gaps_of_each_symbol_are_told_against_the_calendar(check: Check) -> None:
    spy, ibm = sessions([2, 3, 4]), sessions([2, 4])
    del spy[100:145], ibm[20:30]
    write("SPY.csv", spy)
    write("two/IBM.csv", ibm)
    write("two/SPY.csv", spy)
    zone = ("--data-zone", "America/New_York")
    alone = check("SPY.csv", *zone)
    assert alone.code == 0
    assert alone.line("gap?") == (
        "SPY: no bar for 45 minutes from 2026-03-02 11:10 ET: a halt, a thin share, or lost rows: get that "
        "day again"
    )
    both = check("two", *zone)
    assert both.code == 0
    assert both.line("gap?").startswith(
        "IBM: no bar in 1 of the others' sessions, the first 2026-03-03, the last 2026-03-03: get them by `smabot data fetch`"
    )
    found = json.loads(check("two", *zone, "--json").out)["symbols"]
    assert found[0] == {
        "symbol": "IBM", "first": "2026-03-02", "last": "2026-03-04", "sessions": 2, "bars": 770,
        "missing": ["2026-03-03"], "gaps": 10,
        "longest": {"start": "2026-03-02T14:50:00Z", "minutes": 10},
    }  # fmt: skip


def test_a_price_that_those_beside_it_are_far_from_is_told(check: Check) -> None:
    rows = sessions([2])
    rows[5] = rows[5].replace(",11,", ",15,")
    rows[200] = rows[200].replace(",9,", ",7,")
    zone = ("--data-zone", "America/New_York")
    found = check(write("SPY.csv", rows), *zone)
    assert found.code == 0
    assert found.line("spike?").startswith(
        "2 minutes with such a price, first SPY 2026-03-02 09:35 ET: 15, and 11 in the minutes beside it"
    )
    (file,) = json.loads(check("SPY.csv", *zone, "--json").out)["files"]
    assert [(each["price"], each["before"]) for each in file["price_spikes"]] == [(15, 11), (7, 9)]
    rises = sessions([2], minutes=100) + sessions([2], "11:10", price=14, minutes=100)
    assert "spike?" not in check(write("IBM.csv", rises), *zone).out


def test_lines_have_the_width_of_a_narrow_terminal(check: Check, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    write("SPY.csv", [each for each in sessions() if "10:0" not in each])
    found = check("SPY.csv", "--data-zone", "UTC")
    assert found.code == 0
    lines = [line for line in found.out.splitlines() if "smabot run" not in line]
    assert 40 < max(map(len, lines)) <= 50
    assert "America/New_York reads the times so" in found.line("zone?")


def test_a_split_between_two_files_is_told_with_what_to_do(check: Check) -> None:
    write("folder/SPY-2026-03-02.csv", sessions([2], price=100))
    write("folder/SPY-2026-03-03.csv", sessions([3], price=5))
    found = check("folder", "--data-zone", "America/New_York")
    assert found.line("split?") == "SPY 2026-03-03: opens at 5 after 100: a 20:1 split?"
    assert "List it in corporate_actions.csv, as `smabot data fetch` does" in found.line("note")
    told = json.loads(check("folder", "--data-zone", "America/New_York", "--json").out)["files"][1]
    assert told["suspected_splits"] == [
        {
            "symbol": "SPY",
            "date": "2026-03-03",
            "ratio": "20:1",
            "close": 100,
            "open": 5,
            "listed": False,
        }
    ]
