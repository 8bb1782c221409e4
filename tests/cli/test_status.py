"""`smabot status`: the day's P&L, what is pending and why, the market's time, and --watch."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.bot_records import BotState, Event, Run
from smabot.domain.calendar import Calendar, Session
from smabot.domain.coming_sessions import kept_sessions, sessions_row
from smabot.domain.order_terms import Side, Status
from smabot.domain.records import ZERO, Account, Adjustment, Bar, EquityPoint, Position, SignalState
from smabot.domain.risk_answers import Check, checks_text

Call = Callable[..., Any]
D = Decimal
SMABOT = str(Path(sys.executable).with_name("smabot"))
MONDAY = Session(
    date(2026, 3, 2), datetime(2026, 3, 2, 14, 30, tzinfo=UTC), datetime(2026, 3, 2, 21, tzinfo=UTC)
)
TUESDAY = Session(
    date(2026, 3, 3), datetime(2026, 3, 3, 14, 30, tzinfo=UTC), datetime(2026, 3, 3, 21, tzinfo=UTC)
)
NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)


def kept(*sessions: Session) -> BotState:
    row = sessions_row(Calendar(sessions), sessions[0].date)
    assert row is not None
    return row


def a_run(market: datetime, wall: datetime = NOON, **changes: Any) -> Run:
    """A run that was ready at once, when its market's time was that."""
    steps = json.dumps(
        [{"step": "subscribe", "found": "1 symbol", "ms": 1.0, "market_time": market.isoformat()}]
    )
    return Run("r", 4194305, "0.1.0", "sma", "PAPER", wall, ready_ms=1.0, steps=steps, **changes)


def point(time: datetime, equity: int) -> EquityPoint:
    return EquityPoint(time, D(equity), D(equity), ZERO, ZERO)


def position(symbol: str, qty: int, strategy: str = "sma") -> Position:
    return Position(strategy, symbol, D(qty), D(abs(qty) * 10), D(10), ZERO, NOON)


def minute(symbol: str, time: datetime, price: float = 11.0) -> Bar:
    return Bar(symbol, time, price, price, price, price, 1.0)


def written(journal: Any, rows: list[Any], bars: list[Bar] | None = None) -> None:
    journal.commit(rows, bars or [])
    journal.close()


def below(screen: str, beginning: str) -> str:
    """Return the line below the one that begins so."""
    lines = screen.splitlines()
    place = next(n for n, line in enumerate(lines) if line.startswith(beginning))
    return lines[place + 1].strip()


# -- the day -----------------------------------------------------------------------------------------


def test_the_days_change_is_from_the_equity_before_it_without_deposits(
    journal: Any, call: Call
) -> None:
    rows: list[Any] = [
        kept(MONDAY, TUESDAY),
        point(MONDAY.close, 100_000),
        Adjustment(TUESDAY.open, "", "", ZERO, ZERO, "a deposit", D(5_000)),
        point(TUESDAY.open + timedelta(minutes=1), 104_000),
        point(TUESDAY.open + timedelta(minutes=2), 106_050),
    ]
    written(journal, rows)
    assert call("status", "--json").json["day"] == {
        "trading_date": "2026-03-03", "opening_equity": "105000", "change": "1050", "fraction": "0.01",
    }  # fmt: skip
    assert "day P&L   +1,050.00 (+1.00%) on 2026-03-03, from 105,000.00" in call("status").out


def test_what_happens_before_the_open_counts_for_the_session_that_follows(
    journal: Any, call: Call
) -> None:
    friday = replace_date(MONDAY, date(2026, 2, 27), days=-3)
    saturday = datetime(2026, 2, 28, 15, tzinfo=UTC)
    written(journal, [kept(friday, MONDAY), point(friday.close, 100_000), point(saturday, 99_000)])
    day = call("status", "--json").json["day"]
    assert (day["trading_date"], day["change"]) == ("2026-03-02", "-1000")


def replace_date(session: Session, day: date, *, days: int) -> Session:
    move = timedelta(days=days)
    return Session(day, session.open + move, session.close + move)


def test_a_day_without_equity_is_not_known(journal: Any, call: Call) -> None:
    journal.close()
    assert call("status", "--json").json["day"] is None
    assert "day P&L   not known yet" in call("status").out


# -- positions ---------------------------------------------------------------------------------------


