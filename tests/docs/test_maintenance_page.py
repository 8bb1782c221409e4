"""docs/maintenance.md: its commands are run as they are shown, on bots that are killed, moved and upgraded."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

pytestmark = [pytest.mark.plugins, pytest.mark.slow(seconds=15), pytest.mark.usefixtures("in_tmp")]
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "maintenance.md").read_text()
BIN = Path(sys.executable).parent
DEADLINE = 90
REPLAYED = """
[default]
broker = "exchange"
data = "simulated:symbols=2,sessions=1"
speed = "max"
"""
SERVED = '[default]\nurl = "{url}"\nplugins = ["sma", "risk"]\n'
OLD_KEY, NEW_KEY = ("PKOLDOLDOLD", "oldoldold"), ("PKNEWNEWNEW", "newnewnew")


def blocks(title: str) -> list[str]:
    """The blocks of commands in a section of the page."""
    section = re.split(r"^## ", PAGE.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.M)[0]
    found: list[str] = re.findall(r"```sh\n(.*?)```", section, re.S)
    assert found, title
    return found


def environment(**variables: str) -> dict[str, str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith(("APCA", "SMABOT"))}
    return {**own, "PATH": f"{BIN}:{own['PATH']}", "TMPDIR": str(Path.cwd()), **variables}


def run(commands: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run commands of the page in a folder; `/mnt/safe` is the folder ``safe`` beside it."""
    safe = folder.parent / "safe"
    safe.mkdir(exist_ok=True)
    commands = commands.replace("/mnt/safe", str(safe))
    commands = commands.replace("/srv/smabot/.venv/bin", str(BIN)).replace(
        "/srv/smabot", str(folder)
    )
    return subprocess.run(
        ["bash", "-ec", commands], cwd=folder, env=environment(**variables), text=True,
        capture_output=True, stdin=subprocess.DEVNULL, timeout=DEADLINE,
    )  # fmt: skip


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_folder(name: str, settings: str = REPLAYED) -> Path:
    folder = Path(name).resolve()
    folder.mkdir()
    (folder / "settings.toml").write_text(settings)
    return folder


def orders(db: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(db)) as opened:
        query = "SELECT client_order_id, status, filled_qty FROM order_intents ORDER BY 1"
        return opened.execute(query).fetchall()


