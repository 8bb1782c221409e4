"""`halt` and `resume`, with a bot running and without one."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smabot.records import Block, Command

Call = Callable[..., Any]


def test_without_a_bot_the_command_is_carried_out_here(database: Path, call: Call) -> None:
    assert call("halt", "lunch", "break").out.splitlines()[-1].startswith("halted")
    assert call("status", "--json").json["halted"] == "lunch break"
    assert "YES: lunch break" in call("status").out
    assert call("resume", "--json").json["answer"].startswith("resumed")
    assert call("status", "--json").json["halted"] is None


def test_a_bot_that_does_not_answer(
    journal: Any, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smabot.cli.app.ANSWER_SECONDS", 0.1)
    result = call("halt", "now")
    assert result.code == 1
    assert result.err.startswith("smabot: 'halt' waits for the running bot")
    assert [(c.verb, c.argument) for c in journal.commands()] == [("halt", "now")]


@pytest.mark.plugins
def test_a_running_bot_carries_the_command_out(
    in_tmp: Path, call: Call, tape_writer: Callable[..., Path]
) -> None:
    tape = tape_writer(in_tmp / "tape.csv", {"SPY": [100.0 + n % 7 for n in range(300)]})
    smabot = Path(sys.executable).with_name("smabot")
    bot = subprocess.Popen(
        [smabot, "run", "--tape", tape, "--speed", "10"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert bot.stdout is not None
        assert any(line.startswith("ready in") for line in bot.stdout)
        status = call("status", "--json").json
        assert (status["running"], status["pid"]) == (True, bot.pid)
        assert f"running, pid {bot.pid}, since" in call("status").out
        assert call("halt", "by", "test").out.splitlines()[-1].startswith("halted")
        assert call("status", "--json").json["halted"] == "by test"
        assert call("resume").code == 0
    finally:
        bot.send_signal(signal.SIGTERM)
        for _ in bot.stdout or ():
            pass
        bot.wait(60)
        if bot.stdout is not None:
            bot.stdout.close()
    assert "was stopped at" in call("status").out


def test_the_journal_keeps_the_command_and_its_answer(database: Path, call: Call) -> None:
    from smabot.cli.app import App

    call("halt")
    with App().rows() as rows:
        (command,) = rows.rows(Command)
        assert command.applied_at is not None
        assert command.answer.startswith("halted")
        assert rows.row(Block, "core", "entries").reason == "by hand"
