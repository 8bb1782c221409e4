"""`halt` and `resume`, with a bot running and without one."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.bot_records import Block, Command, Event

Call = Callable[..., Any]
Bot = subprocess.Popen[str]
SMABOT = str(Path(sys.executable).with_name("smabot"))
GIVEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


@pytest.fixture
def tape(in_tmp: Path, tape_writer: Callable[..., Path]) -> Path:
    return tape_writer(in_tmp / "tape.csv", {"SPY": [100.0 + n % 7 for n in range(300)]})


@pytest.fixture
def slow_bot(tape: Path) -> Callable[[], Any]:
    """A bot that trades already, slowly enough to be there until the end; killed then."""

    @contextmanager
    def slow_bot() -> Iterator[Bot]:
        command = [SMABOT, "run", "--data", str(tape), "--speed", "10", "--broker", "exchange"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as bot:
            try:
                assert any(line.startswith("ready in") for line in bot.stdout or ())
                yield bot
            finally:
                bot.kill()

    return slow_bot


def freeze(bot: Bot) -> None:
    """Stop a bot where it is, but not in the middle of a transaction."""
    while True:
        bot.send_signal(signal.SIGSTOP)
        os.waitpid(bot.pid, os.WUNTRACED)
        with closing(sqlite3.connect("data/trades.db", timeout=0)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                bot.send_signal(signal.SIGCONT)


def play(execute: Call, *until: str) -> None:
    """Run to the tape's end, as fast as can be."""
    done = execute("run", "--data", "tape.csv", "--speed", "max", "--broker", "exchange", *until)
    assert done.code == 0, done.err


def told() -> list[tuple[str, str]]:
    """Return the commands in the order given, with their answers; empty while they wait."""
    from smabot.cli.app import App

    with App().rows() as rows:
        return [(row.verb, row.answer) for row in rows.rows(Command, newest_by="created_at")]


def send(*commands: Command) -> None:
    """Leave commands for whoever starts next."""
    from smabot.cli.app import App

    with App().rows() as rows:
        for command in commands:
            rows.send(command)


def test_without_a_bot_the_command_is_carried_out_here(database: Path, call: Call) -> None:
    assert call("halt", "lunch", "break").out.splitlines()[-1].startswith("halted")
    assert call("status", "--json").json["halted"] == "lunch break"
    assert "YES: lunch break" in call("status").out
    assert call("resume", "--json").json["answer"].startswith("resumed")
    assert call("status", "--json").json["halted"] is None


