"""Which layer wins, and what is remembered of where a value came from."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smabot.settings.loading import Flag, load, merge
from smabot.settings.model import Config

SHIPPED = Path(__file__).parents[2] / "settings.toml"


def write(text: str, name: str = "settings.toml", mode: int = 0o644) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def secrets(text: str) -> Path:
    return write(text, ".secrets.toml", 0o600)


def test_nothing_gives_the_defaults(in_tmp: Path) -> None:
    loaded = load()
    assert loaded.config == Config()
    assert loaded.origin("speed") == "default"


def test_each_layer_wins_over_those_below(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("[default]\nbot = 'file'\n[default.sizing]\nshares = 2\n[fast]\nbot = 'section'\n")
    assert load().config.bot == "file"
    monkeypatch.setenv("SMABOT_ENV", "fast")
    assert load().config.bot == "section"
    assert load().origin("bot") == "settings.toml [fast]"
    secrets("[default]\nbot = 'hidden'\n")
    assert load().config.bot == "hidden"
    monkeypatch.setenv("SMABOT_BOT", "variable")
    assert load().config.bot == "variable"
    assert load().origin("bot") == "SMABOT_BOT"
    flagged = load(flags=[Flag("bot", "--bot", "flag")])
    assert flagged.config.bot == "flag"
    assert flagged.origin("bot") == "--bot"
    assert flagged.config.sizing.shares == 2
    assert flagged.origin("sizing.shares") == "settings.toml [default]"
    assert flagged.origin("sizing.method") == "default"


def test_secrets_among_the_credentials_of_a_service_are_read(
    in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets("[default]\nbot = 'beside'\n[default.plugin.alpaca]\nkey_id = 'long-enough-a'\n")
    write("[default.plugin.alpaca]\nkey_id = 'long-enough-b'\n", "run/.secrets.toml", 0o440)
    assert load().config.plugin["alpaca"]["key_id"] == "long-enough-a"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(in_tmp / "run"))
    loaded = load()
    assert loaded.config.bot == "beside"
    assert loaded.config.plugin["alpaca"]["key_id"] == "long-enough-b"
    assert loaded.is_secret("plugin.alpaca.key_id")
    assert "long-enough-b" in loaded.secrets()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(in_tmp / "none"))
    assert load().config.plugin["alpaca"]["key_id"] == "long-enough-a"


def test_tables_merge_and_lists_replace(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        "[default]\nsymbols = ['A', 'B']\n[default.plugin.sma]\nfast = 5\nslow = 9\n"
        "[one]\nsymbols = ['C']\n[one.plugin.sma]\nslow = 20\n"
    )
    monkeypatch.setenv("SMABOT_ENV", "one")
    config = load().config
    assert config.symbols == ("C",)
    assert config.table("sma") == {"fast": 5, "slow": 20}


def test_variables_are_typed_as_toml(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SMABOT_SYMBOLS": '["SPY", "IBM"]',
        "SMABOT_SPEED": "max",
        "SMABOT_ACT_ON_MISSED_ENTRIES": "true",
        "SMABOT_SIZING__NOTIONAL": "1000.10",
        "SMABOT_UNTIL": "2026-03-02T15:30:00Z",
        "SMABOT_PLUGIN__SMA__SLOW": "40",
        "SMABOT_PLUGIN__RISK__DAILY_LIMITS__MAX_TRADES": "3",
    }.items():
        monkeypatch.setenv(name, value)
    config = load().config
    assert config.symbols == ("SPY", "IBM")
    assert config.speed == "max"
    assert config.act_on_missed_entries is True
    assert config.sizing.notional == Decimal("1000.10")
    assert config.until is not None
    assert config.until.isoformat() == "2026-03-02T15:30:00+00:00"
    assert config.table("sma") == {"slow": 40}
    assert config.table("risk.daily_limits") == {"max_trades": 3}


def test_a_variable_finds_a_key_whatever_its_case(
    in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("[default.plugin.sma.symbols.SPY]\nfast = 5\nslow = 9\n")
    monkeypatch.setenv("SMABOT_PLUGIN__SMA__SYMBOLS__SPY__FAST", "6")
    assert load().config.table("sma") == {"symbols": {"SPY": {"fast": 6, "slow": 9}}}


def test_nothing_is_evaluated(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("[default.plugin.sma]\nwho = '@format {env[HOME]}'\nn = '@int 3'\n")
    secrets("[default.plugin.sma]\ntoken = '@jinja {{ env.HOME }}'\n")
    monkeypatch.setenv("SMABOT_PLUGIN__SMA__NAME", "@format {env[HOME]}")
    assert load().config.table("sma") == {
        "who": "@format {env[HOME]}",
        "n": "@int 3",
        "token": "@jinja {{ env.HOME }}",
        "name": "@format {env[HOME]}",
    }


@pytest.mark.parametrize("value", ["12E5", "007", "true", "[1]", '"quoted"'])
def test_a_secret_variable_is_taken_as_it_is(
    in_tmp: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("SMABOT_PLUGIN__ALPACA__API_KEY", value)
    assert load().config.table("alpaca") == {"api_key": value}


def test_no_other_file_is_read(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A parent folder's settings, a .env and a .local file are none of ours."""
    write("[default]\nbot = 'parent'\n")
    (in_tmp / "child").mkdir()
    monkeypatch.chdir(in_tmp / "child")
    Path(".env").write_text("SMABOT_BOT=dotenv\n")
    write("[default]\nbot = 'local'\n", "settings.local.toml")
    assert load().config.bot == "smabot"
    write("[default]\nspeed = 2\n")
    assert load().config.bot == "smabot"


