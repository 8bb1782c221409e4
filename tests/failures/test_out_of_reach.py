"""What an operator must not be misled about: an exchange that is gone, commands that nobody carries out."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any


def test_a_ledger_that_is_gone_ends_the_run_over_the_wire_too(world: Any) -> None:
    running = world.start("run", "--broker", "alpaca", "--speed", "20")
    world.wait_ready(running)
    world.ledger.unlink()
    out, err = running.communicate(timeout=60)
    assert running.returncode == 4, err
    assert "the exchange has stopped: ledger" in err.splitlines()[-1], out + err


def test_a_reset_that_no_plugin_of_the_run_knows_has_failed(world: Any) -> None:
    running = world.start("run", "--plugins", "sma", "--speed", "5")
    world.wait_ready(running)
    try:
        answer = world.run("breaker", "reset")
        assert answer.code == 1
        assert answer.line.startswith(
            "no plugin in this run handles 'breaker reset', so nothing was"
        )
        shown = world.run("status")
        assert "breaker   NOT PART OF THE LAST RUN; armed" in shown.out
    finally:
        running.kill()
        running.communicate()


def test_status_shows_a_command_that_waits(world: Any) -> None:
    world.half_way()
    with closing(sqlite3.connect(world.db)) as database, database:
        database.execute(
            "INSERT INTO commands (id, verb, argument, created_at, applied_at, answer, expires_at) "
            "VALUES ('1', 'halt', 'oops', '2026-03-02T15:00:00Z', NULL, '', NULL)"
        )
    line = "waiting   halt oops, of 2026-03-02 10:00 ET: no bot has carried it out yet"
    assert line in world.run("status").out
    (waiting,) = json.loads(world.run("status", "--json").out)["waiting"]
    assert waiting["verb"] == "halt"