def test_positions_have_their_value_their_part_of_equity_and_totals(
    journal: Any, call: Call
) -> None:
    rows = [
        Account("A", "exchange", D(8_800), D(10_000), NOON),
        position("KO", 100), position("F", 10, "other"),
    ]  # fmt: skip
    written(journal, rows, [minute("KO", NOON), minute("F", NOON, 0.1234)])
    screen = call("status").out
    cells = [line.split() for line in screen.splitlines() if line.startswith(("sma", "other"))]
    assert cells == [
        ["other", "F", "10", "10.00", "0.1234", "1.23", "-98.77", "0.0%"],
        ["sma", "KO", "100", "10.00", "11.00", "1,100.00", "+100.00", "11.1%"],
    ]
    total = next(line for line in screen.splitlines() if line.startswith("total"))
    assert total.split() == ["total", "1,101.23", "+1.23", "11.1%"]
    assert call("status", "--json").json["totals"]["market_value"] == "1101.234"


def test_a_position_without_a_price_makes_no_total_up(journal: Any, call: Call) -> None:
    written(journal, [position("KO", 100)])
    assert call("status", "--json").json["totals"]["market_value"] is None
    assert "unrealized not known: a position has no price" in call("status").out


# -- why, and what is pending ------------------------------------------------------------------------


def test_a_position_whose_plugin_was_not_part_of_the_last_run_says_so(
    journal: Any, call: Call, on_terminal: Call
) -> None:
    rows = [position("IBM", 10, "rising"), position("KO", 5), position("XYZ", 1, "")]
    written(journal, [*rows, a_run(NOON), point(NOON, 1)])
    why = "NOT CLOSED BY THE BOT: plugin rising is not part of the last run; add it, or"
    shown = call("status")
    assert below(shown.out, "rising").startswith(why)
    assert "`smabot flatten --symbol IBM` closes all IBM" in shown.out
    assert shown.out.count("NOT CLOSED") == 1
    assert "belongs to no strategy: `smabot flatten --symbol XYZ` closes all XYZ" in shown.out
    unattended = {p["symbol"]: p["unattended"] for p in call("status", "--json").json["positions"]}
    assert unattended["IBM"].startswith(why)
    assert unattended["KO"] == ""
    assert max(map(len, on_terminal("status", columns=80).splitlines())) <= 80


def test_without_a_run_nobody_knows_which_plugins_take_part(journal: Any, call: Call) -> None:
    written(journal, [position("IBM", 10, "rising"), point(NOON, 1)])
    assert "NOT CLOSED" not in call("status").out


def test_an_exit_that_was_refused_says_why_and_when_it_is_tried_again(
    journal: Any, call: Call, make_order: Any
) -> None:
    refused = make_order(
        0, "KO", Side.SELL, Status.REJECTED, strategy="sma", reason="no locates", bar_time=NOON,
        created_at=NOON, updated_at=NOON, attempt=2,
    )  # fmt: skip
    rows = [position("KO", 10), SignalState("sma", "KO", "SELL", 0, NOON), refused]
    written(journal, [*rows, kept(MONDAY), point(NOON, 1)])
    screen = call("status").out
    why = "its exit was rejected by the broker: no locates; tried again from 2026-03-02 12:02 ET on"
    assert below(screen, "side  qty  symbol  strategy  order").split()[-3:] == [
        "not",
        "made",
        "yet",
    ]
    assert below(screen, "sell   10  KO") == why
    assert below(screen, "03-02 12:01  sma") == why
    (pending,) = call("status", "--json").json["pending"]
    assert (pending["kind"], pending["side"], pending["qty"]) == ("exit", "sell", "10")
    assert pending["again_at"] == "2026-03-02T17:02:00Z"


def test_an_exit_that_fails_after_the_close_waits_for_the_open(
    journal: Any, call: Call, make_order: Any
) -> None:
    late = MONDAY.close + timedelta(minutes=1)
    expired = make_order(
        0, "KO", Side.SELL, Status.EXPIRED, bar_time=late, created_at=late, updated_at=late
    )
    rows = [position("KO", 10), SignalState("sma", "KO", "SELL", 0, late), expired]
    written(journal, [*rows, kept(MONDAY, TUESDAY), point(late, 1)])
    screen = call("status").out
    assert "open orders and exits, at the open of 2026-03-03 09:30 ET, if the bot runs" in screen
    assert "its exit expired; tried again from 2026-03-03 09:30 ET on" in screen


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (
            SignalState("sma", "KO", "SELL", 0, NOON, missed=True),
            "its signal was missed while no bot ran: the next run acts at its first bar",
        ),
        (SignalState("sma", "KO", "SELL", 0, NOON), "no exit was ordered yet"),
    ],
)
def test_an_exit_that_was_not_ordered_says_why(
    journal: Any, call: Call, state: SignalState, why: str
) -> None:
    written(journal, [position("KO", 10), state])
    assert [each["why"] for each in call("status", "--json").json["pending"]] == [why]


