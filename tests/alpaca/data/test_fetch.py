"""Bars of the past, from the real wire into a folder: what is stored, what is fetched again, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smabot.cli import main
from smabot_alpaca import bar_fetch, fetch_command
from smabot_alpaca.rest import bar_history
from smabot_alpaca.rest.rate_limit import RateLimiter, Urgency
from smabot_exchange.data.data_files import read_bars
from smabot_exchange.data.data_source import open_data

pytestmark = pytest.mark.plugins  # one that is not installed leaves a warning

STORE = Path("data/bars")
Fetch = Callable[..., Any]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bar_fetch, "PAUSES", (0.01, 0.01))


def files(folder: Path = STORE) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*.*")) if file.suffix != ".lock"}  # fmt: skip


def test_it_keeps_the_bars_that_the_server_has(fetch: Fetch) -> None:
    done = fetch("--from", "2026-03-02", "--to", "2026-03-31")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "data/bars: 2026-03-02 to 2026-03-31, 22 sessions, iex, raw",
        "symbol  fetched   bars  sessions  missing",
        "AAPL      8,580  8,580        22        0",
        "SPY       8,580  8,580        22        0",
        "backtest on it",
        "  smabot backtest --data data/bars",
    ]
    assert list(files()) == ["AAPL-2026.csv", "SPY-2026.csv"]
    made = open_data("simulated:symbols=3,sessions=22").bars()
    assert list(read_bars(STORE)) == sorted(bar for bar in made if bar.symbol in ("SPY", "AAPL"))


def test_a_second_call_fetches_only_what_is_missing(fetch: Fetch) -> None:
    fetch("--from", "2026-03-10", "--to", "2026-03-20", symbols="SPY")
    again = fetch("--from", "2026-03-02", "--to", "2026-03-31", "--json")
    assert [(row["symbol"], row["fetched"]) for row in json.loads(again.out)["symbols"]] == [
        ("AAPL", 22 * 390), ("SPY", 13 * 390),
    ]  # fmt: skip
    pieces = files()
    assert "  0  " in fetch("--from", "2026-03-02", "--to", "2026-03-31").out
    whole = fetch("--from", "2026-03-02", "--to", "2026-03-31", "--data", "whole")
    assert whole.code == 0
    assert files() == pieces == files(Path("whole"))


def test_it_ends_with_the_last_session_that_ended(fetch: Fetch) -> None:
    done = fetch("--from", "2026-04-28", symbols="spy")
    assert done.out.startswith("data/bars: 2026-04-28 to 2026-04-29, 2 sessions")
    today = fetch("--from", "2026-04-29", "--to", "2026-04-30", symbols="SPY")
    assert (today.code, today.err) == (
        0, "smabot: warning: the session of 2026-04-30 has not ended: fetched up to 2026-04-29\n",
    )  # fmt: skip


def test_the_settings_name_the_folder_and_the_symbols(
    fetch: Fetch, served: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("SMABOT_DATA", "elsewhere")
    monkeypatch.setenv("SMABOT_SYMBOLS", '["MSFT"]')
    assert main(["data", "fetch", "--from", "2026-04-29", "--url", served.url]) == 0
    assert list(files(Path("elsewhere"))) == ["MSFT-2026.csv"]


def test_it_can_keep_parquet(fetch: Fetch) -> None:
    pytest.importorskip("pyarrow")
    fetch("--from", "2026-04-29", "--data", "csv")
    fetch("--from", "2026-04-28", "--to", "2026-04-28", "--format", "parquet")
    assert fetch("--from", "2026-04-29").code == 0  # the files that are there say which format
    assert list(files()) == ["AAPL-2026.parquet", "SPY-2026.parquet"]
    assert list(read_bars(Path("csv"))) == [b for b in read_bars(STORE) if b.time.day == 29]
    other = fetch("--from", "2026-04-29", "--format", "csv")
    assert (other.code, other.err) == (
        3,
        "smabot: data data/bars: has parquet files: leave out --format csv, or give another --data\n",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--from", "2026-04-20", "--to", "2026-04-10"], 2, "--from 2026-04-20 is after --to 2026-04-10"),
        (["--from", "2027-04-20"], 2, "--from 2027-04-20: is in the future: today is 2026-04-30"),
        (["--from", "2026-04-20", "--to", "2027-01-01"], 2, "--to 2027-01-01: is in the future"),
        (["--from", "2026-04-30"], 2, "no session from 2026-04-30 to 2026-04-30: today's has not ended"),
        (["--from", "2026-04-25", "--to", "2026-04-26"], 2, "the exchange was closed"),
        (["--from", "yesterday"], 2, "'yesterday' is not a date: give 2026-03-02"),
        ([], 2, "missing option '--from'"),
        (["--from", "2026-04-29", "--data", "file"], 3, "data file: is no folder"),
        (["--from", "2026-04-29", "--data", "others"], 3, "has data files that smabot did not write (SPY.csv)"),
    ],
)  # fmt: skip
def test_what_can_not_be_is_one_line(
    fetch: Fetch, arguments: list[str], code: int, words: str
) -> None:
    Path("file").touch()
    Path("others").mkdir()
    Path("others/SPY.csv").touch()
    done = fetch(*arguments)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
    assert words.casefold() in done.err.casefold()


@pytest.mark.parametrize("symbols", ["SPY,/", "SPY,BRK B", ","])
def test_what_is_no_symbol_is_one_line(fetch: Fetch, symbols: str) -> None:
    done = fetch("--from", "2026-04-29", symbols=symbols)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)


def test_a_symbol_without_bars_is_named_and_costs_the_others_nothing(fetch: Fetch) -> None:
    done = fetch("--from", "2026-04-29", symbols="SPYY,SPY")
    assert done.code == 3
    assert "no bar of SPYY from 2026-04-29 to 2026-04-29" in done.err
    assert list(files()) == ["SPY-2026.csv"]


def test_bars_of_another_kind_are_not_mixed_with_those_that_are_stored(
    fetch: Fetch, served: Any
) -> None:
    fetch("--from", "2026-04-27", "--to", "2026-04-28", symbols="SPY")
    file = STORE / "SPY-2026.csv"
    head, *rows = file.read_text().splitlines()
    one_less = [",".join([*row.split(",")[:6], "1", "", ""]) for row in rows]
    file.write_text("\n".join([head, *one_less]) + "\n")
    before = files()
    done = fetch("--from", "2026-04-27", "--to", "2026-04-29", symbols="SPY")
    assert (done.code, done.out) == (3, "")
    assert "SPY: most bars stored of 2026-04-28 are not what Alpaca gives" in done.err
    assert files() == before
    file.write_text("\n".join([head, *rows[:-100], *one_less[-100:]]) + "\n")
    assert fetch("--from", "2026-04-27", "--to", "2026-04-29", symbols="SPY").code == 0


def test_without_a_key_nothing_is_asked(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "fetch", "--symbols", "SPY", "--from", "2026-03-02"]) == 3
    assert "an API key, also a paper account's: set APCA_API_KEY_ID" in capsys.readouterr().err


def test_two_at_once_do_not_write_into_one_folder(fetch: Fetch) -> None:
    from smabot_exchange.data.bar_store import BarStore

    with BarStore(STORE).lock():
        done = fetch("--from", "2026-04-29")
    assert (done.code, done.err.count("\n")) == (7, 1)
    assert "data data/bars is in use" in done.err


# -- faults ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reset", "probability": 0.4},
        {"kind": "error", "status": 503, "probability": 0.4},
        {"kind": "error", "status": 500, "html": True, "when": "after", "nth": 2},
        {"kind": "rate_limit", "reset_seconds": 1, "nth": 2},
    ],
    ids=str,
)
def test_faults_change_nothing(
    fetch: Fetch, served: Any, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    monkeypatch.setattr(bar_fetch, "BARS_AT_ONCE", 1_000)
    monkeypatch.setattr(bar_fetch, "PAUSES", (0.01,) * 8)
    monkeypatch.setattr(bar_history, "PAGE", 500)
    days = ("--from", "2026-03-30", "--to", "2026-04-08")
    undisturbed = fetch(*days, "--data", "undisturbed")
    served.strike(**fault, path="/v2/stocks/*")
    disturbed = fetch(*days)
    assert disturbed.out.replace("data/bars", "undisturbed") == undisturbed.out
    assert disturbed.code == undisturbed.code == 0
    assert sum(served.venue.faults.counts().values()) > 0
    assert files() == files(Path("undisturbed"))


def test_a_server_that_stays_away_is_one_line_and_the_same_command_goes_on(
    fetch: Fetch, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.strike(kind="error", status=503, path="/v2/stocks/*")
    failed = fetch("--from", "2026-04-28")
    assert (failed.code, failed.out, failed.err.count("\n")) == (4, "", 1)
    assert failed.err.endswith("the same command goes on where it ended\n")
    served.venue.faults.clear()
    assert fetch("--from", "2026-04-28").code == 0


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_one_line(fetch: Fetch, served: Any, status: int) -> None:
    served.strike(kind="keys_refused", status=status)
    failed = fetch("--from", "2026-03-02")
    assert (failed.code, failed.out, failed.err.count("\n")) == (4, "", 1)
    assert str(status) in failed.err


def test_a_plan_without_sip_says_what_to_do(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    from smabot_alpaca.rest.client import RequestRefused, RestClient

    def refuse(*_: Any, **__: Any) -> None:
        message = "subscription does not permit querying recent SIP data"
        raise RequestRefused(403, {"message": message})

    monkeypatch.setattr(RestClient, "data", refuse)
    failed = fetch("--from", "2026-03-02", "--feed", "sip")
    assert failed.code == 4
    assert failed.err.endswith("querying recent SIP data: give --feed iex\n")


def test_each_request_leaves_room_for_a_bot_with_the_same_key(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    urgencies = []
    acquire = RateLimiter.acquire

    def noted(limiter: RateLimiter, urgency: Urgency, timeout: float = 0.0) -> None:
        urgencies.append(urgency)
        acquire(limiter, urgency, timeout)

    monkeypatch.setattr(RateLimiter, "acquire", noted)
    assert fetch("--from", "2026-04-28", symbols="SPY").code == 0
    assert set(urgencies) == {Urgency.BULK}


# -- the screen ------------------------------------------------------------------------------------


def test_ctrl_c_is_one_line(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch_command.BarFetch, "fetch", interrupt)
    assert fetch("--from", "2026-04-29") == (
        130, "", "smabot: interrupted: the same command goes on where it ended\n",
    )  # fmt: skip
