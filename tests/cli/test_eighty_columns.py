"""Everything that a normal day shows fits a terminal of 80 columns: nothing is cut, and color adds nothing."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from smabot.cli.screen import Screen
from smabot.cli.text_layout import named_values, with_reason, wrapped
from smabot.domain.bot_records import Event
from smabot.domain.order_terms import Side, Status
from smabot.domain.records import Account, Bar, EquityPoint, Position, Signal, SignalState
from smabot.hooks.recovery_answers import Conflict

Call = Callable[..., Any]
D = Decimal
NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
UNTIL = "2026-03-02T19:00:00Z"
SCREENS = (
    ("status",), ("doctor",), ("breaker",), ("limits",), ("config", "check"), ("config", "show"),
    ("reconcile",),
)  # fmt: skip
STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def on_pty(on_terminal: Call) -> Call:
    """Return all that a command writes to a terminal of 80 columns, styles included."""
    return partial(on_terminal, no_color=False)


def lines_of(shown: str) -> list[str]:
    """Return what stands on the screen, line by line; a line written over itself counts each time."""
    return re.split(r"[\r\n]+", STYLE.sub("", shown))


def too_wide(lines: list[str]) -> list[str]:
    return [line for line in lines if len(line.rstrip()) > 80 or "…" in line]


@pytest.mark.parametrize("command", ["orders", "trades", "signals", "events", "equity", "pnl"])
def test_notes_below_a_listing(journal: Any, on_pty: Call, command: str) -> None:
    journal.commit([EquityPoint(NOON, D(1), D(1), D(0), D(0))])
    journal.close()
    shown = lines_of(on_pty(command, "--since", "2h", "--until", "10m"))
    assert too_wide(shown) == []
    said = " ".join(" ".join(shown).split())
    assert "since 2026-03-02 10:00 ET until 2026-03-02 11:50 ET; the newest data is of 2026-03-02 12:00" in said  # fmt: skip


@pytest.mark.plugins
def test_what_init_says(in_tmp: Path, on_pty: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/venv/bin/smabot"])  # a checkout's own path may be long
    monkeypatch.setattr("sys.executable", "/venv/bin/python")
    assert too_wide(lines_of(on_pty("init"))) == []


@pytest.mark.plugins
def test_the_question_of_flatten(journal: Any, on_pty: Call) -> None:
    symbols = ("AAPL", "IBM", "MSFT", "QQQ", "SPY")
    journal.commit([Position("sma", s, D(100), D(1), D(1), D(0), NOON) for s in symbols])
    journal.close()
    shown = lines_of(on_pty("flatten", typed="no", code=2))
    question = [line for line in shown if not line.startswith("smabot: ")]
    assert "halts new entries." in " ".join(question)
    assert too_wide(question) == []


@pytest.mark.plugins
def test_a_run_and_what_looks_at_it(in_tmp: Path, on_pty: Call) -> None:
    run = ("run", "--data", "simulated", "--speed", "max", "--until", UNTIL)
    shown = lines_of(on_pty(*run))
    assert too_wide(shown) == []
    assert "2026-03-02, New York" in shown
    assert any(re.match(r"1\d:\d\d  [A-Z]+ +BUY signal at ", line) for line in shown)
    assert "PAPER 03-02" in "\n".join(shown)  # the progress bar, with what matters first
    for screen in SCREENS:
        shown = [line for line in lines_of(on_pty(*screen)) if str(in_tmp) not in line]
        assert too_wide(shown) == [], screen


@pytest.mark.plugins
def test_a_pipe_gets_each_line_whole(in_tmp: Path, execute: Call) -> None:
    result = execute("run", "--speed", "max", "--until", UNTIL, "--utc", COLUMNS="40")
    assert result.code == 0
    assert "sma, risk.circuit_breaker, risk.daily_limits\n" in result.out
    assert "2026-03-02, UTC" in result.out
    assert "ok       agreement      database and broker agree\n" in execute("doctor").out


@pytest.mark.plugins
def test_color_says_nothing_that_words_do_not(in_tmp: Path, execute: Call, on_pty: Call) -> None:
    execute("run", "--speed", "max", "--until", UNTIL)
    for screen in (("status",), ("doctor",), ("breaker",)):
        colored, plain = on_pty(*screen), on_pty(*screen, no_color=True)
        assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|9[0-7]|38;5;\d+)m", plain), screen
        free = r"[\d.]+ GB"  # of the disk, which others fill meanwhile
        colored, plain = (re.sub(free, "N GB", each) for each in (colored, plain))
        assert lines_of(colored) == lines_of(plain), screen


def test_a_status_with_long_names_and_much_money(
    journal: Any, call: Call, make_order: Any, on_terminal: Call
) -> None:
    symbols = ("GOOGL", "NVDA", "BRK.B", "MSFT", "AMZN")
    name = "momentum_ten"
    rows: list[Any] = [
        Account("A", "exchange", D(1_000_000), D(1_000_000), NOON),
        EquityPoint(NOON, D("5000000.12"), D(1_000_000), D("4000000.12"), D(12_345)),
    ]
    for number, symbol in enumerate(symbols):
        rows.append(Position(name, symbol, D(1000), D(1_222_000), D(1222), D(-5000), NOON))
        rows.append(SignalState(name, symbol, "SELL" if number else "BUY", int(not number), NOON))
        rows.append(
            make_order(
                number, symbol, Side.SELL, Status.ACCEPTED, strategy=name, qty=D(1000),
                client_order_id=f"smabot-{name}-{symbol}-20260302T1700Z-1",
                cancel_requested_at=NOON,
            )
        )  # fmt: skip
    journal.commit(rows, [Bar(s, NOON, 1240.0, 1241.0, 1239.0, 1234.5, 1.0) for s in symbols])
    journal.close()
    screen = call("status").out
    assert too_wide(screen.splitlines()) == []
    assert "GOOGL" in screen
    assert too_wide(lines_of(on_terminal("status", columns=80))) == []


# -- the lines of a run ------------------------------------------------------------------------------


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def shown_by(monkeypatch: pytest.MonkeyPatch, show: Callable[[Screen], None]) -> list[str]:
    """Return the lines that a screen of 80 columns shows."""
    out = Terminal()
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stdout", out)
    show(Screen("PAPER", as_json=False))
    return STYLE.sub("", out.getvalue()).splitlines()


def test_a_long_reason_stands_below_its_line(
    monkeypatch: pytest.MonkeyPatch, make_order: Any
) -> None:
    reason = "max_exposure 100,000.00: 104,000.00 with this order, which is more than it allows"
    rows = [
        make_order(0, "KO", Side.BUY, Status.BLOCKED, reason=reason),
        Signal("KO", 1, NOON, 0.1234, "sma", label="BUY", reason="why"),
    ]
    assert shown_by(monkeypatch, lambda screen: screen.show_committed(rows, [])) == [
        "2026-03-02, New York",
        "12:00  KO     order buy 10 market blocked:",
        "              max_exposure 100,000.00: 104,000.00 with this order, which is more",
        "              than it allows",
        "12:01  KO     BUY signal at 0.1234 by sma  why",
    ]


def test_a_new_day_has_a_line_and_its_times_are_of_one_zone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = [
        Event(NOON, "no_price", "KO", "no price since 2026-03-02 16:55 UTC", grave=True),
        Event(
            NOON + timedelta(days=1), "cancel_unanswered", "x", "its cancel of 16:59:00 UTC is so"
        ),
    ]
    assert shown_by(monkeypatch, lambda screen: screen.show_committed(events, [])) == [
        "2026-03-02, New York",
        "12:00  ! no price KO: no price since 2026-03-02 11:55 ET",
        "2026-03-03, New York",
        "12:00  cancel unanswered x: its cancel of 11:59:00 ET is so",
    ]


def test_conflicts_are_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    way = "`smabot reconcile --accept broker` takes the broker's state and records the adjustment"
    conflicts = (
        Conflict("position_mismatch", "KO", "10 shares", "7 shares", way),
        Conflict("position_mismatch", "IBM", "1 share", "0 shares", way),
    )
    assert shown_by(monkeypatch, lambda screen: screen.show_conflicts(conflicts)) == [
        "  position_mismatch  KO",
        "    here    10 shares",
        "    broker  7 shares",
        "  position_mismatch  IBM",
        "    here    1 share",
        "    broker  0 shares",
        "    resolve  `smabot reconcile --accept broker` takes the broker's state and",
        "             records the adjustment",
    ]


def test_json_lines_have_no_day_and_keep_utc(capsys: Any) -> None:
    Screen("PAPER", as_json=True).show_committed(
        [Signal("KO", 1, NOON, 72.5, "sma", label="BUY", reason="why")], []
    )
    (line,) = capsys.readouterr().out.splitlines()
    assert '"bar_time": "2026-03-02T17:00:00Z"' in line
    assert '"reason": "why"' in line


# -- laying out --------------------------------------------------------------------------------------


def test_where_nobody_says_a_width_nothing_is_wrapped() -> None:
    text = "word " * 60 + "end"
    assert wrapped(text, None) == [text]
    assert with_reason("so:", text, None, 4) == [f"so: {text}"]
    assert list(named_values([("name", text)], None)) == [f"  name  {text}"]


def test_alternatives_stand_below_each_other_where_they_are_too_long_for_a_line() -> None:
    pairs = [("try next", "smabot trades · smabot pnl --by day"), ("db", "x")]
    assert next(named_values(pairs, 80, between=" · ")).endswith("trades · smabot pnl --by day")
    assert list(named_values(pairs, 40, between=" · ")) == [
        "  try next  smabot trades",
        "            smabot pnl --by day",
        "  db        x",
    ]


def test_a_word_that_is_too_long_is_not_broken() -> None:
    long = "x" * 100
    assert wrapped(f"see {long}", 80, 2) == ["see", f"  {long}"]
