"""The database or the ledger of a running bot is removed, moved, replaced, cut or written over."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.slow
FAILURE, BROKER, LOCKED = 1, 4, 7
SMABOT = str(Path(sys.executable).with_name("smabot"))
SETTINGS = """
[default]
broker = "exchange"
data = "tape.csv"
[default.plugin.sma]
fast = 2
slow = 3
"""
"""A bot that sends an order every other minute."""


class Place(NamedTuple):
    """A bot's folder. ``db`` is the database that something happens to, ``copy`` another one."""

    folder: Path
    name: str = "trades.db"

    @property
    def db(self) -> Path:
        return self.folder / "data" / self.name

    @property
    def copy(self) -> Path:
        return self.folder / "copy.db"

    @property
    def ledger(self) -> Path:
        return self.folder / "data/trades.exchange.db"

    def smabot(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SMABOT, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=60
        )


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory, tape_writer: Callable[..., Path]) -> Place:
    """A place where a bot traded for a while and was stopped, to be copied."""
    folder = tmp_path_factory.mktemp("traded")
    closes = [100.0 + 5 * (minute % 4 in (0, 1)) for minute in range(390)]
    tape_writer(folder / "tape.csv", {"SPY": closes})
    (folder / "settings.toml").write_text(SETTINGS)
    place = Place(folder)
    until = "2026-03-02T14:50:00Z"
    assert place.smabot("run", "--until", until, "--speed", "max").returncode == 0
    assert place.smabot("db", "backup", "copy.db").returncode == 0
    return place


@pytest.fixture
def place(traded: Place, tmp_path: Path) -> Place:
    folder = shutil.copytree(traded.folder, tmp_path / "here")
    return Place(folder)


