"""Databases, ledgers and disks that can't be worked with, and the way back from each."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
FAILURE, CONFIG, BROKER, CONFLICT, LOCKED = 1, 3, 4, 6, 7


def edit(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def damage(file: Path) -> None:
    """Overwrite the middle of a file, its write-ahead log folded in before."""
    edit(file, "PRAGMA wal_checkpoint(TRUNCATE)")
    with file.open("r+b") as stream:
        stream.seek(2048)
        stream.write(b"\xa5" * (file.stat().st_size - 4096))


def test_a_database_of_a_newer_schema(world: Any) -> None:
    world.half_way()
    edit(world.db, "UPDATE alembic_version SET version_num = '0999'")
    before = world.db.read_bytes()
    refused = world.run("run")
    assert refused.code == CONFIG
    assert refused.line.startswith(
        "data/trades.db was made by a newer smabot (schema 0999): upgrade"
    )
    assert world.db.read_bytes() == before


def test_a_ledger_of_a_newer_schema(world: Any) -> None:
    world.half_way()
    edit(world.ledger, "PRAGMA user_version = 999")
    refused = world.run("run")
    assert refused.code == CONFIG
    assert "was written by a newer smabot-exchange (schema 999" in refused.line


def test_a_database_of_another_account(world: Any) -> None:
    world.half_way()
    before = world.tables()
    assert world.run("run", "--db", "b.db", "--ledger", "other.db").code == 0
    refused = world.run("run", "--ledger", "other.db")
    assert refused.code == CONFLICT
    assert refused.line.startswith("1 conflict with the broker (account_mismatch): nothing was")
    assert "disagrees with the broker" in refused.out
    assert " agrees with the broker" not in refused.out
    assert "this database belongs to another account" in refused.out
    assert world.tables() == before


def test_another_tape_for_the_same_ledger(world: Any) -> None:
    world.half_way()
    refused = world.run("run", "--data", "simulated")
    assert refused.code == CONFIG
    assert "was created with other data (data tape.csv) than " in refused.line


def test_a_damaged_database(world: Any, undisturbed: Any) -> None:
    world.half_way()
    assert world.run("db", "backup", "copy.db").code == 0
    damage(world.db)
    damaged = world.db.read_bytes()
    for verb in ("run", "status"):
        refused = world.run(verb)
        assert refused.code == FAILURE
        assert "data/trades.db" in refused.line
        assert "smabot db backup" in refused.line
    assert world.db.read_bytes() == damaged
    shutil.copy(world.folder / "copy.db", world.db)
    for log in world.db.parent.glob("trades.db-*"):
        log.unlink()
    assert world.run("run").code == 0
    assert world.tables() == undisturbed


def test_a_damaged_ledger(world: Any) -> None:
    world.half_way()
    damage(world.ledger)
    before = world.tables()
    refused = world.run("run")
    assert refused.code == CONFIG
    assert re.match(r"ledger data/trades\.exchange\.db: is damaged .*restore it", refused.line)
    assert world.tables() == before


def test_a_database_without_its_ledger(world: Any) -> None:
    world.half_way()
    moved = world.ledger.rename(world.ledger.with_name("moved.db"))
    for broker in ("exchange", "alpaca"):
        refused = world.run("run", "--broker", broker)
        assert refused.code == CONFIG
        assert refused.line.startswith(
            "ledger data/trades.exchange.db: is not there, but the database data/trades.db was "
            "made with one: put the ledger back, name it with --ledger, or start over with another --db"
        )
        assert not world.ledger.exists(), "a new ledger would be in the way"
    assert world.run("run", "--ledger", str(moved)).code == 0


@pytest.mark.parametrize("option", ["--db", "--ledger"])
def test_a_file_that_is_no_database_gets_no_lock_beside_it(world: Any, option: str) -> None:
    mine = world.folder / "notes.txt"
    mine.write_text("my notes, longer than a header\n")
    refused = world.run("run", option, str(mine))
    assert refused.code == CONFIG
    assert f"{mine}: it is not a database" in refused.line
    assert mine.read_text() == "my notes, longer than a header\n"
    assert [each.name for each in world.folder.glob("notes*")] == ["notes.txt"]


def test_a_second_bot_on_the_same_database(world: Any, undisturbed: Any) -> None:
    with world.start("run", "--speed", "10") as running:
        world.wait_ready(running)
        refused = world.run("run")
        assert refused.code == LOCKED
        assert refused.line.startswith(
            f"database data/trades.db is in use by a running smabot (pid {running.pid})"
        )
        refused = world.run("run", "--db", "other.db", "--ledger", "data/trades.exchange.db")
        assert (refused.code, f"pid {running.pid}" in refused.line) == (LOCKED, True)
        running.terminate()
        assert running.wait(timeout=60) == 0
    assert world.run("run").code == 0
    assert world.tables() == undisturbed


# -- rights ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("locked", "code", "line"),
    [
        (["data/trades.db"], CONFIG, "database data/trades.db can't be written: check the file's"),
        (["data/trades.exchange.db"], CONFIG, "ledger data/trades.exchange.db: is read-only"),
        (["data"], CONFIG, "database data/trades.db: its folder can't be written"),
    ],
)
def test_what_may_only_be_read(
    world: Any, locked: list[str], code: int, line: str, undisturbed: Any, unprivileged: Any
) -> None:
    world.half_way()
    for lock in [path for path in world.db.parent.glob("*.lock") if locked == ["data"]]:
        lock.unlink()
    modes = {world.folder / name: (world.folder / name).stat().st_mode for name in locked}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    with unprivileged():
        refused = world.run("run")
    assert (refused.code, refused.line[: len(line)]) == (code, line)
    for path, mode in modes.items():
        path.chmod(mode)
    assert world.run("run").code == 0
    assert world.tables() == undisturbed


# -- full disks ------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a small file system, where that is permitted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system can't be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path, left: int) -> Path:
    """Fill a disk up but for some bytes."""
    filler = folder / "filler"
    room = shutil.disk_usage(folder).free - left
    filler.write_bytes(b"\0" * max(room, 0))
    return filler


@pytest.mark.parametrize("left", [0, 40_000, 90_000])
@pytest.mark.parametrize("flag", ["--db", "--ledger"])
def test_a_disk_that_fills_up_in_the_middle_of_a_run(
    world: Any, flag: str, left: int, undisturbed: Any
) -> None:
    disk = world.folder / "disk"
    run = ["run", flag, "disk/x.db"]
    if flag == "--db":
        run += ["--ledger", "x.exchange.db"]
        world.db = disk / "x.db"
    with small_disk(disk):
        assert world.run(*run, "--until", "2026-03-02T14:38:00Z").code == 0
        filler = fill(disk, left)
        stopped = world.run(*run)
        assert stopped.code in (FAILURE, CONFIG, BROKER)
        assert re.search("disk is full|No space left", stopped.line)
        filler.unlink()
        assert world.run(*run).code == 0
        assert world.tables() == undisturbed


def is_stopped_in_a_write(pid: int, db: Path) -> bool:
    """Stop a bot as if it hung, and tell whether that caught it in the middle of a write."""
    os.kill(pid, signal.SIGSTOP)
    with closing(sqlite3.connect(db, isolation_level=None, timeout=0.1)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
    return False


def stop_between_writes(pid: int, db: Path) -> None:
    while is_stopped_in_a_write(pid, db):
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.01)


FULL = "disk is full|No space left on device"


def test_commands_on_a_full_disk(world: Any) -> None:
    """What only reads works; what has to write names the cause."""
    disk = world.folder / "disk"
    with small_disk(disk):
        assert world.run("run", "--db", "disk/x.db", "--until", "2026-03-02T14:50:00Z").code == 0
        filler = fill(disk, 0)
        for verb in ("status", "orders", "trades"):
            assert world.run(verb, "--db", "disk/x.db").code == 0
        assert world.run("db", "check", "--db", "disk/x.db").code == 0
        assert world.run("db", "backup", "copy.db", "--db", "disk/x.db").code == 0
        for command in (["halt"], ["resume"], ["flatten", "--yes"], ["db", "backup"], ["run"]):
            refused = world.run(*command, "--db", "disk/x.db")
            assert refused.code in (FAILURE, CONFIG)
            assert re.search(FULL, refused.line)
            assert "disk/x" in refused.line
        found = world.run("doctor", "--db", "disk/x.db").out
        assert re.search("FAILURE  ledger .* the disk is full: free some space", found)
        assert "restore" not in found
        filler.unlink()
        assert world.run("halt", "--db", "disk/x.db").code == 0


def test_a_halt_for_a_bot_on_a_full_disk(world: Any) -> None:
    disk = world.folder / "disk"
    with small_disk(disk):
        with world.start("run", "--db", "disk/x.db", "--ledger", "l.db", "--speed", "1") as running:
            world.wait_ready(running)
            stop_between_writes(running.pid, disk / "x.db")
            fill(disk, 0)
            refused = world.run("halt", "--db", "disk/x.db")
            assert (refused.code, "the disk is full: free some" in refused.line) == (FAILURE, True)
            assert world.run("status", "--db", "disk/x.db").code == 0
            running.kill()
        assert "will carry" not in refused.line


def test_a_halt_for_a_bot_that_hangs_in_a_write(world: Any) -> None:
    """The command can't be left where the bot would find it: the line names who is in the way."""
    with world.start("run", "--data", "simulated", "--speed", "600") as running:
        world.wait_ready(running)
        while not is_stopped_in_a_write(running.pid, world.db):
            os.kill(running.pid, signal.SIGCONT)
            time.sleep(0.003)
        refused = world.run("halt")
        running.kill()
    assert refused.code == FAILURE
    assert (
        f"the bot (pid {running.pid}) is writing to it and does not come to an end" in refused.line
    )
    assert world.run("halt").code == 0


