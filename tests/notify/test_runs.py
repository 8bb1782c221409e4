"""A bot in a process of its own tells real servers: in order, at least once over kills, and no secret shows."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

import pytest

pytestmark = pytest.mark.plugins
NO_FLOOR = "repeat_minutes = 0"
STARTS_TOLD = """
    SELECT (SELECT count(*) FROM runs WHERE ready_ms IS NOT NULL),
        (SELECT min(CAST(value AS INTEGER)) FROM bot_state WHERE key = 'after_commit')
        >= (SELECT max(number) FROM committed_steps WHERE content LIKE '%"runs":[{%')
"""


def by_place(messages: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Return fills and entries that were not made, and all others, which pass them."""
    routine, others = list[Any](), list[Any]()
    for message in messages:
        is_routine = any(word in message.title for word in (": bought", ": sold", ": entry"))
        (routine if is_routine else others).append(message)
    return routine, others


def assert_in_order(messages: Iterable[Any]) -> None:
    for some in by_place(messages):
        keys = [tuple(map(int, message.key.split("."))) for message in some]
        assert keys == sorted(set(keys))


def rows(bot: Any, query: str) -> list[Any]:
    with closing(sqlite3.connect(bot.db)) as database:
        return database.execute(query).fetchall()


@pytest.mark.slow(seconds=6)
def test_a_run_tells_its_start_its_fills_in_order_its_end_and_the_days(
    bot: Any, inbox: Any
) -> None:
    bot.settings(inbox.url, more=NO_FLOOR)
    bot.run()
    while bot.run("run", "--until", "2026-03-03T20:00:00Z") and len(inbox.of("equity")) < 2:
        pass  # a run waits for 5 seconds; the next one tells the rest
    titles = inbox.titles
    assert titles[0] == "started"
    assert all(message.title.startswith("smabot PAPER: ") for message in inbox.messages)
    assert_in_order(inbox.messages)
    fills = [title for title in titles if title.startswith(("bought", "sold"))]
    wanted = rows(bot, "SELECT side, qty, symbol FROM trades ORDER BY time")
    verbs = {"buy": "bought", "sell": "sold"}
    assert len(fills) == len(wanted) > 20
    said = sorted(title.partition(" at ")[0] for title in fills)
    assert said == sorted(f"{verbs[side]} {qty} {symbol}" for side, qty, symbol in wanted)
    days = [title for title in titles if "equity" in title]
    assert [day[:10] for day in days] == ["2026-03-02", "2026-03-03"]
    ((equity, at),) = rows(bot, "SELECT equity, time FROM equity_curve ORDER BY time DESC LIMIT 1")
    assert f"equity {float(equity):,.2f}" in days[-1], at
    assert "end of the data" in titles


@pytest.mark.slow(seconds=25)
def test_kills_lose_no_alert_and_what_repeats_says_so(bot: Any, inbox: Any) -> None:
    bot.settings(inbox.url, more=NO_FLOOR)
    inbox.seconds = 0.005
    kills = 0
    for least in (5, 30, 31, 60, 90):
        with bot.start("run") as child:
            while child.poll() is None and len(inbox.messages) < least:
                time.sleep(0.002)
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
                kills += 1
            child.communicate()
    assert kills >= 3
    newest = "SELECT max(number) FROM committed_steps"
    while True:
        bot.run()
        places = rows(bot, "SELECT value FROM bot_state WHERE key = 'after_commit'")
        if set(rows(bot, newest)) == {(int(place),) for (place,) in places}:
            break
    first: dict[str, Any] = {}
    for message in inbox.messages:
        known = first.setdefault(message.key, message)
        assert known is message or message.again, message
        assert known.title == message.title
    assert_in_order(first.values())
    titles = [message.title.partition(": ")[2] for message in first.values()]
    fills = sum(title.startswith(("bought", "sold")) for title in titles)
    assert [(fills,)] == rows(bot, "SELECT count(*) FROM trades")
    assert [(titles.count("was killed"),)] == rows(
        bot, "SELECT count(*) FROM runs WHERE ended_at IS NULL"
    )