@contextmanager
def running(place: Place, speed: int = 40) -> Iterator[subprocess.Popen[str]]:
    """A bot that goes on from there and has sent an order, not with the whole log folded in."""
    with subprocess.Popen(
        [SMABOT, "run", "--speed", f"{speed}"], cwd=place.folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as bot:  # fmt: skip
        try:
            assert bot.stdout is not None
            assert any(line.startswith("ready in") for line in bot.stdout)
            before = len(ids(place.ledger))
            until = time.monotonic() + 20
            while len(ids(place.ledger)) == before:
                assert bot.poll() is None, bot.communicate()[1]
                assert time.monotonic() < until
                time.sleep(0.02)
            yield bot
        finally:
            bot.kill()


def ids(file: Path, table: str = "orders") -> set[str]:
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as db:
        return {name for (name,) in db.execute(f"SELECT client_order_id FROM {table}")}


def log_of(file: Path) -> Path:
    return file.with_name(file.name + "-wal")


def replace(file: Path, content: bytes) -> None:
    """Put another file in a file's place."""
    other = file.with_name("other")
    other.write_bytes(content)
    other.replace(file)


def overwrite(file: Path, content: bytes) -> None:
    """Write over a file, which stays the same one."""
    with file.open("r+b") as stream:
        stream.write(content)
        stream.truncate()


def moved(place: Place) -> None:
    place.db.parent.rename(place.folder / "elsewhere")


def moved_and_made_anew(place: Place) -> None:
    moved(place)
    shutil.copytree(place.folder / "elsewhere", place.db.parent)


WAYS: dict[str, Callable[[Place], object]] = {
    "database removed": lambda p: p.db.unlink(),
    "database moved": lambda p: p.db.rename(p.folder / "moved.db"),
    "database replaced": lambda p: replace(p.db, p.copy.read_bytes()),
    "database replaced by itself": lambda p: replace(p.db, p.db.read_bytes()),
    "database cut to nothing": lambda p: os.truncate(p.db, 0),
    "database cut": lambda p: os.truncate(p.db, p.db.stat().st_size - 4096),
    "database written over by a backup": lambda p: overwrite(p.db, p.copy.read_bytes()),
    "database written over by itself": lambda p: overwrite(p.db, p.db.read_bytes()),
    "database written over in the middle": lambda p: os.pwrite(
        os.open(p.db, os.O_WRONLY), b"\xa5" * 4096, 8192
    ),
    "log removed": lambda p: log_of(p.db).unlink(),
    "log replaced": lambda p: replace(log_of(p.db), log_of(p.db).read_bytes()),
    "log cut to nothing": lambda p: os.truncate(log_of(p.db), 0),
    "log cut": lambda p: os.truncate(log_of(p.db), log_of(p.db).stat().st_size - 100),
    "log written over": lambda p: overwrite(log_of(p.db), bytes(log_of(p.db).stat().st_size)),
    "index removed": lambda p: p.db.with_name(f"{p.db.name}-shm").unlink(),
    "folder moved": moved,
    "folder moved and made anew": moved_and_made_anew,
    "folder removed": lambda p: shutil.rmtree(p.db.parent),
}


def freeze(bot: subprocess.Popen[str]) -> None:
    bot.send_signal(signal.SIGSTOP)
    os.waitpid(bot.pid, os.WUNTRACED)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_leaves_that_is_not_recorded(place: Place, way: str) -> None:
    kept = place.folder / "kept.db"
    with running(place) as bot:
        freeze(bot)
        os.link(place.ledger, kept)
        os.link(log_of(place.ledger), log_of(kept))
        recorded = ids(place.db, "order_intents")
        WAYS[way](place)
        bot.send_signal(signal.SIGCONT)
        _, err = bot.communicate(timeout=60)
    (line,) = err.splitlines()
    assert bot.returncode in ((FAILURE, BROKER) if "folder" in way else (FAILURE,))
    assert "database data/trades.db" in line or "ledger data/trades.exchange.db" in line
    assert "nothing is sent any more" in line or "nothing is written any more" in line
    assert ids(kept) <= recorded


@pytest.mark.parametrize(
    "way", ["database removed", "database replaced", "log removed", "index removed"]
)
def test_the_exchange_writes_to_no_ledger_that_was_taken_away(place: Place, way: str) -> None:
    with running(place) as bot:
        freeze(bot)
        WAYS[way](place._replace(name=place.ledger.name))
        bot.send_signal(signal.SIGCONT)
        _, err = bot.communicate(timeout=60)
    assert bot.returncode == BROKER
    assert "ledger data/trades.exchange.db" in err.splitlines()[-1]
    assert "nothing is written any more" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("way", "line"),
    [
        ("database removed", "no database at data/trades.db, though a bot (pid {pid}) runs on it"),
        (
            "database replaced",
            "database data/trades.db is not the one that the running bot (pid {pid})",
        ),
        ("log replaced", "database data/trades.db is not the one that the running bot (pid {pid})"),
        (
            "index removed",
            "database data/trades.db is not the one that the running bot (pid {pid})",
        ),
    ],
)
def test_commands_say_that_nothing_reaches_the_bot(place: Place, way: str, line: str) -> None:
    with running(place) as bot:
        freeze(bot)
        WAYS[way](place)
        for command in (["halt"], ["flatten", "--yes"], ["status"]):
            told = place.smabot(*command)
            assert told.returncode == FAILURE
            assert told.stderr.startswith(f"smabot: {line.format(pid=bot.pid)}")
            assert "will carry" not in told.stderr
        second = place.smabot("run")
        assert second.returncode == LOCKED
        assert f"in use by a running smabot (pid {bot.pid})" in second.stderr


def test_a_removed_lock_lets_nobody_in(place: Place) -> None:
    with running(place, speed=3) as bot:
        for lock in place.db.parent.glob("*.lock"):
            lock.unlink()
        for _ in range(2):
            for more in (
                [],
                ["--ledger", "other.db"],
                ["--db", "other.db", "--ledger", "data/trades.exchange.db"],
            ):
                second = place.smabot("run", *more)
                assert second.returncode == LOCKED
                assert f"in use by a running smabot (pid {bot.pid}): stop it" in second.stderr
        assert place.smabot("db", "prune", "--keep-days", "1").returncode == LOCKED
        assert f"running, pid {bot.pid}" in place.smabot("status").stdout
        assert place.smabot("halt").stdout.splitlines()[-1].startswith("halted")
        bot.send_signal(signal.SIGTERM)
        assert bot.wait(timeout=60) == 0
    assert "halted    YES" in place.smabot("status").stdout
