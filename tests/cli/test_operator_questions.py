"""What an operator asks, and the command that answers it: over one database with a day's troubles in it.

Real runs made it: one ended, one was killed, one missed a signal, one tripped the breaker with a cancel
that the broker never answered; then the operator halted entries.
"""

from __future__ import annotations

import csv
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from smabot.cli import main
from smabot.cli.app import App
from smabot.cli.run_session import begin_run_row, save_run_row
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.opening import open_session
from smabot.engine.start.recovery import recover
from smabot.hooks.plugins import Plugins

pytestmark = pytest.mark.plugins

SMABOT = str(Path(sys.executable).with_name("smabot"))
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTES = 40
SETTINGS = """
[default]
broker = "exchange"
data = "day.csv"
speed = "max"
plugins = ["sma", "risk"]

[default.plugin.sma]
fast = 2
slow = 5

[default.plugin.risk.circuit_breaker]
max_session_drawdown = 0.003
"""
CLOSES: dict[str, list[tuple[int, float]]] = {
    "SPY": [(0, 100.0), (6, 101.0), (20, 99.0)],
    "QQQ": [(0, 400.0), (8, 402.0), (30, 365.0)],
    "IBM": [(0, 3000.0), (22, 3010.0)],
    "KO": [(0, 60.0), (14, 61.0)],
    "XYZ": [(0, 20.0), (25, 20.5)],
    "DIA": [(0, 50.0), (33, 50.5)],
}
"""From which minute on each symbol has which close: a step up is a BUY, a step down a SELL."""
KILLED, PASSED, LAST = 12, 6, 34
"""The minute at which the second run is killed, how many minutes pass without a bot, and where all ends."""

QUESTIONS: dict[str, tuple[str, Sequence[str]]] = {
    "why was this order made?": (
        "explain sma-SPY-20260302T1436Z-1",
        ["BUY at 101.00 by sma: fast average crossed above slow", "10 shares: sizing.shares 10",
         "checks 12 of 12 passed", "bought 10 at 101", "a round trip of 14 minutes that made -2"],
    ),
    "why was none made: a limit?": (
        "explain IBM",
        ["its entry was blocked: max_order_notional 25,000.00: 30,100.00",
         "max_order_notional FAILED 30,100.00, limit 25,000.00"],
    ),
    "why was none made: was it missed?": (
        "explain KO",
        ["missed: no bot ran for the bars of", "a missed entry is passed over"],
    ),
    "why was none made: the breaker?": (
        "explain DIA",
        ["its entry was blocked: circuit breaker TRIPPED at 2026-03-02 10:01:00 ET: equity fell",
         "entries, by a halt since 2026-03-02 10:04 ET: lunch",
         "entries, by risk.circuit_breaker since 2026-03-02 10:01 ET"],
    ),
    "why was there no order at 9:50?": (
        "explain SPY --at 09:50",
        ["no new signal at 09:50: it wanted to be long since 2026-03-02 09:37 ET, and 10 were held"],
    ),
    "what became of each of a day's signals?": (
        "explain SPY --date 2026-03-02",
        ["09:37:00 BUY at 101.00: its entry filled", "09:51:00 SELL at 99.00: its exit filled"],
    ),
    "what did each restart do?": (
        "runs",
        ["ended at --until", "killed", "load: 0 open orders, 2 positions", "minutes too old to decide on",
         "reconcile: agrees with the broker"],
    ),
    "how did the last run end, and what did its start find?": (
        "runs last",
        ["ended at --until", "load", "1 open order", "subscribe"],
    ),
    "what is the P&L of each symbol?": ("pnl --by symbol", ["SPY", "QQQ", "-20.00"]),
    "what is the P&L of each strategy?": ("pnl --by strategy", ["sma"]),
    "what is the P&L of each day?": ("pnl --by day", ["2026-03-02"]),
    "how often do trades win?": ("pnl", ["2 trades, win rate 0.0%"]),
    "what does it hold, and what is it worth?": (
        "status", ["164.00 in positions", "sma XYZ 8 20.50 20.50 164.00 +0.00"],
    ),
    "what will it do when it runs again?": (
        "status", ["open orders and exits, when the bot runs again", "buy 2 XYZ sma"],
    ),
    "when does the market open or close?": ("status", ["closes at 2026-03-02 16:00 ET"]),
    "is it running, and since when?": ("status", ["not running", "ended at --until"]),
    "was a stream down?": ("events --kind stream_lost,stream_back", ["no events"]),
    "what blocks entries?": ("status", ["YES: lunch", "risk.circuit_breaker"]),
    "what happened to the breaker?": ("breaker", ["TRIPPED", "equity fell"]),
    "how much of the limits is used?": ("limits", ["max_orders 5 of 500", "max_loss 390.00 of 2,000.00"]),
    "which orders are open?": ("orders --open", ["XYZ", "filled 8 of 10", "cancel unanswered since"]),
    "which orders were blocked, and why?": (
        "orders --status blocked", ["IBM", "DIA", "max_order_notional 25,000.00"],
    ),
    "which cancel is unanswered?": (
        "events --kind cancel_unanswered", ["sma-XYZ-20260302T1455Z-1", "is unanswered"],
    ),
    "what is grave?": (
        "events --grave", ["breaker_tripped", "cancel_unanswered", "halt"],
    ),
    "what happened today?": ("events --date today", ["breaker_tripped", "equity fell"]),
    "which settings are in force, and where are they from?": (
        "config show --origin", ["max_session_drawdown", "0.003", "settings.toml"],
    ),
    "which plugins are there?": ("plugins", ["sma", "risk.circuit_breaker"]),
    "what would it make of my data file?": (
        "data check day.csv", ["can be replayed", "6: DIA, IBM, KO, QQQ, SPY, XYZ"],
    ),
    "is the database intact?": ("db check", ["intact"]),
    "does it agree with the broker?": ("reconcile", ["no conflicts"]),
}  # fmt: skip
"""The question, the command line, and what its answer must contain, spaces aside."""


