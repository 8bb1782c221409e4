"""The account's terms: a margin account by default, and a ledger keeps those it was opened with."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.errors import ConfigError
from smabot.settings.model import Config
from smabot_exchange.ledger.schema import VERSION
from smabot_exchange.matching.orders import RequestRefused
from smabot_exchange.opening import open_exchange
from smabot_exchange.plugin import ExchangeSettings

LEDGERS = Path(__file__).with_name("ledgers")
PRICES = [10, 11, 12, 13, 14, 15]


@pytest.fixture
def tape(lab: Any) -> Path:
    path: Path = lab.tape(lab.rows("SPY", "2026-03-02 09:30", PRICES))
    return path


def old_ledger(folder: Path, name: str) -> Path:
    path = folder / "ledger.db"
    db = sqlite3.connect(path)
    db.executescript((LEDGERS / name).read_text())
    db.close()
    return path


def test_a_new_account_is_a_margin_account(lab: Any, tape: Path, client: Any) -> None:
    exchange = lab.open(tape)
    account = exchange.account()
    assert (account.multiplier, account.buying_power) == (2, 200_000)
    assert account.shorting_enabled
    order = client(exchange).sell(5)
    assert order.position_intent == "sell_to_open"
    exchange.advance()
    assert exchange.position("SPY").qty == -5


def test_a_sale_after_a_sale_by_hand_makes_the_account_short(
    lab: Any, tape: Path, client: Any
) -> None:
    exchange = lab.open(tape)
    trader = client(exchange)
    trader.buy(10)
    exchange.advance()
    trader.sell(10, id="by hand")
    exchange.advance()
    trader.sell(10, id="by the bot")
    exchange.advance()
    assert exchange.position("SPY").qty == -10


def test_a_cash_account_sells_what_it_has(lab: Any, tape: Path, client: Any) -> None:
    exchange = lab.open(tape, multiplier=Decimal(1))
    assert exchange.account().buying_power == 100_000
    for intent, message in (
        (None, "insufficient qty available for order (requested: 1, available: 0)"),
        ("sell_to_open", "account is not allowed to short"),
    ):
        with pytest.raises(RequestRefused) as caught:
            client(exchange).sell(1, position_intent=intent)
        assert (caught.value.status, caught.value.message) == (403, message)


@pytest.mark.parametrize("name", ["version1.sql", "version2.sql", "version3.sql"])
def test_a_ledger_of_an_older_release_goes_on_as_a_cash_account(
    lab: Any, tape: Path, client: Any, name: str
) -> None:
    """Ten shares bought, four sold, a limit sale open; and no multiplier was set."""
    path = old_ledger(lab.folder, name)
    for _ in range(2):  # brought up, and then as it was brought up
        exchange = lab.open(tape, path.name)
        account = exchange.account()
        assert (account.multiplier, account.shorting_enabled) == (1, False)
        assert account.buying_power == account.cash
        assert [order.client_order_id for order in exchange.orders()] == ["resting-sale"]
        with pytest.raises(RequestRefused, match="insufficient qty available"):
            client(exchange).sell(7)
        exchange.close()
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
    db.close()


def test_only_terms_that_are_set_must_agree_with_the_ledger(lab: Any, tape: Path) -> None:
    path = old_ledger(lab.folder, "version2.sql")
    config = Config(broker="exchange", db=lab.folder / "bot.db", data=str(tape))
    for settings in (ExchangeSettings(), ExchangeSettings(multiplier=Decimal(1))):
        exchange = open_exchange(config, settings, path)
        assert exchange.account().multiplier == 1
        exchange.close()
    with pytest.raises(ConfigError, match="was opened with multiplier 1, the settings say 2"):
        open_exchange(config, ExchangeSettings(multiplier=Decimal(2)), path)


def test_a_restart_keeps_a_margin_account(lab: Any, tape: Path) -> None:
    lab.open(tape, "ledger.db", multiplier=Decimal(4)).close()
    assert lab.open(tape, "ledger.db").account().multiplier == 4
