"""`smabot runs` and `smabot events`: what is listed, by which filters, and what a mistake is told."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.bot_records import Event, Run
from smabot.domain.order_terms import Side, Status

pytest.importorskip("smabot_persistence_sqlite.journal")

Call = Callable[..., Any]
NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
STEPS = json.dumps([
    {"step": "load", "found": "1 open order, 2 positions, 3 last signals", "ms": 1.5},
    {"step": "reconcile", "found": "agrees with the broker", "ms": 12.25},
    {"step": "backfill", "found": "5 bars; 3 minutes too old to decide on", "ms": 3.0,
     "too_old": ["2026-03-02T17:00Z", "2026-03-02T17:02Z"]},
    {"step": "subscribe", "found": "1 symbol", "ms": 0.25, "market_time": "2026-03-02T17:05:00Z"},
])  # fmt: skip


def run(number: int, **changes: Any) -> Run:
    at = NOON + timedelta(hours=number)
    made = Run(
        f"2026030{number}T000000.000000-{number}00", 4194300 + number, "0.1.0", "sma,risk", "PAPER",
        at, 12.5, STEPS, at + timedelta(minutes=90), 0, "ended",
    )  # fmt: skip
    return replace(made, **changes)


RUNS = [
    run(1),
    run(2, ended_at=None, exit_code=None, outcome=""),
    run(3, ended_at=None, exit_code=None, outcome="", ready_ms=None, steps=""),
    run(4, exit_code=6, outcome="conflict: position_mismatch SPY", ignored_blocks="risk.x"),
    run(5, outcome="stopped", ended_at=NOON + timedelta(hours=5, seconds=4)),
]
EVENTS = [
    Event(NOON, "halt", "core", "lunch", grave=True),
    Event(NOON + timedelta(minutes=1), "resume", "core", "entries are allowed again"),
    Event(NOON + timedelta(minutes=2), "price_collar", "SPY", "SPY went from 1 to 2 in a bar: " * 4),
    Event(
        NOON + timedelta(days=1, seconds=7), "cancel_unanswered", "smabot-sma-SPY-20260302T1535Z-1",
        "its cancel of 16:59:00 UTC is unanswered (late)", grave=True,
    ),
]  # fmt: skip


@pytest.fixture
def records(journal: Any) -> Path:
    journal.commit([*RUNS, *EVENTS])
    journal.close()
    return Path("data/trades.db")


def rows_of(screen: str) -> list[str]:
    """The lines that are no note, without the titles."""
    return [line for line in screen.splitlines()[2:] if not line.startswith(" ")]


# -- runs ------------------------------------------------------------------------------------------


def test_each_run_says_how_it_ended(records: Path, call: Call) -> None:
    screen = call("runs").out
    assert [" ".join(line.split()[2:]) for line in rows_of(screen)] == [
        "ended with the data 12 ms 1 h 30 min PAPER 4194301",
        "killed 12 ms PAPER 4194302",
        "killed at its start PAPER 4194303",
        "failed, exit code 6 12 ms 1 h 30 min PAPER 4194304",
        "was stopped 12 ms 4 s PAPER 4194305",
    ]
    assert "conflict: position_mismatch SPY" in screen
    assert "ignored blocks: risk.x" in screen
    assert screen.count("backfill: 5 bars; 3 minutes too old to decide on") == 4
    assert screen.count("load: 1 open order, 2 positions, 3 last signals") == 4
    assert screen.splitlines()[2].startswith("03-02 13:00:00")


def test_the_newest_run_of_a_running_bot_runs(journal: Any, call: Call) -> None:
    journal.commit(RUNS[:2])
    assert "running" in rows_of(call("runs").out)[-1]
    found = call("runs", "--json").json["runs"]
    assert [each["end"] for each in found] == ["ended with the data", "running"]


def test_runs_in_json_have_their_steps(records: Path, call: Call) -> None:
    found = call("runs", "--json").json["runs"]
    assert len(found) == 5
    first = found[0]
    assert [step["step"] for step in first["steps"]] == [
        "load",
        "reconcile",
        "backfill",
        "subscribe",
    ]
    assert first["steps"][2]["too_old"] == ["2026-03-02T17:00Z", "2026-03-02T17:02Z"]
    assert (first["seconds"], first["exit_code"]) == (5400.0, 0)
    assert found[2]["steps"] == []
    one = call("runs", "last", "--json").json["run"]
    assert one == found[-1]


def test_runs_as_csv(records: Path, call: Call) -> None:
    read = list(csv.DictReader(io.StringIO(call("runs", "--csv").out)))
    assert [row["outcome"] for row in read] == [each.outcome for each in RUNS]
    assert read[0]["started_at"] == "2026-03-02T18:00:00Z"


@pytest.mark.parametrize(
    ("arguments", "pids"),
    [
        (["--limit", "2"], [4194304, 4194305]),
        (["--since", "2026-03-02T16:00"], [4194304, 4194305]),
        (["--until", "2026-03-02T14:00"], [4194301, 4194302]),
        (["--date", "2026-03-03"], []),
    ],
)
def test_filters_of_runs(records: Path, call: Call, arguments: list[str], pids: list[int]) -> None:
    assert [each["pid"] for each in call("runs", *arguments, "--json").json["runs"]] == pids


def test_today_and_ages_of_runs_are_this_machines(journal: Any, call: Call) -> None:
    """The market's newest data are of another day."""
    now = datetime.now(UTC)
    journal.commit([*RUNS, replace(RUNS[0], run_id="now", pid=7, started_at=now, ended_at=now)])
    for arguments in (["--since", "2h"], ["--date", "today"]):
        found = call("runs", *arguments, "--json").json["runs"]
        assert [each["pid"] for each in found] == [7]