def wait(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def bot(folder: Path, *flags: str, **variables: str) -> subprocess.Popen[str]:
    with (folder / "bot.out").open("w") as out:
        return subprocess.Popen(
            [BIN / "smabot", "run", *flags], cwd=folder, env=environment(**variables), text=True,
            stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip


def kill_amid_orders(folder: Path, at_least: int, *flags: str, **variables: str) -> None:
    running = bot(folder, *flags, **variables)
    wait(lambda: (folder / "bot.out").read_text().count(" order ") >= at_least)
    running.kill()
    running.wait()


@pytest.fixture
def never_killed(in_tmp: Path) -> list[tuple[Any, ...]]:
    """What a bot does that nothing happens to."""
    folder = make_folder("never")
    succeeded(run("smabot run", folder))
    return orders(folder / "data" / "trades.db")


# -- the built-in exchange -------------------------------------------------------------------------


def test_a_backup_is_restored(never_killed: list[tuple[Any, ...]]) -> None:
    folder = make_folder("bot")
    succeeded(run("smabot run --until 2026-03-02T16:00:00Z", folder))
    succeeded(run("smabot db backup /mnt/safe/trades.db", folder))
    kill_amid_orders(folder, 4, "--speed", "240")
    (restore,) = blocks("Restore a backup")
    found = run(restore, folder)
    assert "no conflicts" in succeeded(found)
    succeeded(run("smabot run", folder))
    assert orders(folder / "data" / "trades.db") == never_killed
    kept = sorted(path.name for path in (folder / "data").glob("*-replaced.*db"))
    assert [name.partition("Z-")[2] for name in kept] == ["replaced.db", "replaced.exchange.db"]


def test_a_backup_without_its_ledger_ends_with_a_conflict() -> None:
    folder = make_folder("bot")
    succeeded(run("smabot run --until 2026-03-02T16:00:00Z", folder))
    succeeded(run("smabot db backup /mnt/safe/trades.db", folder))
    succeeded(run("smabot run", folder))
    (folder.parent / "safe" / "trades.exchange.db").unlink()
    (restore,) = blocks("Restore a backup")
    found = run(restore, folder)
    assert found.returncode == 6
    assert "unknown_locally" in found.stdout
    assert found.stderr.startswith("smabot: the backup is restored, and the broker disagrees: ")
    assert found.stderr.count("\n") == 1


def test_a_bot_that_was_killed_is_moved_and_goes_on(never_killed: list[tuple[Any, ...]]) -> None:
    old = make_folder("old")
    kill_amid_orders(old, 6, "--speed", "240")
    leave, arrive = blocks("Move to another machine")
    succeeded(run(leave, old))
    assert not (old / "data").exists()
    succeeded(run(arrive, make_folder("new")))
    assert orders(Path("new/data/trades.db")) == never_killed


def test_the_script_tries_the_newest_backup_and_its_exit_code_says_so() -> None:
    folder = make_folder("bot")
    succeeded(run("smabot run --until 2026-03-02T16:00:00Z", folder))
    (script,) = blocks("Try your backups")
    assert script.startswith("#!/bin/sh\n")
    before = orders(folder / "data" / "trades.db")
    running = bot(folder, "--speed", "20")
    wait(lambda: "ready in" in (folder / "bot.out").read_text())
    out = succeeded(run(script, folder))
    running.terminate()
    assert running.wait(DEADLINE) == 0
    (place,) = re.findall(r"^in (.*)$", out, re.M)
    assert not Path(place).exists()
    assert before
    safe = folder.parent / "safe"
    (backup,) = safe.glob("trades-*Z.db")

    nothing_new = script.replace("smabot db backup /mnt/safe", "true")
    content = bytearray(backup.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 40_960] = os.urandom(40_960)
    backup.write_bytes(content)
    found = run(nothing_new, folder)
    assert found.returncode == 1
    assert "is not intact, and nothing was changed" in found.stderr
    backup.unlink()
    assert run(nothing_new, folder).returncode == 3


# -- an upgrade, and back ----------------------------------------------------------------------------


def test_an_upgrade_needs_the_backup_to_go_back() -> None:
    from smabot.errors import ConfigError
    from smabot_persistence_sqlite.connection import connect_reader
    from smabot_persistence_sqlite.schema_version import LINEAGE, Lineage, read_stamp

    def opens_as_older() -> None:
        """What the release of the fixture does first with a database."""
        with closing(connect_reader(db)) as connection:
            read_stamp(connection, db, Lineage(LINEAGE.location, ("0001", "0002")))

    fixture = ROOT / "tests" / "upgrade" / "fixture"
    folder = make_folder("bot", REPLAYED.replace("simulated:symbols=2,sessions=1", "market.csv"))
    shutil.copy(fixture / "market.csv", folder)
    (folder / "data").mkdir()
    for name in ("trades.db", "trades.exchange.db"):
        shutil.copy(fixture / name, folder / "data")
    db = folder / "data" / "trades.db"
    upgrade, back = blocks("Upgrade, and go back")
    without_pip = re.sub(r"^pip .*$", "true", upgrade, flags=re.M)
    assert without_pip.count("\ntrue\n") == 1
    succeeded(run(without_pip, folder))
    with pytest.raises(ConfigError, match="was made by a newer smabot"):
        opens_as_older()
    restore, start = back.splitlines()
    assert start == "smabot run"
    assert "is of an older smabot" in run(restore, folder).stderr
    opens_as_older()
    assert orders(db) == orders(fixture / "trades.db")
    succeeded(run(start, folder))


# -- at a server -------------------------------------------------------------------------------------


class Served:
    """`smabot exchange serve`, whose accepted keys may change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.url = "0", ""
        self.process: subprocess.Popen[str] | None = None

    def start(self, *keys: tuple[str, str]) -> None:
        self.kill()
        (self.folder / "keys").write_text("".join(f"{key} {secret}\n" for key, secret in keys))
        command = [
            str(BIN / "smabot"), "exchange", "serve", "--json", "--port", self.port, "--speed", "20",
            "--data", "simulated:symbols=5,sessions=4", "--ledger", "l.db", "--keys", "keys",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command, cwd=self.folder, env=environment(), text=True, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.url = json.loads(self.process.stdout.readline())["url"]
        self.port = self.url.rpartition(":")[2]

    def refuse_keys(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            names = {"APCA-API-KEY-ID": OLD_KEY[0], "APCA-API-SECRET-KEY": OLD_KEY[1]}
            session.post(
                f"{self.url}/_exchange/faults", json={"kind": "keys_refused"}, headers=names
            ).raise_for_status()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


@pytest.fixture
def served(in_tmp: Path) -> Iterator[Served]:
    (in_tmp / "exchange").mkdir()
    exchange = Served(in_tmp / "exchange")
    yield exchange
    exchange.kill()


def key(pair: tuple[str, str]) -> dict[str, str]:
    return {"APCA_API_KEY_ID": pair[0], "APCA_API_SECRET_KEY": pair[1]}


def test_a_key_ends_while_the_bot_runs_and_a_new_one_goes_on(served: Served) -> None:
    served.start(OLD_KEY, NEW_KEY)
    folder = make_folder("bot", SERVED.format(url=served.url))
    check_and_start, look = blocks("Change the key")
    check, start = check_and_start.splitlines()
    assert start == "smabot run"
    running = bot(folder, **key(OLD_KEY))
    wait(lambda: (folder / "bot.out").read_text().count(" order ") >= 2)

    served.refuse_keys()
    assert running.wait(DEADLINE) == 4
    served.start(NEW_KEY)  # which the old key does not survive
    out = (folder / "bot.out").read_text()
    assert "the broker has refused the key for 5 minutes" in out
    seen = succeeded(run(look, folder, **key(OLD_KEY)))
    assert "key_refused" in seen
    assert "key_accepted" not in seen
    before = orders(folder / "data" / "trades.db")
    again = run(start, folder, **key(OLD_KEY))
    assert again.returncode == 4
    assert "did not accept the key of APCA_API_KEY_ID" in again.stderr
    assert run(check, folder, **key(OLD_KEY)).returncode == 4
    assert orders(folder / "data" / "trades.db") == before

    succeeded(run(check, folder, **key(NEW_KEY)))
    running = bot(folder, **key(NEW_KEY))
    wait(lambda: (folder / "bot.out").read_text().count(" order ") >= 2)
    running.send_signal(signal.SIGTERM)
    assert running.wait(DEADLINE) == 0
    after = orders(folder / "data" / "trades.db")
    assert {name for name, *_ in before} < {name for name, *_ in after}
    secrets = (OLD_KEY[1], NEW_KEY[1])
    everything = (folder / "bot.out").read_text() + out + seen
    assert not [secret for secret in secrets if secret in everything]


def test_a_key_of_another_account_is_a_conflict(served: Served) -> None:
    served.start(OLD_KEY)
    folder = make_folder("bot", SERVED.format(url=served.url))
    succeeded(run("smabot run --until 2026-03-02T14:40:00Z", folder, **key(OLD_KEY)))
    served.kill()
    for file in served.folder.glob("l.db*"):
        file.unlink()
    served.start(OLD_KEY)  # an account of its own, as every ledger is
    found = run("smabot run", folder, **key(OLD_KEY))
    assert found.returncode == 6
    assert "account_mismatch" in found.stdout


def test_the_old_copy_started_by_mistake_is_stopped_by_a_conflict(served: Served) -> None:
    served.start(OLD_KEY)
    old, new = (make_folder(name, SERVED.format(url=served.url)) for name in ("old", "new"))
    kill_amid_orders(old, 2, **key(OLD_KEY))
    leave, arrive = blocks("Move to another machine")
    succeeded(run(leave, old))
    *before, start = arrive.splitlines()
    assert start == "smabot run"
    succeeded(run("\n".join(before), new, **key(OLD_KEY)))
    moved = bot(new, **key(OLD_KEY))
    wait(lambda: len(re.findall(" (bought|sold) ", (new / "bot.out").read_text())) >= 4)
    left = orders(old / "data.moved" / "trades.db")
    mistake = bot(old, "--db", "data.moved/trades.db", **key(OLD_KEY))
    assert mistake.wait(DEADLINE) == 6
    assert "unknown_locally" in (old / "bot.out").read_text()
    assert orders(old / "data.moved" / "trades.db") == left
    assert moved.poll() is None
    traded = (new / "bot.out").read_text().count(" order ")
    wait(lambda: (new / "bot.out").read_text().count(" order ") > traded)
    moved.terminate()
    assert moved.wait(DEADLINE) == 0
