"""`smabot explain` over real runs: why an order was made, and for each reason why none was."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.cli import main
from smabot.cli.run_session import begin_run_row, save_run_row
from smabot.domain.bot_records import Command
from smabot.domain.order_terms import Status
from smabot.domain.records import Bar, Order, OrderUpdate, Signal
from smabot.hooks.specifications import hookimpl

pytestmark = pytest.mark.plugins
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
LONG, FLAT = 1, 0
FLAT_SPY = {"SPY": [100.0] * 30}
LIMITS = "risk", {"daily_limits": {"max_order_qty": 5}}


@pytest.fixture
def explain(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Ask for an explanation of a world's database; returns the screen, or JSON."""

    def explain(world: Any, *arguments: str) -> Any:
        assert main(["--db", str(world.db), "explain", *arguments]) == 0
        shown = capsys.readouterr()
        assert shown.err == ""
        return json.loads(shown.out) if "--json" in arguments else shown.out

    return explain


def play(world: Any, minutes: int | None = None, *commands: Command, **settings: Any) -> None:
    """Play with a row in `runs`, as the command `run` does."""
    with world.started(**settings) as (session, engine):
        row = replace(begin_run_row(session), ready_ms=1.0, steps=session.report.steps_json())
        save_run_row(session, row)
        for command in commands:
            session.journal.send(command)
        if minutes is None:
            engine.run()
        else:
            world.go(engine, minutes)
        save_run_row(
            session,
            replace(row, ended_at=session.surroundings.wall(), exit_code=0, outcome="stopped"),
        )


def command(verb: str, argument: str = "") -> Command:
    return Command(f"{verb}-1", verb, argument, datetime.now(UTC))


def in_one_line(screen: str) -> str:
    return " ".join(screen.split())


# -- why an order was made -------------------------------------------------------------------------


def test_an_order_has_its_whole_story(make_world: Any, explain: Any) -> None:
    closes = [100.0] * 5 + [101.0] * 10 + [103.0] * 15
    world = make_world({"SPY": closes}, plugins=("risk",))
    world.follow(s={("SPY", 4): LONG, ("SPY", 20): FLAT})
    play(world)
    screen = explain(world, "s-SPY-20260302T1434Z-1")
    assert [line.split()[:2] for line in screen.splitlines() if line[:2] == "09"] == [
        ["09:35:00", "bar"], ["09:35:00", "signal"], ["09:35:00", "size"], ["09:35:00", "order"],
        ["09:35:00", "checks"], ["09:35:00", "sent"], ["09:35:00", "fill"], ["09:51:00", "P&L"],
    ]  # fmt: skip
    text = in_one_line(screen)
    assert "O 100.00 H 100.00 L 100.00 C 100.00 volume 10,000" in text
    assert "BUY at 100.00 by s" in text
    assert "10 shares: sizing.shares 10; 0 held" in text
    assert "max_orders passed 0, limit 500" in text
    assert "bought 10 at" in text
    assert "a round trip of 16 minutes that made +30.00" in text
    data = explain(world, "SPY-20260302T1450Z", "--json")
    assert data["order"]["client_order_id"] == "smabot-s-SPY-20260302T1450Z-1"
    assert data["signal"]["label"] == "SELL"
    assert data["size"]["value"] == "10"
    assert data["round_trip"]["realized_pnl"] == data["realized_pnl"]
    assert all({"name", "passed", "value", "limit"} <= set(check) for check in data["checks"])
    assert data["outcome"]["code"] == "filled"


def test_slippage_is_what_a_fill_costs_more_than_the_decision(
    make_world: Any, explain: Any
) -> None:
    world = make_world({"SPY": [100.0, 100.0, 100.0, 101.0, 101.0, 101.0, 101.0]})
    world.follow(s={("SPY", 2): LONG})
    play(world)
    (fill,) = explain(world, "s-SPY-20260302T1432Z-1", "--json")["fills"]
    cost = (Decimal(fill["price"]) - 100) * 10
    assert Decimal(fill["slippage"]) == cost