def test_a_bot_that_does_not_answer(
    journal: Any, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smabot.cli.command_delivery.ANSWER_SECONDS", 0.1)
    result = call("halt", "now")
    assert result.code == 1
    assert result.err == (
        "smabot: 'halt' waits for the running bot, which did not answer within 0.1 s: it, or the next "
        "one that starts, will carry it out\n"
    )
    assert [(c.verb, c.argument) for c in journal.commands()] == [("halt", "now")]


@pytest.mark.slow
@pytest.mark.plugins
def test_a_running_bot_carries_the_command_out(slow_bot: Callable[[], Bot], call: Call) -> None:
    with slow_bot() as bot:
        status = call("status", "--json").json
        assert (status["running"], status["pid"]) == (True, bot.pid)
        assert f"running, pid {bot.pid}, since" in call("status").out
        assert call("halt", "by", "test").out.splitlines()[-1].startswith("halted")
        assert call("status", "--json").json["halted"] == "by test"
        assert call("resume").code == 0
        bot.send_signal(signal.SIGTERM)
        bot.communicate(timeout=60)
    assert "was stopped at" in call("status").out


def test_the_journal_keeps_the_command_and_its_answer(database: Path, call: Call) -> None:
    from smabot.cli.app import App

    call("halt")
    with App().rows() as rows:
        (command,) = rows.rows(Command)
        assert command.applied_at is not None
        assert command.answer.startswith("halted")
        assert rows.row(Block, "core", "entries").reason == "by hand"


# -- the last word ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.plugins
def test_a_halt_counts_after_a_resume_that_nobody_answered(
    slow_bot: Callable[[], Any], call: Call, execute: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bot that hangs, a resume, a kill, a halt without a bot, a start: it is halted."""
    monkeypatch.setattr("smabot.cli.command_delivery.ANSWER_SECONDS", 0.3)
    with slow_bot() as bot:
        freeze(bot)
        assert call("resume").code == 1
        bot.kill()
        bot.wait()
    assert call("halt", "news").code == 0
    resumed, halted = told()
    assert resumed == ("resume", "not carried out: a newer 'halt news' took its place")
    assert halted[1].startswith("halted")
    play(execute)
    assert execute("status", "--json").json["halted"] == "news"


@pytest.mark.slow
@pytest.mark.plugins
def test_a_bot_that_is_killed_meanwhile_leaves_the_command_to_the_command_line(
    slow_bot: Callable[[], Any], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = []

    def kill_the_bot(seconds: float) -> None:
        if bot.poll() is None and told():
            waited.append(told())
            bot.kill()
            bot.wait()

    with slow_bot() as bot:
        freeze(bot)
        monkeypatch.setattr("smabot.cli.command_delivery.time.sleep", kill_the_bot)
        result = call("halt", "news")
    assert waited == [[("halt", "")]]
    assert (result.code, result.err) == (0, "")
    assert [answer.split(":")[0] for _, answer in told()] == ["halted"]
    assert call("status", "--json").json["halted"] == "news"


@pytest.mark.slow
@pytest.mark.plugins
def test_a_resume_counts_after_a_halt_that_nobody_answered(
    slow_bot: Callable[[], Any], call: Call, execute: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smabot.cli.command_delivery.ANSWER_SECONDS", 0.3)
    with slow_bot() as bot:
        freeze(bot)
        assert call("halt", "news").code == 1
        bot.kill()
        bot.wait()
    assert call("resume").out.splitlines()[-1].startswith("resumed")
    play(execute)
    assert execute("status", "--json").json["halted"] is None


@pytest.mark.plugins
def test_waiting_commands_are_dealt_with_before_this_one(database: Path, call: Call) -> None:
    later = datetime.now(UTC) + timedelta(minutes=1)
    send(
        Command("b", "halt", "news", GIVEN),
        Command("a", "flatten", "SPY", GIVEN + timedelta(seconds=1), expires_at=later),
    )
    assert call("breaker", "reset").code == 0
    (halt, flatten, reset) = told()
    assert halt[1].startswith("halted")
    assert flatten[1].startswith("closes 1 position")
    assert reset[1].startswith("the circuit breaker is reset")
    assert call("status", "--json").json["halted"] == "news"


@pytest.mark.plugins
def test_a_start_carries_out_what_has_not_expired(tape: Path, execute: Call) -> None:
    play(execute, "--until", "2026-03-02T14:35:00Z")
    now = datetime.now(UTC)
    old = now - timedelta(minutes=2)
    send(
        Command("a", "halt", "news", old),
        Command("b", "resume", "", old, expires_at=old + timedelta(minutes=1)),
        Command("c", "flatten", "SPY", now, expires_at=now + timedelta(minutes=1)),
    )
    play(execute)
    (halt, resume, flatten) = told()
    assert halt[1].startswith("halted")
    assert resume[1].startswith("expired at ")
    assert "entries in SPY are not halted" in flatten[1]
    assert execute("status", "--json").json["halted"] == "news"
    assert [(e.kind, e.subject, e.grave) for e in events() if e.kind not in ("halt", "audit_agreed")] == [
        ("command_expired", "b", True), ("flatten", "SPY", False)
    ]  # fmt: skip


@pytest.mark.plugins
def test_an_expired_flatten_halts_at_the_next_start(tape: Path, execute: Call) -> None:
    play(execute, "--until", "2026-03-02T14:35:00Z")
    send(Command("a", "flatten", "", GIVEN, expires_at=GIVEN + timedelta(minutes=1)))
    play(execute)
    ((_, answer),) = told()
    assert answer.startswith("expired at 2026-03-02 14:31:00 UTC: not carried out; new entries are")
    halted = execute("status", "--json").json["halted"]
    assert halted == "a flatten expired before it was carried out"


def events() -> list[Event]:
    from smabot.cli.app import App

    with App().rows() as rows:
        return [event for event in rows.rows(Event) if isinstance(event, Event)]


# -- how long it stands, and taking it back --------------------------------------------------------


def test_the_line_says_until_when_a_command_stands(
    journal: Any, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smabot.cli.app.utc_now", lambda: GIVEN)
    monkeypatch.setattr("smabot.cli.command_delivery.ANSWER_SECONDS", 0.1)
    monkeypatch.setattr("smabot.cli.command_delivery.PATIENCE_SECONDS", 0.0)
    result = call("resume")
    assert result.code == 1
    assert result.err == (
        "smabot: 'resume' waits for the running bot until 09:31:00 ET; Ctrl-C withdraws it\n"
        "smabot: 'resume' waits for the running bot, which did not answer within 0.1 s: it, or the "
        "next one that starts, will carry it out until 2026-03-02 09:31:00 ET, and not later\n"
    )
    (command,) = journal.commands()
    assert (command.created_at, command.expires_at) == (GIVEN, GIVEN + timedelta(minutes=1))


@pytest.mark.slow
@pytest.mark.plugins
@pytest.mark.parametrize("verb", ["resume", "breaker reset"])
def test_ctrl_c_withdraws_what_the_bot_has_not_taken(journal: Any, verb: str) -> None:
    code, err = interrupted(journal, *verb.split())
    assert (code, err) == (130, f"smabot: '{verb}' is withdrawn: it will not be carried out\n")
    assert told() == [(verb, "withdrawn before it was carried out")]
    assert journal.commands() == []


@pytest.mark.slow
def test_ctrl_c_does_not_withdraw_a_halt(journal: Any) -> None:
    code, err = interrupted(journal, "halt")
    assert code == 130
    assert err.startswith("smabot: 'halt' stays: the bot, or the next one that starts, will carry")
    assert [command.verb for command in journal.commands()] == ["halt"]


@pytest.mark.slow
@pytest.mark.plugins
def test_ctrl_c_withdraws_a_flatten(journal: Any) -> None:
    code, err = interrupted(journal, "flatten", "--yes")
    assert (code, err) == (130, "smabot: 'flatten' is withdrawn: it will not be carried out\n")
    assert journal.commands() == []


def interrupted(journal: Any, *arguments: str) -> tuple[int, str]:
    """Type a command, and Ctrl-C as soon as it waits for the bot; returns exit code and stderr."""
    with subprocess.Popen(
        [SMABOT, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        while not journal.rows(Command):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_what_was_carried_out_before_ctrl_c_is_answered(
    journal: Any, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bot has taken the command already, and commits while the command line withdraws it."""

    def sleep(seconds: float) -> None:
        if not journal.rows(Command):
            return  # it waits for the lock
        (command,) = journal.commands()
        journal.commit([replace(command, applied_at=GIVEN, answer="resumed: by the bot")])
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("smabot.cli.command_delivery.time.sleep", sleep)
    result = call("resume")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[-1] == "resumed: by the bot"
