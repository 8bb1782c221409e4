"""What was begun by old names goes on: ledgers of the made market, flags, and what a ledger stores."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from smabot.errors import ConfigError, UsageError
from smabot_exchange import server_process
from smabot_exchange.commands import exchange_group
from smabot_exchange.settings import ExchangeSettings

OLD, NEW = "made:symbols=1,sessions=1", "simulated:symbols=1,sessions=1"


@pytest.fixture(autouse=True)
def first_in_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smabot.system.deprecation._noted", set())


def meta(path: Path) -> dict[str, str]:
    db = sqlite3.connect(path)
    found = dict(db.execute("SELECT key, value FROM meta"))
    db.close()
    return found


@pytest.mark.parametrize(("begun", "later"), [(OLD, NEW), (NEW, OLD), ("made", "simulated")])
def test_a_ledger_goes_on_by_either_name(lab: Any, begun: str, later: str) -> None:
    exchange = lab.open(begun, "ledger.db")
    exchange.advance()
    before = exchange.now, exchange.account_id
    exchange.close()
    exchange = lab.open(later, "ledger.db")
    assert (exchange.now, exchange.account_id) == before
    assert exchange.notes[0].startswith("simulated market, ")


def test_what_a_ledger_stores_is_the_same_by_either_name(lab: Any) -> None:
    for spec, name in ((OLD, "old.db"), (NEW, "new.db")):
        lab.open(spec, name).close()
    old, new = meta(lab.folder / "old.db"), meta(lab.folder / "new.db")
    for key in ("label", "signature", "fingerprint", "notes", "participation"):
        assert old[key] == new[key]
    assert old["label"] == "made market"
    assert old["signature"] == "made 2 symbols=1 sessions=1 seed=1 start=2026-03-02"
    assert old["participation"] == "0.1"


def test_data_files_keep_their_stored_name(lab: Any) -> None:
    path = lab.tape(lab.rows("SPY", "2026-03-02 09:30", [10, 11]))
    exchange = lab.open(path, "ledger.db")
    assert exchange.notes[0].startswith(f"data {path.name}, 1 symbol")
    exchange.close()
    assert meta(lab.folder / "ledger.db")["label"] == f"tape {path.name}"


def test_the_old_name_of_the_market_says_the_new_one_once(
    lab: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.open(OLD, "ledger.db").close()
    lab.open(OLD, "ledger.db").close()
    assert (
        capsys.readouterr().err
        == "smabot: data: made is now simulated; the old name works until 1.0\n"
    )
    lab.open(NEW, "ledger.db").close()
    assert capsys.readouterr().err == ""


def test_another_market_is_refused_in_the_new_words(lab: Any) -> None:
    lab.open(OLD, "ledger.db").close()
    with pytest.raises(ConfigError) as caught:
        lab.open("simulated:seed=2", "ledger.db")
    assert "it was simulated:symbols=1,sessions=1,seed=1," in str(caught.value)
    assert "made" not in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "data", "said"),
    [
        (
            ["--tape", "a.csv"],
            "a.csv",
            "smabot: --tape is now --data; the old name works until 1.0\n",
        ),
        (
            ["--tape", "a.csv", "--data", "a.csv"],
            "a.csv",
            "smabot: --tape is now --data; the old name works until",
        ),
        (["--data", "b.csv"], "b.csv", ""),
    ],
)
def test_the_servers_old_flag_works(
    flags: list[str], data: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[str | None] = []

    def serve(options: server_process.ServeOptions, *_: object, **__: object) -> int:
        served.append(options.data)
        return 0

    class App:
        as_json = False

        def outlive_screens(self) -> None: ...

        def config(self) -> None: ...

    monkeypatch.setattr(server_process, "serve", serve)
    group = exchange_group(ExchangeSettings())
    done = CliRunner().invoke(group, ["serve", *flags], obj=App(), catch_exceptions=False)
    assert served == [data]
    assert said in done.output  # with stderr, in every click
    assert said or not done.output


def test_the_servers_flags_that_contradict_each_other_are_an_error() -> None:
    group = exchange_group(ExchangeSettings())
    both = ["serve", "--tape", "a.csv", "--data", "b.csv"]
    words = r"--data b\.csv and --tape a\.csv: --tape is the old name of --data; leave it out"

    class App:
        def outlive_screens(self) -> None: ...

    with pytest.raises(UsageError, match=words):
        CliRunner().invoke(group, both, obj=App(), catch_exceptions=False)


def test_help_names_the_new_flag_alone() -> None:
    done = CliRunner().invoke(exchange_group(ExchangeSettings()), ["serve", "--help"])
    assert "--data" in done.stdout
    assert "--tape" not in done.stdout