def test_an_exit_by_the_operator_names_the_command(make_world: Any, explain: Any) -> None:
    world = make_world(FLAT_SPY)
    world.follow(s={("SPY", 2): LONG})
    play(world, 8)
    play(world, 3, command("flatten"))
    screen = in_one_line(explain(world, "SPY"))
    assert "wants flat, by the operator's `flatten`" in screen
    assert "command flatten: closes 1 position" in screen
    assert "sold 10 at" in screen


def test_a_minute_after_a_flatten_knows_it(make_world: Any, explain: Any) -> None:
    world = make_world(FLAT_SPY, volume=30)
    world.follow(s={("SPY", 2): LONG, ("SPY", 20): LONG})
    play(world, 10)
    play(world, 15, command("flatten", "SPY"))
    wants = "it wanted to be flat, by the operator's `flatten`, since 2026-03-02 09:41 ET"
    later = in_one_line(explain(world, "SPY", "--at", "09:48"))
    assert f"no new signal at 09:48: {wants}, and 0 were held" in later
    assert "its entry filled" not in later
    meanwhile = in_one_line(explain(world, "SPY", "--at", "09:42"))
    assert wants in meanwhile
    assert "`flatten`: its exit filled: 10 at 100.00" in meanwhile
    before = in_one_line(explain(world, "SPY", "--at", "09:39"))
    assert "it wanted to be long since 2026-03-02 09:33 ET" in before
    bought_again = in_one_line(explain(world, "SPY", "--at", "09:53"))
    assert "it wanted to be long since 2026-03-02 09:51 ET" in bought_again


def test_a_flatten_of_nothing_changes_no_target(make_world: Any, explain: Any) -> None:
    world = make_world(FLAT_SPY, sizing={"method": "notional", "notional": 50})
    world.follow(s={("SPY", 2): LONG})
    play(world, 8)
    play(world, 6, command("flatten", "SPY"))
    text = in_one_line(explain(world, "SPY", "--at", "09:42"))
    assert "it wanted to be long since 2026-03-02 09:33 ET, and 0 were held" in text


