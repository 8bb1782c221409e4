"""The exchange in its client's process."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from smabot.errors import ConfigError, LockHeld
from smabot.settings.model import Config
from smabot_exchange.embedded import start


def config(folder: Path, **more: Any) -> Config:
    return Config(db=folder / "bot.db", data="simulated:symbols=2,sessions=1", **more)


def ask(embedded: Any, method: str = "GET", path: str = "/_exchange") -> Any:
    headers = {"APCA-API-KEY-ID": embedded.key_id, "APCA-API-SECRET-KEY": embedded.secret_key}
    return requests.request(method, embedded.url + path, headers=headers, timeout=10).json()


def test_it_is_there_at_once_and_stands_still(tmp_path: Path) -> None:
    embedded = start(config(tmp_path))
    told = ask(embedded)
    assert (told["name"], told["clock"]) == ("smabot exchange", "stepped")
    assert told["progress"] == [0, 390]
    assert ask(embedded, "POST", "/_exchange/play")["progress"] == [1, 390]
    assert ask(embedded)["progress"] == [1, 390]
    embedded.close()


def test_it_ends_beside_a_kept_connection_and_lets_go_of_the_ledger(tmp_path: Path) -> None:
    others = set(threading.enumerate())
    embedded = start(config(tmp_path))
    with requests.Session() as kept:
        kept.get(embedded.url + "/v2/clock", timeout=10)
        begun = time.monotonic()
        embedded.close()
        assert time.monotonic() - begun < 30
    embedded.close()
    left = set(threading.enumerate()) - others
    assert not [t for t in left if t.name == "exchange-server"]
    with pytest.raises(requests.exceptions.ConnectionError):
        ask(embedded)
    again = start(config(tmp_path))
    assert ask(again)["progress"] == [0, 390]
    again.close()


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    first = start(config(tmp_path))
    account = ask(first)["account_id"]
    for _ in range(3):
        ask(first, "POST", "/_exchange/play")
    first.close()
    second = start(config(tmp_path))
    told = ask(second)
    assert (told["account_id"], told["progress"]) == (account, [3, 390])
    second.close()


def test_it_takes_the_exchanges_settings(tmp_path: Path) -> None:
    embedded = start(config(tmp_path, plugin={"exchange": {"cash": 5000}}))
    assert ask(embedded, path="/v2/account")["cash"] == "5000"
    embedded.close()


@pytest.mark.parametrize(
    "more, words",
    [
        ({"plugin": {"exchange": {"cash": -1}}}, "plugin.exchange.cash"),
        ({"plugin": {"exchange": {"csh": 1}}}, "plugin.exchange.csh"),
        ({"data": "nowhere.csv"}, "no such file"),
        ({"ledger": "bot.db"}, "is the bot's own database"),
    ],
)
def test_its_errors_come_out_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: Any, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=words):
        start(Config(db=Path("bot.db"), **more))


def test_one_ledger_one_exchange(tmp_path: Path) -> None:
    embedded = start(config(tmp_path))
    with pytest.raises(LockHeld):
        start(config(tmp_path))
    embedded.close()