def test_an_open_exit_is_no_pending_one_and_its_rest_is(
    journal: Any, call: Call, make_order: Any
) -> None:
    selling = make_order(0, "KO", Side.SELL, Status.ACCEPTED, qty=D(4), bar_time=NOON)
    written(journal, [position("KO", 10), SignalState("sma", "KO", "SELL", 0, NOON), selling])
    pending = call("status", "--json").json["pending"]
    assert [(each["kind"], each["qty"]) for each in pending] == [("exit", "6"), ("order", "4")]
    assert pending[1]["why"] == "market, day: open at the broker"
    assert pending[1]["client_order_id"] == "smabot-sma-KO-0"


def test_a_blocked_entry_names_the_check_and_its_reason(
    journal: Any, call: Call, make_order: Any
) -> None:
    checks = [Check("may_leave", True), Check("big", False, "9", "5", "too much of it")]
    blocked = make_order(
        0, "KO", Side.BUY, Status.BLOCKED, bar_time=NOON, reason="too much of it",
        checks=checks_text(checks),
    )  # fmt: skip
    written(journal, [SignalState("sma", "KO", "BUY", 1, NOON), blocked])
    assert below(call("status").out, "03-02") == "its entry was blocked by big: too much of it"
    (signal,) = call("status", "--json").json["signals"]
    assert signal["failed_checks"] == [
        {"name": "big", "passed": False, "value": "9", "limit": "5", "reason": "too much of it"}
    ]
    assert (signal["order"], signal["held"]) == ("smabot-sma-KO-0", "0")


def test_texts_in_the_database_become_structures_in_json(
    journal: Any, call: Call, make_order: Any
) -> None:
    open_order = make_order(
        0, "KO", Side.BUY, Status.ACCEPTED, checks=checks_text([Check("size", True, "1", "2")])
    )
    written(journal, [open_order, a_run(NOON)])
    data = call("status", "--json").json
    (order,) = data["open_orders"]
    assert order["risk_checks"][0]["name"] == "size"
    assert isinstance(order["checks"], str)
    assert data["last_run"]["startup"][0]["found"] == "1 symbol"
    assert isinstance(data["last_run"]["steps"], str)


# -- time --------------------------------------------------------------------------------------------


def test_a_replayed_market_has_its_own_clock(journal: Any, call: Call) -> None:
    run = a_run(NOON, datetime(2026, 11, 26, tzinfo=UTC))
    written(journal, [run, kept(MONDAY, TUESDAY)], [minute("KO", NOON)])
    screen = call("status").out
    assert "last bar  2026-03-02 12:01 ET, in a replayed market with its own clock" in screen
    assert "market    open, closes at 2026-03-02 16:00 ET\n" in screen
    data = call("status", "--json").json
    assert (data["market"]["follows_wall_clock"], data["last_bar_age_seconds"]) == (False, None)


def test_a_market_by_the_wall_clock_says_how_old_its_last_bar_is(journal: Any, call: Call) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    today = Session(now.date(), now - timedelta(hours=1), now + timedelta(hours=2, minutes=30))
    bars = [minute("KO", now - timedelta(minutes=4))]
    written(
        journal,
        [a_run(now - timedelta(minutes=30), now - timedelta(minutes=30)), kept(today)],
        bars,
    )
    screen = call("status").out
    assert re.search(r"^last bar  .* ET, 3 minutes ago$", screen, re.MULTILINE)
    assert re.search(r"^market    open, closes at .* ET, in 2 hours$", screen, re.MULTILINE)
    assert 180 <= call("status", "--json").json["last_bar_age_seconds"] < 240


def test_a_closed_market_says_when_it_opens(journal: Any, call: Call) -> None:
    run = a_run(NOON, datetime(2026, 11, 26, tzinfo=UTC))
    written(journal, [run, kept(MONDAY, TUESDAY), point(MONDAY.close, 1)])
    assert "market    closed, opens at 2026-03-03 09:30 ET" in call("status").out
    assert "market    closed, opens at 2026-03-03 14:30 UTC" in call("status", "--utc").out


def test_a_database_of_an_older_release_knows_no_session(database: Any, call: Call) -> None:
    screen = call("status").out
    assert "market    its next session is not known" in screen
    assert "last bar  2026-03-02 12:01 ET\n" in screen


def test_sessions_are_kept_around_the_trading_date() -> None:
    from smabot.domain.book import Book

    days = [replace_date(MONDAY, MONDAY.date + timedelta(days=n), days=n) for n in range(40)]
    book = Book()
    assert kept_sessions(book).sessions == ()
    row = sessions_row(Calendar(days), days[20].date)
    assert row is not None
    book.apply(row)
    assert kept_sessions(book).sessions == tuple(days[19:30])
    assert sessions_row(Calendar(), days[20].date) is None