def close_at(symbol: str, minute: int) -> float:
    return [close for begin, close in CLOSES[symbol] if begin <= minute][-1]


def write_day(path: Path) -> None:
    """Write the day's bars. Of XYZ so few shares trade that an order fills slowly."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ("symbol", "timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap")
        )
        for minute in range(MINUTES):
            at = f"{OPEN + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ}"
            for symbol in CLOSES:
                close = close_at(symbol, minute)
                volume = 10 if symbol == "XYZ" else 100_000
                writer.writerow((symbol, at, close, close, close, close, volume, "", ""))


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the database."""
    folder = tmp_path_factory.mktemp("day")
    (folder / "settings.toml").write_text(SETTINGS)
    write_day(folder / "day.csv")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("SMABOT")]:
            patch.delenv(name)
        patch.chdir(folder)
        run("--until", f"{OPEN + timedelta(minutes=KILLED):%Y-%m-%dT%H:%M:%SZ}")
        run_and_kill()
        let_minutes_pass(PASSED)
        run("--until", f"{OPEN + timedelta(minutes=27):%Y-%m-%dT%H:%M:%SZ}")
        run_without_cancels()
        assert main(["halt", "lunch"]) == 0
        yield folder


def run(*arguments: str) -> None:
    done = subprocess.run([SMABOT, "run", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def run_and_kill() -> None:
    """Run so slowly that no minute passes, and kill it with SIGKILL once it is ready."""
    command = [SMABOT, "run", "--speed", "0.01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 60
        while not is_ready() and time.monotonic() < until:
            time.sleep(0.05)
        process.kill()
        assert process.wait() == -signal.SIGKILL


def is_ready() -> bool:
    with closing(sqlite3.connect("data/trades.db")) as db:
        sql = "SELECT ready_ms FROM runs ORDER BY started_at DESC LIMIT 1"
        runs = db.execute("SELECT count(*) FROM runs").fetchone()[0]
        return runs == 2 and db.execute(sql).fetchone()[0] is not None


def opened(**settings: Any) -> BotSession:
    config = App().config().model_copy(update=settings)
    return open_session(config, Plugins.load(config))


def let_minutes_pass(minutes: int) -> None:
    """Let the market go on while no bot runs."""
    session = opened()
    try:
        assert session.feed is not None
        for _ in range(minutes):
            session.feed.next(0)
    finally:
        session.close()


def run_without_cancels() -> None:
    """Run on, with every cancel lost on its way to the broker."""
    session = opened(until=OPEN + timedelta(minutes=LAST))
    try:
        row = begin_run_row(session)
        engine = recover(session)
        broker: Any = session.broker
        broker.cancel = lambda order: None
        row = replace(row, ready_ms=1.0, steps=session.report.steps_json())
        outcome = engine.run()
        save_run_row(
            session,
            replace(row, ended_at=session.surroundings.wall(), exit_code=0, outcome=outcome),
        )
    finally:
        session.close()


def known() -> list[str]:
    """Return the questions whose commands there are: `data` is of a later exchange."""
    later = (
        find_spec("smabot_exchange") is None or find_spec("smabot_exchange.data_commands") is None
    )
    return [q for q, (line, _) in QUESTIONS.items() if not (later and line.startswith("data "))]


@pytest.mark.parametrize("question", known())
def test_each_question_has_its_command(
    day: Path, question: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line, wanted = QUESTIONS[question]
    monkeypatch.chdir(day)
    code = main(line.split())
    shown = capsys.readouterr()
    assert (code, shown.err) == (0, "")
    answer = " ".join(shown.out.split())
    assert [text for text in wanted if text not in answer] == []