def test_one_run_in_full(records: Path, call: Call) -> None:
    screen = call("runs", "20260304").out
    assert "failed, exit code 6 at 2026-03-02 17:30:00 ET, after 1 h 30 min" in screen
    assert re.search(r"reason +conflict: position_mismatch SPY$", screen, re.M)
    assert "  reconcile      12.2 ms  agrees with the broker" in screen
    assert re.search(r"plugins +sma, risk$", screen, re.M)
    assert "its end was not written" in call("runs", RUNS[2].run_id).out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x"], "there is no run 'x': give last, or an id"),
        (["202603"], "more than one run has '202603' in its id: give more of it"),
        (["last", "--limit", "2"], "a run's id names it"),
    ],
)
def test_a_mistaken_run(records: Path, call: Call, arguments: list[str], said: str) -> None:
    result = call("runs", *arguments)
    assert result.code == 2
    assert said in result.err
    assert len(result.err.splitlines()) == 1


def test_last_of_no_runs(journal: Any, call: Call) -> None:
    assert call("runs", "last").code == 2
    assert call("runs").out.splitlines()[-1] == "no runs"


# -- events ----------------------------------------------------------------------------------------


def test_events_on_the_screen(records: Path, call: Call) -> None:
    lines = call("events").out.splitlines()
    assert lines[1].split() == ["2026", "ET", "kind", "subject"]
    assert lines[2].split() == ["03-02", "12:00:00", "!", "halt", "core", "lunch"]
    assert "sma-SPY-20260302T1535Z-1" in lines[-1]
    assert "smabot-sma" not in lines[-1]
    assert "its cancel of 11:59:00 ET is unanswered" in lines[-1]
    assert "16:59:00 UTC" in call("events", "--utc").out


@pytest.mark.parametrize(
    ("arguments", "kinds"),
    [
        (["--grave"], ["halt", "cancel_unanswered"]),
        (["--kind", "halt,resume"], ["halt", "resume"]),
        (["--kind", "price collar"], ["price_collar"]),
        (["--symbol", "spy"], ["price_collar", "cancel_unanswered"]),
        (["--subject", "sma-SPY-20260302T1535Z"], ["cancel_unanswered"]),
        (["--subject", "core", "--limit", "1"], ["resume"]),
        (["--date", "2026-03-03"], ["cancel_unanswered"]),
        (
            ["--since", "2026-03-02T12:01", "--until", "2026-03-02T12:02"],
            ["resume", "price_collar"],
        ),
        (["--symbol", "SP"], []),
    ],
)
def test_filters_of_events(
    records: Path, call: Call, arguments: list[str], kinds: list[str]
) -> None:
    found = call("events", *arguments, "--json").json["events"]
    assert [each["kind"] for each in found] == kinds
    read = list(csv.DictReader(io.StringIO(call("events", *arguments, "--csv").out)))
    assert [row["kind"] for row in read] == kinds


def test_a_mistyped_kind(records: Path, call: Call) -> None:
    result = call("events", "--kind", "hallt")
    assert result.code == 2
    assert result.err == "smabot: there is no kind of event 'hallt' (did you mean 'halt'?)\n"


NASTY = [
    ("=1+1", "'=1+1"),
    (" @SUM(A1)", "' @SUM(A1)"),
    ("-2+3|cmd", "'-2+3|cmd"),
    ("-2.5", "-2.5"),
    ("a=b", "a=b"),
    ("red \x1b[31m bell \a C1 \x9b\rtab\tline\n", "red ?[31m bell ? C1 ??tab\tline\n"),
]


