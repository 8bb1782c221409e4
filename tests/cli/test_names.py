"""A name that is there and leads to nothing that can be read is a mistake, wherever it is given."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smabot.errors import ConfigError
from smabot.settings.loading import load
from smabot.system.paths import file_exists

pytestmark = pytest.mark.plugins

Call = Callable[..., Any]
CONFIG = 3


def dangling(name: Path) -> None:
    name.symlink_to("nowhere")


def circle(name: Path) -> None:
    name.symlink_to(name.name)


def pipe(name: Path) -> None:
    os.mkfifo(name)


WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "dangling": (dangling, "is a link to nowhere, which is not there: fix or remove the link"),
    "circle": (circle, "is a link that can't be followed (Too many levels of symbolic links)"),
    "folder": (Path.mkdir, "is a folder: give a file"),
    "pipe": (pipe, "is no regular file: give another one"),
}
ways = pytest.mark.parametrize("way", WRONG)


@ways
@pytest.mark.parametrize("name", ["settings.toml", ".secrets.toml"])
def test_settings_that_cannot_be_read_are_not_absent(in_tmp: Path, name: str, way: str) -> None:
    make, words = WRONG[way]
    make(in_tmp / name)
    with pytest.raises(ConfigError) as caught:
        load()
    assert str(caught.value).startswith(f"{name} {words}")


@ways
def test_named_settings(in_tmp: Path, way: str) -> None:
    make, words = WRONG[way]
    make(in_tmp / "own.toml")
    with pytest.raises(ConfigError) as caught:
        load(Path("own.toml"))
    assert str(caught.value).startswith(f"--settings own.toml {words}")


def test_settings_in_a_folder_that_may_not_be_searched(in_tmp: Path, unprivileged: Any) -> None:
    (in_tmp / "etc").mkdir()
    (in_tmp / "etc" / "settings.toml").touch()
    (in_tmp / "etc").chmod(0o600)
    with unprivileged(), pytest.raises(ConfigError, match="toml can't be read: Permission denied"):
        load(Path("etc/settings.toml"))
    (in_tmp / "etc").chmod(0o700)


def test_a_link_to_settings_is_as_good(in_tmp: Path) -> None:
    (in_tmp / "real.toml").write_text("[default]\nspeed = 7\n")
    (in_tmp / "settings.toml").symlink_to("real.toml")
    assert load().config.speed == 7


@ways
@pytest.mark.parametrize(
    "command", [["run"], ["status"], ["halt"], ["db", "backup"], ["db", "check"]]
)
def test_a_database(in_tmp: Path, call: Call, command: list[str], way: str) -> None:
    make, words = WRONG[way]
    make(in_tmp / "own.db")
    told = call(*command, "--db", "own.db")
    assert told.code == CONFIG
    assert told.err.startswith(f"smabot: database own.db {words}")
    assert told.err.count("\n") == 1
    assert sorted(path.name for path in in_tmp.iterdir()) == ["own.db"]


@ways
@pytest.mark.parametrize("broker", ["exchange", "alpaca"])
def test_a_ledger(in_tmp: Path, call: Call, broker: str, way: str) -> None:
    make, words = WRONG[way]
    make(in_tmp / "own.db")
    told = call("run", "--broker", broker, "--ledger", "own.db")
    assert told.code == CONFIG
    assert told.err.startswith(f"smabot: ledger own.db {words}")
    assert not (in_tmp / "nowhere").exists()


@ways
def test_a_tape(in_tmp: Path, call: Call, way: str) -> None:
    make, words = WRONG[way]
    make(in_tmp / "own.csv")
    told = call("run", "--broker", "exchange", "--data", "own.csv")
    assert told.code == CONFIG
    if way != "folder":
        assert told.err.startswith(f"smabot: data own.csv {words}")


@ways
def test_a_file_in_a_folder_of_tapes(
    in_tmp: Path, call: Call, tape_writer: Callable[..., Path], way: str
) -> None:
    make, words = WRONG[way]
    (in_tmp / "tapes").mkdir()
    tape_writer(in_tmp / "tapes" / "IBM.csv", {"IBM": [100.0] * 5})
    make(in_tmp / "tapes" / "SPY.csv")
    told = call("run", "--broker", "exchange", "--data", "tapes")
    assert told.code == CONFIG
    assert told.err.startswith(f"smabot: data tapes/SPY.csv {words}")


@ways
def test_a_log(in_tmp: Path, call: Call, way: str) -> None:
    make, words = WRONG[way]
    make(in_tmp / "own.log")
    (in_tmp / "settings.toml").write_text('[default.log]\nfile = "own.log"\n')
    told = call("run")
    assert told.code == CONFIG
    assert told.err.startswith(f"smabot: log.file own.log {words}")
    assert not (in_tmp / "data").exists()


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("data/trades.db", "the file that --db names"),
        ("data/trades.db-wal", "a part of what --db names"),
        ("data/trades.db-shm", "a part of what --db names"),
        ("data/trades.db.lock", "a part of what --db names"),
        ("data/../data/trades.exchange.db", "the file that --ledger names"),
        ("data/trades.exchange.db-wal", "a part of what --ledger names"),
        ("data/trades.exchange.db.lock", "a part of what --ledger names"),
        ("settings.toml", "the settings file"),
        ("linked.toml", "the settings file"),
        (".secrets.toml", "the secrets file"),
        ("tape.csv", "the file that --data names"),
    ],
)
def test_a_log_in_a_file_of_the_run(
    in_tmp: Path, call: Call, tape_writer: Callable[..., Path], file: str, what: str
) -> None:
    tape_writer(in_tmp / "tape.csv", {"SPY": [100.0] * 5})
    (in_tmp / "settings.toml").write_text(
        f'[default]\ndata = "tape.csv"\n[default.log]\nfile = "{file}"\n'
    )
    os.link("settings.toml", "linked.toml")
    before = {path.name: path.read_bytes() for path in in_tmp.iterdir()}
    told = call("run", "--broker", "exchange")
    assert told.code == CONFIG
    assert told.err == f"smabot: log.file {file}: is {what}: give another one\n"
    assert {path.name: path.read_bytes() for path in in_tmp.iterdir()} == before


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (["run", "--db"], "database"),
        (["status", "--db"], "database"),
        (["halt", "--db"], "database"),
        (["db", "check", "--db"], "database"),
        (["run", "--broker", "exchange", "--ledger"], "ledger"),
    ],
)
def test_a_file_of_two_names(in_tmp: Path, call: Call, command: list[str], what: str) -> None:
    """Each name would have a write-ahead log of its own."""
    (in_tmp / "own.db").write_bytes(b"SQLite format 3\0" + bytes(84))
    os.link("own.db", "other.db")
    told = call(*command, "own.db")
    assert told.code == CONFIG
    assert told.err.startswith(f"smabot: {what} own.db has 2 names (hard links), ")
    assert told.err.count("\n") == 1


@ways
def test_the_doctor_names_it(in_tmp: Path, call: Call, way: str) -> None:
    make, words = WRONG[way]
    (in_tmp / "data").mkdir()
    make(in_tmp / "data" / "trades.db")
    told = call("doctor", "--broker", "exchange")
    assert told.code == CONFIG
    assert f"FAILURE  database       database data/trades.db {words}" in told.out
    make(in_tmp / ".secrets.toml")
    told = call("doctor", "--broker", "exchange")
    assert told.code == CONFIG
    assert f"FAILURE  secrets        .secrets.toml {words}" in told.out


@ways
def test_a_credential_of_systemd(
    in_tmp: Path, call: Call, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    make, words = WRONG[way]
    for name in ("apca_api_key_id", "apca_api_secret_key"):
        make(in_tmp / name)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(in_tmp))
    told = call("run", "--symbols", "SPY")
    assert told.code == CONFIG
    assert f"apca_api_key_id {words}" in told.err


def test_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert not file_exists(file, "it")
    assert not file_exists(file / "below", "it")
    file.touch()
    assert file_exists(file, "it")
    assert not file_exists(file / "below", "it")