def test_a_named_file_has_its_secrets_beside_it(in_tmp: Path) -> None:
    named = write("[default]\nbot = 'there'\n", "conf/my.toml")
    write("[default.plugin.x]\nname = 'hidden value'\n", "conf/.secrets.toml", 0o600)
    loaded = load(named)
    assert loaded.config.bot == "there"
    assert loaded.origin("bot") == "conf/my.toml [default]"
    assert loaded.is_secret("plugin.x.name")
    assert loaded.secrets() == ("hidden value",)


def test_a_secret_is_never_shown(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets("[default.plugin.x]\nname = 'hidden one'\nnothing = ''\n")
    monkeypatch.setenv("SMABOT_PLUGIN__X__PASSWORD", "hidden two")
    loaded = load()
    assert "hidden" not in str(loaded.shown())
    assert loaded.shown()["plugin.x.nothing"] == ""
    assert loaded.describe("plugin.x.password") == (
        "plugin.x.password = '********' (SMABOT_PLUGIN__X__PASSWORD)"
    )
    assert loaded.describe("speed") == "speed = 60.0 (default)"
    assert set(loaded.secrets()) == {"hidden one", "hidden two"}


def test_dynaconf_is_imported_only_where_there_is_something_to_read(in_tmp: Path) -> None:
    code = "import smabot.settings.loading as s, sys; s.load(); sys.exit('dynaconf' in sys.modules)"
    environ = {k: v for k, v in os.environ.items() if not k.startswith("SMABOT_")}

    def imported(**variables: str) -> int:
        return subprocess.run([sys.executable, "-c", code], env=environ | variables).returncode

    assert imported() == 0
    Path("settings.toml").write_text(SHIPPED.read_text())
    assert imported() == 0
    assert imported(SMABOT_SPEED="max") == 1


COSTS = (
    "slippage", "slippage_of_range", "costs", "commission_per_share", "commission_per_order",
    "commission_minimum", "sec_fee_rate", "taf_per_share", "taf_maximum", "cat_per_share",
)  # fmt: skip
"""Settings that are as another one says, or as the ledger has them, where they are not set."""


def test_the_shipped_file_names_each_setting_once() -> None:
    names, section = list[str](), ""
    for line in SHIPPED.read_text().splitlines():
        if header := re.match(r"(?:# )?\[(.+?)\]", line):
            section = header[1]
        elif setting := re.match(r"(?:# )?(\w+) = ", line):
            names.append(f"{section}.{setting[1]}")
    assert len(names) > 70
    assert sorted(names) == sorted(set(names)), (
        "two of a name are an error once both are uncommented"
    )


@pytest.mark.plugins
def test_the_shipped_file_changes_nothing_and_its_comments_are_the_defaults(in_tmp: Path) -> None:
    text = SHIPPED.read_text()
    Path("settings.toml").write_text(text)
    assert load().config.model_dump(exclude={"plugin"}) == Config().model_dump(exclude={"plugin"})

    unset = {
        "since",
        "until",
        "live_account",
        "file",
        "ledger",
        "data",
        "url",
        "data_zone",
        "half_spread",
        *COSTS,
    }  # None, or follows another setting
    example = "# [default.plugin.sma.symbols.SPY]"
    lines = (
        text[: text.index(example)].splitlines()
        + text[text.index("[default.plugin.risk") :].splitlines()
    )
    active = [
        line.removeprefix("# ")
        for line in lines
        if ((match := re.match(r"# (\w+) = ", line)) and match[1] not in unset) or line[:1] == "["
    ]
    Path("settings.toml").write_text("\n".join(active))
    loaded = load()
    assert loaded.config.model_dump(exclude={"plugin"}) == Config().model_dump(exclude={"plugin"})
    core = {dotted for dotted in Config().model_dump() if dotted not in ("plugin", "sizing", "log")}
    assert core - unset <= set(loaded.origins)

    from smabot.hooks.discovery import discover, settings_model

    for name in ("sma", "risk.circuit_breaker", "risk.daily_limits", "exchange"):
        model = settings_model(discover()[name][0].load())
        assert model is not None
        table = loaded.config.table(name)
        assert model.model_validate(table) == model(), name
        assert set(model.model_fields) - {"symbols"} - unset <= set(table), name


# -- merging ---------------------------------------------------------------------------------------

keys = st.sampled_from(["a", "b", "c"])
trees = st.recursive(
    st.integers() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(keys, inner, min_size=1, max_size=3),
    max_leaves=6,
).filter(lambda tree: isinstance(tree, dict))


def leaves(tree: dict[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for key, value in tree.items():
        inner = leaves(value, (*path, key)) if isinstance(value, dict) else {(*path, key): value}
        found |= inner
    return found


@given(st.lists(trees, min_size=1, max_size=4))
def test_every_leaf_is_that_of_its_last_layer(layers: list[dict[str, Any]]) -> None:
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for number, layer in enumerate(layers):
        merge(merged, origins, layer, str(number))
    found = leaves(merged)
    assert set(origins) == {".".join(path) for path in found}
    for path, value in found.items():
        origin = int(origins[".".join(path)])
        assert leaves(layers[origin])[path] == value
        for later in layers[origin + 1 :]:
            # No later layer says anything of this leaf, of a table above it or of one below it.
            assert not any(
                other[: len(path)] == path or path[: len(other)] == other for other in leaves(later)
            )
    for path in leaves(layers[-1]):
        assert path in found