# -- the connections of a running bot ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "line"),
    [
        ([], "streams   up since the bot started"),
        ([("stream_lost", 1, "down")], "streams   DOWN since 2026-03-02 12:01 ET: down"),
        (
            [("stream_lost", 1, "down"), ("stream_back", 3, "it is back")],
            "streams   up again since 2026-03-02 12:03 ET",
        ),
        ([("stream_lost", -5, "of an earlier run")], "streams   up since the bot started"),
        ([("key_refused", 2, "no such key")], "key       REFUSED since 2026-03-02 12:02 ET: no such key"),
    ],
)  # fmt: skip
def test_a_running_bots_connections(
    journal: Any, execute: Call, events: list[tuple[str, int, str]], line: str
) -> None:
    journal.commit(
        [
            a_run(NOON),
            *(Event(NOON + timedelta(minutes=n), kind, "", text) for kind, n, text in events),
        ]
    )
    shown = execute("status")  # while this process has the database open, as a bot has
    assert "bot       running, pid 4194305" in shown.out
    assert line in shown.out.splitlines()


def test_without_a_bot_there_are_no_connections(journal: Any, call: Call) -> None:
    written(journal, [a_run(NOON)])
    assert "streams" not in call("status").out
    assert call("status", "--json").json["connections"] == {}


# -- --watch -----------------------------------------------------------------------------------------


def test_watch_needs_a_screen(database: Any, execute: Call) -> None:
    for arguments, told in (
        (("--watch",), "--watch needs a terminal"),
        (("--watch", "--json"), "--watch shows a screen: leave --json out"),
        (("--watch", "0"), "0.5<=x"),
    ):
        result = execute("status", *arguments)
        assert (result.code, result.out) == (2, "")
        assert told in result.err


@pytest.mark.slow
def test_watch_ends_with_its_terminal(database: Any) -> None:
    """Also where nothing ends it by a signal, as below nohup."""
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.environ.update({"TERM": "xterm", "COLUMNS": "80", "LINES": "20"})
        os.execvp(SMABOT, (SMABOT, "status", "--watch", "0.5"))
    seen = b""
    while b"Ctrl-C ends" not in seen:
        seen += os.read(terminal, 65536)
    os.close(terminal)
    until = time.monotonic() + 30
    while not (ended := os.waitpid(pid, os.WNOHANG)[0]) and time.monotonic() < until:
        time.sleep(0.05)
    if not ended:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert ended


@contextmanager
def on_pty(*arguments: str) -> Iterator[tuple[int, Callable[[str], str]]]:
    """Start a command on a terminal of its own; yields its end and what waits until it shows a text."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "xterm", "COLUMNS": "80", "LINES": "20"})
        os.execvp(arguments[0], arguments)
    seen = b""

    def wait_for(text: str) -> str:
        nonlocal seen
        until = time.monotonic() + 60
        while text.encode() not in seen and time.monotonic() < until:
            if select.select([terminal], [], [], 0.2)[0]:
                seen += os.read(terminal, 65536)
        return seen.decode()

    try:
        yield terminal, wait_for
        with suppress(OSError):
            while select.select([terminal], [], [], 60)[0] and os.read(terminal, 65536):
                pass
    finally:
        os.close(terminal)  # which hangs the command up where it still runs
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code == 0


@pytest.mark.slow
def test_watch_shows_news_until_ctrl_c(journal: Any, in_tmp: Any, execute: Call) -> None:
    journal.close()
    with on_pty(SMABOT, "status", "--watch", "0.5") as (terminal, wait_for):
        assert "Ctrl-C ends" in wait_for("halted    no")
        assert execute("halt", "lunch").code == 0
        assert "YES: lunch" in wait_for("YES: lunch")
        os.write(terminal, b"\x03")


@pytest.mark.slow
def test_watch_goes_on_where_the_database_can_not_be_read_for_a_while(
    journal: Any, in_tmp: Any, execute: Call
) -> None:
    journal.close()
    database, away = Path("data/trades.db"), Path("data/away.db")
    with on_pty(SMABOT, "status", "--watch", "0.5") as (terminal, wait_for):
        wait_for("halted    no")
        database.rename(away)
        assert "can't be read now: " in wait_for("no database")
        away.rename(database)
        assert execute("halt", "lunch").code == 0
        assert "YES: lunch" in wait_for("YES: lunch")
        os.write(terminal, b"\x03")