@pytest.mark.slow(seconds=15)
def test_a_dead_receiver_gets_all_when_it_is_back_and_a_good_one_nothing_twice(
    bot: Any, inboxes: Callable[[], Any]
) -> None:
    good, dead = inboxes(), inboxes()
    dead.leave()
    bot.settings(good.url, dead.url, more=NO_FLOOR)
    printed = bot.run()
    assert "json://… did not take alert" in printed
    assert "Traceback" not in printed
    assert dead.messages == []
    fills = rows(bot, "SELECT count(*) FROM trades")
    assert fills == [(len(good.of("bought")) + len(good.of("sold")),)]
    dead.come_back()
    bot.run()
    keys = [message.key for message in good.messages]
    assert len(keys) == len(set(keys))
    for late, timely in zip(by_place(dead.messages), by_place(good.messages), strict=True):
        told = [message.title for message in late]
        assert told[: len(timely)] == [message.title for message in timely][: len(told)]
    assert fills == [(len(dead.of("bought")) + len(dead.of("sold")),)]
    assert dead.messages[0].again
    assert not any(message.again for message in good.messages)


@pytest.mark.slow(seconds=6)
def test_a_slow_receiver_holds_nothing_up(bot: Any, inbox: Any) -> None:
    bot.settings(inbox.url, more=NO_FLOOR)
    inbox.seconds = 3.0
    begun = time.monotonic()
    bot.run()
    took = time.monotonic() - begun
    fills = rows(bot, "SELECT count(*) FROM trades")[0][0]
    assert fills > 20
    assert took < fills * inbox.seconds / 2
    assert len(inbox.messages) < took / inbox.seconds


@pytest.mark.slow(seconds=8)
def test_no_secret_shows_anywhere(bot: Any, inbox: Any, mailbox: Any) -> None:
    bot.settings(inbox.url, mailbox.url, "json://127.0.0.1:9/an0therS3cretPath")
    printed = bot.run("run", "-vv")
    printed += bot.run("notify", "test", "-vv", code=4)
    printed += bot.run("notify", "test", "--debug", "--json", code=4)
    printed += bot.run("config", "show", "--json")
    printed += bot.run("doctor", "--json") + bot.run("runs", "last")
    kept = b"".join(path.read_bytes() for path in bot.db.parent.iterdir())
    for text in (printed, bot.log.read_text(), kept.decode("latin-1")):
        for secret in ("s3cr3tT0ken", "passw0rdOfThe", "an0therS3cret"):
            assert secret not in text
    assert inbox.of("started")
    assert any("started" in mail for mail in mailbox.mails)


@pytest.mark.slow(seconds=8)
def test_a_halt_its_end_and_a_stop_are_told(bot: Any, inbox: Any) -> None:
    bot.settings(inbox.url)
    with bot.start("run", "--speed", "30") as child:
        inbox.await_message("started")
        bot.run("halt", "going on holiday")
        held = inbox.await_message("halted")
        assert held.kind == "failure"
        assert "Going on holiday. No new entries until `smabot resume`." in held.text
        bot.run("resume")
        inbox.await_message("resumed")
        bot.run("halt", "again")
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=30)
    assert inbox.await_message(": stopped").kind == "info"
    assert len(inbox.of("halted")) == 2  # the resume between them ended the first


@pytest.mark.slow(seconds=10)
def test_the_start_after_a_kill_is_told_and_those_of_a_loop_are_held_back(
    bot: Any, inbox: Any
) -> None:
    """With the floor of 15 minutes between repeats, and kills that are seconds apart."""
    bot.settings(inbox.url, more='fill = "off"\norder = "off"')
    for number in range(1, 6):
        with bot.start("run", "--speed", "30") as child:
            bot.await_row(STARTS_TOLD, (number, 1))
            child.send_signal(signal.SIGKILL if number < 5 else signal.SIGTERM)
            child.communicate(timeout=30)
    assert inbox.titles == ["started", "was killed", "started", "stopped"]


