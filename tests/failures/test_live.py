"""`run --live`: what it needs, and that nothing is traded before the operator confirmed it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from smabot.cli.live_trading import GUARDS, LIMITS, check_live_settings
from smabot.errors import ConfigError
from smabot.settings.loading import load

SMABOT = str(Path(sys.executable).with_name("smabot"))
ALL = dict.fromkeys(LIMITS, "5000")
REAL_MONEY = """
from smabot.hooks.specifications import hookimpl
from smabot_exchange.plugin import ExchangePlugin, ExchangeSettings

class Plugin:
    '''Stands in for a broker that trades real money.'''

    def __init__(self):
        self.exchange = ExchangePlugin(ExchangeSettings())

    @hookimpl
    def open_broker(self, config):
        return self.exchange.open_broker(config.model_copy(update={"live": False}))

    @hookimpl
    def open_feed(self, config):
        return self.exchange.open_feed(config.model_copy(update={"live": False}))
"""
BASE = '["persistence_sqlite", "reconciliation", "exchange", "realmoney"]'


def table(limits: Mapping[str, str]) -> str:
    lines = [f"{name} = {value}" for name, value in limits.items()]
    return "\n".join(["[default.plugin.risk.daily_limits]", *lines, ""])


# -- what has to be set ----------------------------------------------------------------------------


def checked(folder: Path, text: str, plugins: tuple[str, ...] = GUARDS) -> str:
    """Return what is missing with a settings file, or an empty string."""
    file = folder / "settings.toml"
    file.write_text(text)
    loaded = load(file)
    try:
        check_live_settings(loaded.config, loaded.origins, plugins)
    except ConfigError as error:
        return str(error)
    return ""


def test_all_four_limits_and_both_plugins(tmp_path: Path) -> None:
    assert checked(tmp_path, table(ALL)) == ""


def test_a_default_is_no_choice(tmp_path: Path) -> None:
    assert checked(tmp_path, "[default]\n") == (
        "--live needs limits that you chose: write max_loss = AMOUNT, max_exposure = AMOUNT, "
        "max_exposure_per_symbol = AMOUNT, max_order_notional = AMOUNT below "
        "[default.plugin.risk.daily_limits] in the settings file, in US dollars, above 0"
    )


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("value", ["0", "0.0", '"0"', None])
def test_each_one_is_needed_and_off_is_not_set(
    tmp_path: Path, name: str, value: str | None
) -> None:
    limits = {key: text for key, text in ALL.items() if key != name}
    if value is not None:
        limits[name] = value
    said = checked(tmp_path, table(limits))
    assert said.startswith(f"--live needs limits that you chose: write {name} = AMOUNT below")


def test_a_variable_chooses_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ALL.items():
        monkeypatch.setenv(f"SMABOT_PLUGIN__RISK__DAILY_LIMITS__{name.upper()}", value)
    assert checked(tmp_path, "[default]\n") == ""


@pytest.mark.parametrize(
    ("plugins", "said"),
    [
        (GUARDS[:1], "--live needs the plugin risk.daily_limits: name risk in plugins, and not in"),
        ((), "--live needs the plugins risk.circuit_breaker and risk.daily_limits: name risk in"),
    ],
)
def test_both_plugins_are_needed(tmp_path: Path, plugins: tuple[str, ...], said: str) -> None:
    assert checked(tmp_path, table(ALL), plugins).startswith(said)


def test_what_is_missing_is_one_line_before_anything_is_opened(world: Any) -> None:
    result = world.run("run", "--live", "--yes-live", "A1")
    assert result.code == 3
    assert result.line.startswith("--live needs limits that you chose: write max_loss = AMOUNT, ")
    assert result.out == ""
    assert not world.db.exists()
    result = world.run("run", "--live", "--yes-live", "A1", "--no-plugin", "risk.circuit_breaker")
    assert result.code == 3
    assert result.line.startswith("--live needs the plugin risk.circuit_breaker: ")
    assert "; and limits that you chose" in result.line


def test_the_doctor_tells_of_it_too(world: Any) -> None:
    result = world.run("doctor", "--live", "--json")
    (line,) = [each for each in json.loads(result.out)["findings"] if each["name"] == "real money"]
    assert (line["level"], line["exit_code"]) == ("failure", 3)
    assert line["text"].startswith("--live needs limits that you chose")


# -- the confirmation ------------------------------------------------------------------------------


@pytest.fixture
def account(world: Any, installed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> str:
    """The account of a bot that can trade for real money, and has all that it needs for it."""
    world.half_way()
    with (world.folder / "settings.toml").open("a") as file:
        file.write(table(ALL))
    monkeypatch.setenv("PYTHONPATH", str(installed("realmoney", REAL_MONEY)))
    monkeypatch.setenv("SMABOT_BASE_PLUGINS", BASE)
    return str(world.dump("account")[0][0])


def terms(account: str) -> str:
    """How the text begins that is confirmed; REST is how it ends, after equity and buying power."""
    return f"LIVE: REAL MONEY. Account {account}, equity "


REST = (
    " US dollars; symbols IBM, SPY; limits max_loss 5,000.00, max_exposure 5,000.00, "
    "max_exposure_per_symbol 5,000.00, max_order_notional 5,000.00; database data/trades.db"
)


@pytest.mark.parametrize("answer", ["no\n", "yes\n", "\n"])
def test_without_confirmation_nothing_is_traded(world: Any, account: str, answer: str) -> None:
    before = world.tables(), world.dump("runs")
    code, out, err = world.run("run", "--live", typed=answer)
    assert (code, "ready in" in out) == (2, False)
    assert terms(account) in err
    assert REST in err
    assert err.endswith("smabot: not confirmed, nothing was started\n")
    assert (world.tables(), world.dump("runs")) == before


def test_a_confirmed_start_is_an_event(world: Any, account: str) -> None:
    code, out, err = world.run("run", "--live", "--until", "2026-03-02T14:55:00Z", typed="live\n")
    assert code == 0, err
    assert "ready in" in out
    ((_, kind, subject, text, grave),) = world.dump("events")
    assert (kind, subject, grave) == ("live_start", account, 0)
    assert text.startswith(terms(account))
    assert text.endswith(REST)
    assert text in err
    assert world.dump("runs")[-1][4] == "LIVE"


def test_with_an_account_named_nobody_is_asked_and_the_log_has_it(world: Any, account: str) -> None:
    log = world.folder / "bot.log"
    result = world.run(
        "run", "--live", "--yes-live", account, "--until", "2026-03-02T14:55:00Z",
        SMABOT_LOG__FILE=str(log),
    )  # fmt: skip
    assert result.code == 0, result.err
    ((_, kind, _, text, _),) = world.dump("events")
    assert kind == "live_start"
    assert result.out.split()[2] == "LIVE"
    assert text in result.out
    assert text in log.read_text()


def test_another_account_than_was_named(world: Any, account: str) -> None:
    result = world.run("run", "--live", "--yes-live", "A1")
    assert result.code == 3
    assert "live account A1 was named, but the broker's keys are those of account" in result.line
    assert world.dump("events") == []


def test_without_a_broker_for_real_money(
    world: Any, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMABOT_BASE_PLUGINS")
    result = world.run("run", "--live", "--yes-live", account)
    assert result.code == 3
    assert result.line.startswith("--live needs the plugin of a real broker")


def test_without_a_terminal_the_account_has_to_be_named(world: Any, account: str) -> None:
    result = world.run("run", "--live")
    assert result.code == 2
    assert result.line == (
        "--live asks for confirmation, and there is no terminal: add --yes-live ACCOUNT"
    )
