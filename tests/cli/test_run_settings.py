"""The settings of each run: kept with its row, shown by `smabot report` and `smabot runs`, with their changes."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.bot_records import Run
from smabot.domain.records import EquityPoint

Call = Callable[..., Any]
MARKET = "simulated:symbols=2,sessions=2,seed=5,start=2026-03-02"
NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
EQUITY = EquityPoint(NOON, Decimal(1000), Decimal(1000), Decimal(0), Decimal(0))


def used(**values: Any) -> str:
    return json.dumps({name: {"value": v, "origin": "settings.toml"} for name, v in values.items()})


def run(number: int, settings: str | None) -> Run:
    return Run(
        f"r{number}", 4194300 + number, "0.1.0", "sma", "PAPER", NOON + timedelta(days=number),
        ready_ms=1.0, settings=settings,
    )  # fmt: skip


def traded(call: Call, fast: int, *words: str) -> None:
    Path("settings.toml").write_text(
        f"[default]\nbroker = 'exchange'\nspeed = 'max'\ndata = '{MARKET}'\n[default.plugin.sma]\nfast = {fast}\n"
    )
    done = call("--db", "t.db", "run", "--plugins", "sma", *words)
    assert done.code == 0, done.err


@pytest.mark.plugins
def test_a_report_of_a_run_shows_the_settings_that_it_used(call: Call) -> None:
    traded(call, 7)
    Path("settings.toml").unlink()
    report = call("--db", "t.db", "report", "--json", "--html", "r.html").json
    assert report["settings"]["plugin.sma.fast"] == {
        "value": 7,
        "origin": "settings.toml [default]",
    }
    assert report["settings"]["plugin.sma.slow"] == {"value": 30, "origin": "default"}
    assert report["settings_changes"] == []
    screen = call("--db", "t.db", "report").out
    assert re.search(r"^plugin\.sma\.fast +7 +settings\.toml \[default\]$", screen, re.M)
    assert "plugin.sma.slow" not in screen
    page = Path("r.html").read_text()
    assert "<td>plugin.sma.fast</td><td>7</td>" in page
    assert "<td>plugin.sma.slow</td><td>30</td>" in page
    (one,) = call("--db", "t.db", "runs", "--json").json["runs"]
    assert one["settings"] == report["settings"]
    detail = call("--db", "t.db", "runs", "last").out
    assert re.search(r"plugin\.sma\.fast +7 +settings\.toml \[default\]", detail)


@pytest.mark.plugins
def test_what_changed_between_runs_is_told_with_its_time(call: Call) -> None:
    traded(call, 7, "--until", "2026-03-02T18:00:00Z")
    traded(call, 9, "--until", "2026-03-02T20:00:00Z")
    report = call("--db", "t.db", "report", "--json", "--html", "r.html").json
    assert report["settings"]["plugin.sma.fast"]["value"] == 9
    changes = {each.pop("setting"): each for each in report["settings_changes"]}
    assert changes.keys() == {"plugin.sma.fast", "until"}
    second = report["runs"][1]
    assert changes["plugin.sma.fast"] == {
        "time": second["started_at"], "run_id": second["run_id"], "before": 7, "after": 9,
    }  # fmt: skip
    assert re.search(
        r"^[\d-]+ [\d:]+ +plugin\.sma\.fast +7 +9$", call("--db", "t.db", "report").out, re.M
    )
    assert "<td>plugin.sma.fast</td><td>7</td><td>9</td>" in Path("r.html").read_text()


@pytest.mark.plugins
def test_no_secret_is_kept(call: Call) -> None:
    secrets = Path(".secrets.toml")
    secrets.write_text("[default]\nbot = 'hidden_name'\n")
    secrets.chmod(0o600)
    traded(call, 7)
    with closing(sqlite3.connect("t.db")) as db:
        ((kept,),) = db.execute("SELECT settings FROM runs").fetchall()
    assert "hidden_name" not in kept
    assert json.loads(kept)["bot"]["value"] == "********"


def test_runs_of_an_older_release_have_none(journal: Any, call: Call) -> None:
    journal.commit([run(1, None), EQUITY])
    report = call("report", "--json", "--html", "r.html").json
    assert (report["settings"], report["settings_changes"]) == ({}, [])
    assert "settings were not recorded" in call("report").out
    assert "No run has recorded its settings" in Path("r.html").read_text()
    assert re.search(r"^ *settings +not recorded$", call("runs", "last").out, re.M)
    assert call("runs", "last", "--json").json["run"]["settings"] is None


def test_runs_without_settings_change_none(journal: Any, call: Call) -> None:
    rows = [run(1, used(a=1, b="x")), run(2, None), run(3, used(a=1, b="y")), run(4, "{damaged")]
    journal.commit([*rows, EQUITY])
    report = call("report", "--json").json
    assert {name: each["value"] for name, each in report["settings"].items()} == {"a": 1, "b": "y"}
    (change,) = report["settings_changes"]
    assert (change["run_id"], change["setting"], change["before"], change["after"]) == (
        "r3", "b", "x", "y",
    )  # fmt: skip


@pytest.mark.plugins
def test_what_looks_like_a_credential_is_kept_nowhere(call: Call) -> None:
    Path("evil.py").write_text(
        "from smabot.api import Settings, Strategy, hookimpl\n"
        "class EvilSettings(Settings):\n    nested: dict = {}\n    webhook: str = ''\n"
        "class Evil(Strategy):\n    def __init__(self, settings: EvilSettings): pass\n"
        "    @hookimpl\n    def on_bar(self, bar): return None\nevil = Evil\n"
    )
    Path("settings.toml").write_text(
        "[default]\nplugins = ['./evil.py', 'sma']\n[default.plugin.evil]\n"
        'nested = {list = [{password = "hidden-1", n = 1}], deep = {api_key = "hidden-2"}}\n'
        'webhook = "https://user:hidden-3@example.com/?token=hidden-4"\n'
    )
    made = call("--db", "t.db", "backtest", "--plugins", "./evil.py,sma", "--data", MARKET)
    assert made.code == 0, made.err
    with closing(sqlite3.connect("t.db")) as database:
        ((kept,),) = database.execute("SELECT settings FROM runs").fetchall()
    assert json.loads(kept)["plugin.evil.nested.list"]["value"] == [
        {"password": "********", "n": 1}
    ]
    shown = [kept, json.dumps(call("--db", "t.db", "report", "--json").json)]
    shown.append(json.dumps(call("config", "show", "--json").json))
    assert not [text for text in shown if "hidden" in text]