@pytest.mark.slow(seconds=6)
def test_risk_that_stops_trading_and_a_failed_start_are_told(bot: Any, inbox: Any) -> None:
    bot.settings(
        inbox.url,
        more="[default.plugin.risk.daily_limits]\nmax_orders = 20\nmax_loss = 0.01\n"
        "[default.plugin.risk.circuit_breaker]\nmax_session_drawdown = 0.000001",
    )
    bot.run("run", "--data", "simulated:seed=1")
    tripped = inbox.await_message("circuit breaker tripped")
    assert "No new entries until `smabot breaker reset`" in tripped.text
    inbox.await_message("loss limit reached")
    blocked = inbox.of("entry blocked")
    assert "See `smabot explain sma-" in blocked[0].text
    ((count,),) = rows(bot, "SELECT count(*) FROM order_intents WHERE status = 'blocked'")
    assert count > 3 * len(blocked)
    path = bot.folder / "settings.toml"
    path.write_text(path.read_text().replace('"risk", ', ""))
    bot.run("run", "--data", "simulated:seed=1", code=5)
    assert (
        "--ignore-block risk.circuit_breaker" in inbox.await_message("FAILED with exit code 5").text
    )


def test_a_test_message_goes_to_each_and_says_which_one_failed(
    bot: Any, inbox: Any, mailbox: Any
) -> None:
    bot.settings(inbox.url, mailbox.url)
    printed = bot.run("notify", "test", "--kind", "fill")
    assert "1. json://…    ok" in printed
    assert "2. mailto://…  ok" in printed
    (message,) = inbox.messages
    assert message.title == "TEST smabot PAPER: sold 10 SPY at 721.56"
    (mail,) = mailbox.mails
    assert "Subject: TEST smabot PAPER: sold 10 SPY at 721.56" in mail
    assert "Realized +12.30" in mail
    inbox.refuses = True
    printed = bot.run("notify", "test", "--json", code=4)
    answers = json.loads(printed)["receivers"]
    assert [(each["receiver"], each["ok"]) for each in answers] == [
        ("1. json://…", False),
        ("2. mailto://…", True),
    ]
    assert "500" in answers[0]["reason"] or "error" in answers[0]["reason"].lower()


@pytest.mark.parametrize(
    ("urls", "line"),
    [
        (["tgra://123456789:ABCdef/1234"], "1. tgra://…: apprise knows no service 'tgra' (did you mean 'tgram'?)"),
        (["tgram://x"], "1. tgram://…: apprise can't use this URL of tgram"),
        (["json://localhost", "hello"], "2. has no service: begin it as in mailto://…"),
        ([], "plugin.notify.urls is empty"),
    ],
)  # fmt: skip
def test_a_mistyped_url_is_one_line(bot: Any, urls: list[str], line: str) -> None:
    bot.settings(*urls)
    printed = bot.run("notify", "test", code=3)
    assert printed.count("\n") == 1
    assert line in printed
    assert f"FAILURE  alerts         {'plugin.notify.urls' if urls else line}" in bot.run(
        "doctor", code=3
    )


def test_a_mistyped_setting_is_named(bot: Any) -> None:
    bot.settings("json://localhost", more='fills = "loud"')
    assert "unknown setting 'plugin.notify.fills' (did you mean 'plugin.notify.fill'?)" in bot.run(
        "config", "check", code=3
    )


@pytest.mark.parametrize(
    "kind", ["fill", "order", "breaker", "limit", "halt", "conflict", "stream", "frozen", "cancel",
             "run", "failure", "summary", "grave"],
)  # fmt: skip
def test_each_kind_can_be_looked_at(bot: Any, kind: str) -> None:
    bot.settings("json://127.0.0.1:9")
    shown = json.loads(bot.run("notify", "test", "--kind", kind, "--show", "--json"))
    assert shown["title"].startswith("smabot PAPER: ")
    assert len(shown["title"]) < 80
    assert len(shown["text"]) < 260