def test_csv_has_no_formula_and_no_control_character(journal: Any, call: Call) -> None:
    journal.commit([
        Event(NOON + timedelta(minutes=n), "halt", "core", text)
        for n, (text, _) in enumerate(NASTY)
    ])  # fmt: skip
    journal.close()
    rows = list(csv.DictReader(io.StringIO(call("events", "--csv").out)))
    assert [row["text"] for row in rows] == [safe for _, safe in NASTY]


def test_csv_on_a_terminal_is_clean(journal: Any, on_terminal: Callable[..., str]) -> None:
    journal.commit([Event(NOON, "halt", "core", "left\u202eright \x1b[31m\tred")])
    journal.close()
    shown = on_terminal("events", "--csv", columns=200)
    assert shown.splitlines()[1] == "2026-03-02T17:00:00Z,halt,core,left?right ?[31m?red,false"


def test_a_kind_of_anothers_plugin_is_known_once_it_was_written(journal: Any, call: Call) -> None:
    assert call("events", "--kind", "moon_phase").code == 2
    journal.commit([Event(NOON, "moon_phase", "", "full")])
    assert call("events", "--kind", "moon_phase", "--json").json["events"][0]["text"] == "full"


# -- at 80 columns ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["runs", "runs last", "events", "explain SPY", "explain sma-SPY-1"]
)
def test_80_columns_are_enough(
    journal: Any, make_order: Call, on_terminal: Call, command: str
) -> None:
    order = make_order(
        1, "SPY", Side.BUY, Status.BLOCKED, reason="max_exposure 25,000.00: 30,000.00 with this order",
        checks=json.dumps([
            ["size", True, "10", "", "sizing.shares 10; 0 held"],
            ["max_exposure_per_symbol", False, "30,000.00", "25,000.00",
             "max_exposure_per_symbol 25,000.00: 30,000.00 with this order"],
        ]),
    )  # fmt: skip
    from smabot.domain.records import Signal, SignalState

    signal = Signal("SPY", 1, order.bar_time, 100.0, "sma", label="BUY", reason="up " * 40)
    state = SignalState("sma", "SPY", "BUY", 1, order.bar_time)
    journal.commit([*RUNS, *EVENTS, order, signal, state])
    journal.close()
    screen = re.sub("\x1b.*?m|\r", "", on_terminal(*command.split(), columns=80))
    assert max(map(len, screen.splitlines())) <= 80
    assert "…" not in screen


# -- explain, of orders that a run makes seldom ----------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": Status.UNKNOWN, "reason": "SPY is frozen: the broker does not show the order but may have it"},
         ["may or may not have reached the broker, which the bot queries: SPY is frozen", "its outcome is unknown"]),
        ({"status": Status.PENDING, "reason": "the broker has not confirmed the bot's positions"},
         ["it has not left yet: the broker has not confirmed"]),
        ({"status": Status.EXPIRED, "given_up_at": NOON, "filled_qty": 0,
          "reason": "ended by the bot: the broker left it open after its session (0 filled)"},
         ["given up", "the broker has not confirmed that"]),
        ({"status": Status.CANCELED, "cancel_requested_at": NOON, "cancel_reason": "its target is now flat",
          "reason": "its target is now flat"},
         ["cancel requested: its target is now flat", "canceled the broker ended it"]),
        ({"status": Status.ABANDONED, "reason": "never arrived, and not sent again: halted: lunch"},
         ["expired unsent: never arrived"]),
    ],
    ids=["frozen", "waiting", "given up", "canceled", "unsent"],
)  # fmt: skip
def test_the_end_of_an_order(
    journal: Any, call: Call, make_order: Call, changes: dict[str, Any], said: list[str]
) -> None:
    made = make_order(0, "SPY", Side.BUY, Status.PENDING, updated_at=NOON, **{
        name: value for name, value in changes.items() if name not in ("status", "filled_qty")
    })  # fmt: skip
    journal.commit([replace(made, status=changes["status"])])
    screen = " ".join(call("explain", "sma-SPY-0").out.split())
    assert [text for text in said if text not in screen] == []
    assert "10 shares; how it came was not kept" in screen


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (RUNS[3], ["the last run failed: conflict: position_mismatch SPY; `smabot runs` shows it"]),
        (RUNS[1], ["the last run was killed; `smabot runs` shows it"]),
        (RUNS[2], ["the last run was killed at its start; `smabot runs` shows it"]),
        (RUNS[4], []),
    ],
)
def test_events_end_with_a_run_that_failed(
    journal: Any, call: Call, last: Run, said: list[str]
) -> None:
    """A start that fails has a row in `runs`, and commits no event."""
    journal.commit([last])
    journal.close()
    assert call("events").out.splitlines()[1:] == ["no events", *said]
    assert call("events", "--json").json["events"] == []
