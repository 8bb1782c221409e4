"""`smabot doctor`: what is wrong has a line, a remedy and an exit code, and nothing is changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smabot.cli import installation_checks as doctor
from smabot.hooks.findings import Finding
from smabot.hooks.plugins import Plugins
from smabot.hooks.specifications import hookimpl
from smabot.settings.model import Config
from smabot.system.lock import FileLock

Call = Callable[..., Any]
pytestmark = pytest.mark.plugins
SETTINGS = '[default]\nbroker = "exchange"\ndata = "tape.csv"\nspeed = "max"\nplugins = ["sma"]\n'


@pytest.fixture
def traded(in_tmp: Path, tape_writer: Callable[..., Path], call: Call) -> Path:
    """A bot that has traded and ended."""
    (in_tmp / "settings.toml").write_text(SETTINGS)
    tape_writer(in_tmp / "tape.csv", {"SPY": [100.0 + n % 7 for n in range(40)]})
    assert call("run").code == 0
    return in_tmp


def levels(result: Any) -> dict[str, str]:
    return {f["name"]: f["level"] for f in result.json["findings"]}


def text(result: Any, name: str) -> str:
    return str(next(f["text"] for f in result.json["findings"] if f["name"] == name))


def digest(folder: Path) -> dict[str, str]:
    """Every file's content; SQLite's empty logs and the locks' files are none."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal", ".lock"))
    }


def test_before_the_first_run_all_is_well_and_nothing_is_made(in_tmp: Path, execute: Call) -> None:
    result = execute("doctor")
    assert (result.code, result.err) == (0, "")
    assert list(in_tmp.iterdir()) == []
    assert "ok       database       data/trades.db is created by the first run" in result.out


def test_after_a_run_all_is_well_and_nothing_is_changed(traded: Path, call: Call) -> None:
    from smabot_persistence_sqlite.schema_version import LINEAGE

    before = digest(traded)
    result = call("doctor", "--json")
    assert (result.code, result.json["exit_code"]) == (0, 0)
    assert set(levels(result).values()) == {"ok"}
    assert text(result, "agreement").startswith("database and broker agree")
    assert f"schema {LINEAGE.head}" in text(result, "database")
    assert "40 of 40 minutes replayed" in text(result, "ledger")
    assert digest(traded) == before


def test_a_mistyped_setting(in_tmp: Path, call: Call) -> None:
    Path("settings.toml").write_text("[default]\nsymbol = ['SPY']\n")
    result = call("doctor")
    assert result.code == 3
    assert "FAILURE  settings" in result.out
    assert "did you mean 'symbols'?" in result.out
    assert result.err == "smabot: failed checks: settings\n"


def test_a_plugin_that_is_not_there(in_tmp: Path, call: Call) -> None:
    result = call("doctor", "--plugins", "smaa")
    assert result.code == 3
    assert "did you mean 'sma'?" in result.out


def test_secrets_that_others_may_read(in_tmp: Path, call: Call) -> None:
    secrets = Path(".secrets.toml")
    secrets.write_text(
        '[default.plugin.alpaca]\nkey_id = "PKSECRETSECRET"\nsecret_key = "ssssssss"\n'
    )
    secrets.chmod(0o644)
    result = call("doctor")
    assert result.code == 3
    assert "run `chmod 600 .secrets.toml`" in result.out
    secrets.chmod(0o600)
    result = call("doctor", "--broker", "exchange")
    assert result.code == 0
    assert "PKSECRETSECRET" not in result.out
    assert "(mode 0600)" in result.out


def test_a_folder_that_cannot_be_written(in_tmp: Path, call: Call, unprivileged: Any) -> None:
    folder = in_tmp / "data"
    folder.mkdir(mode=0o500)
    with unprivileged():
        result = call("doctor")
    assert result.code == 3
    assert "can't be written: check its rights" in result.out


@pytest.mark.parametrize(("limit", "level"), [("LITTLE_DISK", "warning"), ("NO_DISK", "failure")])
def test_a_full_disk(in_tmp: Path, monkeypatch: pytest.MonkeyPatch, limit: str, level: str) -> None:
    monkeypatch.setattr(doctor, limit, 10**18)
    disk = list(doctor.database_folder(Config()))[-1]
    assert (disk.name, disk.level) == ("disk", level)


def test_a_damaged_database(traded: Path, call: Call) -> None:
    db = traded / "data" / "trades.db"
    db.write_bytes(db.read_bytes()[:100] + b"\xff" * 30_000)
    result = call("doctor", "--json")
    assert result.code == 3
    assert levels(result)["database"] == "failure"
    assert "restore a copy" in text(result, "database")
    assert text(result, "agreement") == "not compared with the broker: fix the failures first"


def test_another_programs_database(in_tmp: Path, call: Call) -> None:
    Path("data").mkdir()
    Path("data/trades.db").write_text("a shopping list, much longer than a header would be" * 9)
    result = call("doctor")
    assert result.code == 3
    assert "it is not a database" in result.out


def test_a_ledger_that_is_gone_is_not_made_anew(traded: Path, call: Call) -> None:
    ledger = traded / "data" / "trades.exchange.db"
    ledger.unlink()
    result = call("doctor", "--json")
    assert (result.code, levels(result)["ledger"]) == (3, "failure")
    assert not ledger.exists()


def test_a_disagreement_is_exit_code_6(traded: Path, call: Call) -> None:
    """The ledger of another account, with the same tape."""
    assert call("run", "--db", "other/trades.db").code == 0
    (traded / "other" / "trades.exchange.db").replace(traded / "data" / "trades.exchange.db")
    before = digest(traded)
    result = call("doctor", "--json")
    assert (result.code, result.json["exit_code"]) == (6, 6)
    assert text(result, "agreement").startswith("account_mismatch account: here exchange ")
    assert digest(traded) == before


def test_beside_a_running_bot_nothing_is_compared(traded: Path, execute: Call) -> None:
    lock = FileLock(traded / "data" / "trades.db", "it", "wait")
    try:
        result = execute("doctor", "--json")
    finally:
        lock.release()
    assert result.code == 0
    assert "in use by a running smabot, pid" in text(result, "lock")
    assert text(result, "agreement") == "a bot runs on the database, and compares by itself"


class Ill:
    @hookimpl
    def diagnose(self) -> list[Finding]:
        raise RuntimeError("ouch")


class Well:
    @hookimpl
    def diagnose(self, config: Config) -> list[Finding]:
        return [Finding.ok("well", config.bot)]


def test_a_plugin_that_raises_is_a_finding_and_the_others_are_asked() -> None:
    plugins = Plugins()
    plugins.register("ill", Ill())
    plugins.register("well", Well())
    plugins.check()
    found = {each.name: each for each in doctor.plugin_findings(Config(), plugins)}
    assert found["well"].text == "smabot"
    assert found["ill"].exit_code == 3
    assert "plugin 'ill' raised in diagnose: RuntimeError: ouch" in found["ill"].text


def test_no_secret_is_in_the_json_that_a_bug_report_asks_for(in_tmp: Path, execute: Call) -> None:
    secrets = {
        "APCA_API_KEY_ID": "PKHIDDEN00000001",
        "APCA_API_SECRET_KEY": "hidden/secret+2",
        "SMABOT_URL": "http://bot:hidden3@127.0.0.1:9",
    }
    result = execute("doctor", "--json", "--symbols", "SPY", **secrets)
    assert levels(result)["alpaca"] == "failure"
    for hidden in ("PKHIDDEN00000001", "hidden/secret+2", "hidden3"):
        assert hidden not in result.out + result.err