def test_a_full_disk_for_a_backup_is_the_targets(world: Any) -> None:
    world.half_way()
    disk = world.folder / "disk"
    with small_disk(disk):
        fill(disk, 20_000)
        refused = world.run("db", "backup", "disk/copy.db")
        assert refused.code == CONFIG
        assert refused.line.endswith("disk/copy.db can't be written: No space left on device")
        assert [path.name for path in disk.iterdir()] == ["filler"]


def test_files_that_may_not_grow_for_commands(world: Any) -> None:
    """A limit is no damage: the line says what may be the cause, and nothing is restored for it."""
    world.half_way()

    def before() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    for command in (["status"], ["halt"], ["db", "check"], ["db", "backup", "copy.db"]):
        refused = world.run(*command, before=before)
        assert refused.code == FAILURE
        assert "the disk failed, or a quota or limit is reached" in refused.line
        assert "damaged" not in refused.line
    assert world.run("status").code == 0


@pytest.mark.parametrize("limit", [110_000, 200_000, 300_000])
def test_files_that_may_not_grow_in_the_middle_of_a_run(
    world: Any, limit: int, undisturbed: Any
) -> None:
    world.half_way()
    biggest = max(world.db.stat().st_size, world.ledger.stat().st_size)
    limit = max(limit, biggest + 4096)

    def before() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    stopped = world.run("run", before=before)
    assert stopped.code in (FAILURE, BROKER)
    assert stopped.line
    assert world.run("run").code == 0
    assert world.tables() == undisturbed