def test_a_flatten_has_one_time_on_all_screens(
    make_world: Any, explain: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world(FLAT_SPY)
    world.follow(s={("SPY", 2): LONG})
    play(world, 8)
    play(world, 3, command("flatten"))
    assert "flat, by the operator's `flatten`, since 2026-03-02 09:39 ET" in explain(world, "SPY")
    assert main(["--db", str(world.db), "status"]) == 0
    assert re.search(r"(?m)^03-02 09:39 .* FLATTEN ", capsys.readouterr().out)
    assert main(["--db", str(world.db), "--json", "status"]) == 0
    (signal,) = json.loads(capsys.readouterr().out)["signals"]
    assert signal["time"] == "2026-03-02T14:39:00Z"
    assert main(["--db", str(world.db), "events", "--kind", "flatten"]) == 0
    assert "03-02 09:39:00" in capsys.readouterr().out


def test_the_minute_of_an_id_points_to_the_minute_of_the_decision(
    make_world: Any, explain: Any
) -> None:
    world = make_world(FLAT_SPY)
    world.follow(s={("SPY", 4): LONG})
    play(world)
    text = in_one_line(explain(world, "SPY", "--at", "09:34"))
    assert "no new signal at 09:34, and none before it" in text
    pointer = (
        "the bar that starts at 09:34 ends later: its BUY signal is of 09:35, with "
        "s-SPY-20260302T1434Z-1; --at 2026-03-02T09:35 explains it"
    )
    assert pointer in text
    assert "made an order" in explain(world, "SPY", "--at", "2026-03-02T09:35")
    assert "ends later" not in explain(world, "SPY", "--at", "09:36")
    utc = in_one_line(explain(world, "SPY", "--utc", "--at", "14:34"))
    assert "--at 2026-03-02T14:35 explains it" in utc


def test_an_order_that_was_not_answered_says_how_it_was_found(
    make_world: Any, explain: Any, lose_first_order: Any
) -> None:
    world = make_world(FLAT_SPY)
    world.follow(s={("SPY", 2): LONG})
    with world.started() as (session, engine):
        lose_first_order(session)
        world.go(engine, 6)
    words = [line.split()[1:3] for line in explain(world, "s-SPY-20260302T1432Z-1").splitlines()]
    found = [
        word for word in words if word in (["no", "answer"], ["sent", "again"], ["answer", "after"])
    ]
    assert found == [["no", "answer"], ["sent", "again"], ["answer", "after"]]


def test_an_order_that_a_killed_process_left_names_the_start_that_queried_it(
    make_world: Any, explain: Any
) -> None:
    world = make_world(FLAT_SPY)
    world.follow(s={("SPY", 4): LONG})
    world.killed_before_sending()
    play(world, 6)
    data = explain(world, "s-SPY-20260302T1434Z-1", "--json")
    (run,) = world.ask("SELECT run_id FROM runs")
    assert data["queried_by_runs"] == list(run)
    assert data["outcome"]["code"] == "filled"
    assert f"by the start of run {run[0]}" in explain(world, "s-SPY-20260302T1434Z-1")


# -- why none was made -----------------------------------------------------------------------------


def test_blocked_by_a_limit(make_world: Any, explain: Any) -> None:
    name, table = LIMITS
    world = make_world(FLAT_SPY, plugins=("risk",), plugin={name: table})
    world.follow(s={("SPY", 4): LONG})
    play(world)
    text = in_one_line(explain(world, "SPY"))
    assert "its entry was blocked: max_order_qty 5: 10 shares" in text
    assert "not tried again: it needs a new signal" in text
    assert "max_order_qty FAILED 10, limit 5" in text
    (holding,) = explain(world, "SPY", "--json")["holdings"]
    assert holding["signals"][-1]["outcome"]["code"] == "blocked"


def test_halted(make_world: Any, explain: Any) -> None:
    world = make_world(FLAT_SPY)
    world.follow(s={("SPY", 4): LONG})
    play(world, None, command("halt", "lunch"))
    text = in_one_line(explain(world, "SPY"))
    assert "its entry was blocked: halted: lunch" in text
    assert "blocked entries, by a halt since 2026-03-02 09:31 ET: lunch" in text
    at = explain(world, "SPY", "--at", "10:00", "--json")
    assert [event["kind"] for event in at["in_force"]] == ["halt"]


def test_a_tripped_breaker(make_world: Any, explain: Any) -> None:
    closes = [100.0] * 8 + [60.0] * 22
    world = make_world(
        {"SPY": closes}, plugins=("risk.circuit_breaker",), price_collar=0,
        sizing={"method": "shares", "shares": 500},
    )  # fmt: skip
    world.follow(s={("SPY", 2): LONG}, t={("SPY", 12): LONG})
    play(world)
    text = in_one_line(explain(world, "SPY", "--strategy", "t"))
    assert "equity fell" in text
    assert "blocked entries, by risk.circuit_breaker since" in text


def test_the_sizer_ordered_nothing(make_world: Any, explain: Any) -> None:
    world = make_world(FLAT_SPY, sizing={"method": "notional", "notional": 50})
    world.follow(s={("SPY", 4): LONG})
    play(world)
    text = in_one_line(explain(world, "SPY"))
    assert "why no order: the sizer ordered nothing: 0 held" in text


class AlwaysLong:
    @hookimpl
    def on_bar(self, bar: Bar) -> Signal:
        return Signal.long(bar)


def test_a_signal_that_repeats_itself(make_world: Any, explain: Any) -> None:
    world = make_world(FLAT_SPY)
    world.strategies = {"always": AlwaysLong()}
    play(world)
    assert len(world.rows(Order)) == 1
    text = in_one_line(explain(world, "SPY", "--at", "09:45"))
    assert "no new signal at 09:45: it wanted to be long since 2026-03-02 09:31 ET" in text
    assert "and 10 were held" in text


def test_missed_while_no_bot_ran(make_world: Any, explain: Any) -> None:
    world = make_world(FLAT_SPY)
    world.follow(s={("SPY", 6): LONG})
    play(world, 3)
    world.pass_by(10)
    play(world, 3)
    text = in_one_line(explain(world, "SPY"))
    assert "missed: no bot ran for the bars of 2026-03-02 09:34 ET to 09:42" in text
    assert "a missed entry is passed over, unless `act_on_missed_entries` is set" in text
    assert "no bot ran" in explain(world, "SPY", "--at", "09:40")


def test_a_missed_exit_is_acted_on_late(make_world: Any, explain: Any) -> None:
    world = make_world(FLAT_SPY)
    world.follow(s={("SPY", 2): LONG, ("SPY", 8): FLAT})
    play(world, 6)
    world.pass_by(10)
    play(world, 4)
    (holding,) = explain(world, "SPY", "--json")["holdings"]
    assert [s["outcome"]["code"] for s in holding["signals"]] == ["filled", "late", "filled"]
    assert "acted on late at 2026-03-02 09:4" in in_one_line(explain(world, "SPY"))


def test_a_price_outside_the_collar(make_world: Any, explain: Any) -> None:
    world = make_world({"SPY": [100.0] * 4 + [150.0] + [300.0] * 10})
    world.follow(s={("SPY", 4): LONG})
    play(world)
    text = in_one_line(explain(world, "SPY"))
    assert "price collar: the second bar is outside it, too" in text
    assert "price collar SPY: SPY went from 100.0 to 150.0 in a bar" in text


def test_rejected_by_the_broker(make_world: Any, explain: Any) -> None:
    world = make_world(
        FLAT_SPY, sizing={"method": "notional", "notional": 300_000},
        plugin={"exchange": {"multiplier": 1}},
    )  # fmt: skip
    world.follow(s={("SPY", 2): LONG})
    play(world)
    text = in_one_line(explain(world, "SPY"))
    assert "its entry was rejected by the broker: 403 insufficient buying power" in text


def test_expired_unsent_after_a_kill(make_world: Any, explain: Any) -> None:
    world = make_world(FLAT_SPY)
    world.follow(s={("SPY", 4): LONG})
    world.killed_before_sending()
    world.pass_by(8)
    play(world, 3)
    text = in_one_line(explain(world, "SPY"))
    assert (
        "its entry expired unsent: never arrived, and not sent again: decided 8 minutes ago" in text
    )


def test_a_cancel_that_is_not_answered(make_world: Any, explain: Any) -> None:
    world = make_world(FLAT_SPY, volume=10)
    world.follow(s={("SPY", 2): LONG, ("SPY", 4): FLAT})
    with world.started() as (session, engine):
        session.broker.cancel = lambda order: None
        world.go(engine, 8)
    text = in_one_line(explain(world, "s-SPY-20260302T1432Z-1"))
    assert "cancel requested: its target is now flat; the broker has not answered yet" in text
    assert "cancel unanswered" in text


def test_a_signal_while_the_operator_flattens(make_world: Any, explain: Any) -> None:
    world = make_world(FLAT_SPY, volume=20)
    world.follow(s={("SPY", 2): LONG, ("SPY", 14): FLAT, ("SPY", 15): LONG})
    play(world, 14)
    play(world, 4, command("flatten", "SPY"))
    signals = explain(world, "SPY", "--json")["holdings"][0]["signals"]
    assert signals[-1]["outcome"]["code"] == "flattened"
    assert "was still closing the position" in in_one_line(explain(world, "SPY"))


def test_an_exit_that_is_tried_again_names_the_attempt_before(
    make_world: Any, explain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(FLAT_SPY)
    world.follow(s={("SPY", 2): LONG, ("SPY", 8): FLAT})
    with world.started() as (session, engine):
        send = session.broker.submit

        def submit(order: Order) -> OrderUpdate:
            if order.reduces and order.attempt == 1:
                now = session.feed.now()
                return OrderUpdate(order.client_order_id, Status.REJECTED, now, reason="not now")
            answer: OrderUpdate = send(order)
            return answer

        monkeypatch.setattr(session.broker, "submit", submit)
        world.go(engine, 9)
        waits = in_one_line(explain(world, "SPY"))
        world.go(engine, 3)
    assert "why its exit was rejected by the broker: not now" in waits
    assert "the exit is tried again after 1, 2, 4, 8, then 16 minutes" in waits
    data = explain(world, "s-SPY-20260302T1438Z-2", "--json")
    assert data["attempts_before"] == ["smabot-s-SPY-20260302T1438Z-1"]
    screen = in_one_line(explain(world, "s-SPY-20260302T1438Z-2"))
    assert "attempt 2: the one before was rejected: not now" in screen
    first = in_one_line(explain(world, "s-SPY-20260302T1438Z-1"))
    assert "rejected by the broker: not now" in first
    assert "refused exit SPY: not now" in first


def test_no_bar_of_the_symbol(make_world: Any, explain: Any) -> None:
    spy = [None if minute == 10 else 100.0 for minute in range(20)]
    world = make_world({"SPY": spy, "IBM": [50.0] * 20})
    world.follow(s={("SPY", 2): LONG})
    play(world)
    text = in_one_line(explain(world, "SPY", "--at", "09:41"))
    assert "SPY had no bar from 09:40 to 09:41, though others had" in text
    text = in_one_line(explain(world, "SPY", "--at", "08:00"))
    assert "no symbol had a bar from 07:59 to 08:00" in text


def test_a_day_lists_its_signals_with_what_came_of_them(make_world: Any, explain: Any) -> None:
    world = make_world(FLAT_SPY)
    world.follow(s={("SPY", 2): LONG, ("SPY", 8): FLAT})
    play(world, None)
    for day in ("2026-03-02", "today"):
        screen = explain(world, "SPY", "--date", day)
        lines = [line.split()[:2] for line in screen.splitlines() if line[:2] == "09"]
        assert lines == [["09:33:00", "BUY"], ["09:39:00", "SELL"]]
    assert "no signals of SPY on 2026-03-03" in explain(world, "SPY", "--date", "2026-03-03")


def test_times_in_utc(make_world: Any, explain: Any) -> None:
    world = make_world(FLAT_SPY)
    world.follow(s={("SPY", 2): LONG})
    play(world)
    assert "14:33:00  signal" in explain(world, "SPY", "--utc")
    assert "made an order" in explain(world, "SPY", "--utc", "--at", "14:33")


def test_a_symbol_without_signals(make_world: Any, explain: Any) -> None:
    world = make_world(FLAT_SPY)
    play(world, 3)
    assert "no strategy has signalled it yet" in explain(world, "spy")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["SPYY"], "there is no symbol or order 'SPYY' (did you mean 'SPY'?)"),
        (["s-SPY-20260302T1499Z-1"], "there is no order 's-SPY-20260302T1499Z-1'"),
        (["SPY", "--strategy", "x"], "strategy 'x' has no signal of SPY"),
        (["s-SPY-20260302T1432Z-1", "--at", "10:00"], "are for a symbol"),
        (["SPY", "--at", "noon"], "'noon' is not a time"),
    ],
)
def test_a_mistake_is_one_line(
    make_world: Any, in_tmp: Path, capsys: Any, arguments: list[str], said: str
) -> None:
    world = make_world(FLAT_SPY)
    world.follow(s={("SPY", 2): LONG})
    play(world, 5)
    assert main(["--db", str(world.db), "explain", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1


def test_without_a_database(in_tmp: Path, capsys: Any) -> None:
    for command in (["explain", "SPY"], ["events"], ["runs"]):
        assert main(command) == 3
        assert "no database at data/trades.db" in capsys.readouterr().err


def test_statuses_that_end_an_order_have_words() -> None:
    from smabot.cli.records.order_outcome import ENDS, WAITS

    ended = {s for s in Status if s.terminal} | {Status.PENDING, Status.UNKNOWN}
    assert ended - set(ENDS) - set(WAITS) == {Status.FILLED}
