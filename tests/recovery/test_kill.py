"""kill -9, and everything is as if nothing had happened.

Real processes, real SIGKILL, real files. What counts is the database: every table but ``runs``,
which tells of the processes themselves.
"""

from __future__ import annotations

import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

Dump = dict[str, list[tuple[Any, ...]]]
SMABOT = str(Path(sys.executable).with_name("smabot"))
AT_ONCE = 6
"""Children at a time: a commit is mostly waiting for the disk."""
WAVES = {
    symbol: [
        round(price + 3 * math.sin(minute / 2.7 + shift) + 0.01 * minute, 2) for minute in range(30)
    ]
    for shift, (symbol, price) in enumerate({"SPY": 500.0, "IBM": 90.0, "KO": 60.0}.items())
}


class Child:
    """The bot in a forked process, killed before (or after) its n-th commit to any file."""

    def __init__(
        self, config: dict[str, Any], kill_at: int | None = None, late: bool = False
    ) -> None:
        reading, writing = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(reading)
            code = 1
            try:
                commits = _count_commits(kill_at, late)
                _play(config)
                os.write(writing, str(commits[0]).encode())
                code = 0
            finally:
                os._exit(code)
        os.close(writing)
        self._answer = os.fdopen(reading)

    def wait(self) -> int:
        """Return how many commits it made, or -1 when it was killed."""
        with self._answer:
            answer = self._answer.read()
        _, status = os.waitpid(self._pid, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            return -1
        assert os.WEXITSTATUS(status) == 0
        return int(answer)


def _count_commits(kill_at: int | None, late: bool) -> list[int]:
    """Count every commit of this process, by whatever way it is made, and die at one of them."""
    commits = [0]

    def counted(make: Callable[[], Any]) -> Any:
        commits[0] += 1
        if commits[0] == kill_at and not late:
            os.kill(os.getpid(), signal.SIGKILL)
        made = make()
        if commits[0] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            def make() -> sqlite3.Cursor:
                return super(Cursor, self).execute(sql, *args)

            alone = not self.connection.in_transaction and sql.upper().startswith(
                ("INSERT", "UPDATE", "DELETE")
            )
            return counted(make) if alone or sql.upper().startswith("COMMIT") else make()

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = None) -> Any:
            return super().cursor(factory or Cursor)

        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            return self.cursor().execute(sql, *args)

        def commit(self) -> None:
            if self.in_transaction:
                counted(super().commit)

    connect = sqlite3.connect

    def killing(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        return connect(*args, **{**kwargs, "factory": Connection})

    sqlite3.connect = killing  # type: ignore[assignment]
    sqlite3.dbapi2.connect = killing  # type: ignore[assignment]
    return commits


def without_account_id(tables: Dump) -> Dump:
    """Each exchange ledger is an account of its own, with an id of its own."""
    return {**tables, "account": [row[1:] for row in tables["account"]]}


def _play(config: dict[str, Any]) -> None:
    from smabot.config import Config
    from smabot.plugins import Plugins
    from smabot.recovery import open_session, recover

    settings = Config(**config)
    session = open_session(settings, Plugins.load(settings))
    try:
        assert recover(session).run() == "ended"
    finally:
        session.close()


def make_config(folder: Path, tape: Path) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    return {
        "db": folder / "trades.db",
        "tape": str(tape),
        "speed": "max",
        "plugins": ("sma", "risk"),
        "plugin": {"sma": {"fast": 2, "slow": 5}, "risk": {"daily_limits": {"max_trades": 5}}},
    }


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_killed_at_every_commit(
    late: bool, tmp_path: Path, tape_writer: Callable[..., Path], dumper: Callable[..., Dump]
) -> None:
    """The bot's commits and the exchange's, each once the last thing a process did or failed to do."""
    near_close = datetime(2026, 3, 2, 20, 30, tzinfo=UTC)
    tape = tape_writer(tmp_path / "tape.csv", WAVES, volume=10, start=near_close)
    _play(make_config(tmp_path / "here", tape))  # imports and calendar: once, not in every child
    whole = make_config(tmp_path / "whole", tape)
    commits = Child(whole).wait()
    expected = without_account_id(dumper(whole["db"]))
    assert len(expected["trades"]) > 10
    assert {row[12] for row in expected["order_intents"]} >= {
        "filled",
        "blocked",
        "canceled",
        "expired",
    }
    assert commits > 75
    configs = {n: make_config(tmp_path / f"killed-{n}", tape) for n in range(1, commits + 1)}
    for first in range(1, commits + 1, AT_ONCE):
        several = range(first, min(first + AT_ONCE, commits + 1))
        killed = [Child(configs[n], n, late) for n in several]
        assert [child.wait() for child in killed] == [-1] * len(several)
        for again in [Child(configs[n]) for n in several]:
            again.wait()
        for n in several:
            tables = without_account_id(dumper(configs[n]["db"]))
            assert tables == expected, f"killed at commit {n} of {commits}"


@pytest.mark.slow
def test_killed_25_times(tmp_path: Path, dumper: Callable[..., Dump]) -> None:
    """The real command, killed at 25 seeded moments of its life, start-up included."""
    command = [SMABOT, "run", "--plugins", "sma,risk", "--speed", "120"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SMABOT")}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    fast = [*command[:-1], "max"]
    subprocess.run(fast, cwd=whole, env=environment, check=True, stdout=subprocess.DEVNULL)
    moments = random.Random(20260302)
    kills = 0
    for _ in range(25):
        with subprocess.Popen(
            command, cwd=killed, env=environment, stdout=subprocess.DEVNULL
        ) as process:
            time.sleep(moments.uniform(0.1, 1.5))
            process.kill()
            kills += process.wait() == -signal.SIGKILL
    assert kills == 25
    subprocess.run(fast, cwd=killed, env=environment, check=True, stdout=subprocess.DEVNULL)
    expected = without_account_id(dumper(whole / "data/trades.db"))
    assert len(expected["trades"]) > 20
    assert without_account_id(dumper(killed / "data/trades.db")) == expected
