"""Every wrong setting is one line: where it is set, its key and value, what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import Field, ValidationError, model_validator

from smabot.errors import ConfigError
from smabot.settings.loading import Flag, load, plugin_settings_error
from smabot.settings.model import Settings
from smabot.system.redaction import Redactor


def problem(settings: Path | None = None, flags: tuple[Flag, ...] = ()) -> str:
    with pytest.raises(ConfigError) as caught:
        load(settings, flags)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 3
    return message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[default]\nsymbls = ['A']", "unknown setting 'symbls' (did you mean 'symbols'?)"),
        ("[default.sizing]\nshare = 1", "unknown setting 'sizing.share' (did you mean 'sizing.shares'?)"),
        ("[default.sizing]\nxyz = 1", "known here are: method, shares, notional, fraction"),
        ("[default]\nfoo = 1", "settings.toml [default]: unknown setting 'foo'; known here are: bot,"),
        ("[default.foo]", "settings.toml [default]: unknown setting 'foo'"),
        ("[default]\nsymbols = 'SPY'", "symbols = 'SPY': must be a list, as in [\"A\", \"B\"]"),
        ("[default]\nsymbols = ['SPY', 3]", "symbols[1] = 3: must be text in quotes"),
        ("[default]\nbot = 'a-b'", "bot = 'a-b': use 1 to 16 letters, digits or underscores"),
        ("[default]\nspeed = 'fast'", "speed = 'fast': must be 'max' or a number"),
        ("[default]\nspeed = -1", "speed = -1: use 'max' or a number of minutes a second above 0"),
        ("[default]\nlive = 3", "live = 3: must be true or false"),
        ("[default]\nsizing = 3", "settings.toml [default]: sizing = 3: must be a table"),
        ("[default]\nplugin = 3", "plugin = 3: must be a table"),
        ("[default]\nuntil = 2026-03-02T15:30:00", "give a time zone, as in 2026-03-02T15:30:00Z"),
        ("[default.sizing]\nshares = -1", "settings.toml [default]: sizing.shares = -1: must be greater than 0"),
        ("[default.sizing]\nshares = 1.5", "sizing.shares = 1.5: must be a whole number"),
        ("[default.sizing]\nshares = 'x'\nfraction = 3", "must be a whole number (and 1 more)"),
        ("[default.log]\nlevel = 'LOUD'", "must be 'TRACE', 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("sizing = 3", "settings.toml: 'sizing' stands outside a section: put it in [default]"),
        ("[sizing]\nshares = 3", "settings.toml: unknown section [sizing]: write [default.sizing]"),
        ("[defualt]\nspeed = 1", "settings.toml: unknown section [defualt] (did you mean 'default'?)"),  # codespell:ignore
        ("[other]\nfoo = 1", "settings.toml [other]: unknown setting 'foo'"),
        ("[default]\nspeed = \n", "settings.toml: line 2, column 9: invalid value"),
        ("[default]\nspeed = 1\nspeed = 2\n", "settings.toml: line 3, column 10: cannot overwrite a value"),
        ("[default]\nsymbols = ['A'\n", "settings.toml: line 2, the end: unclosed array"),
    ],
)  # fmt: skip
def test_in_the_file(in_tmp: Path, text: str, message: str) -> None:
    Path("settings.toml").write_text(text)
    assert message in problem()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SMABOT_SYMBLS", "1", "SMABOT_SYMBLS: unknown setting 'symbls' (did you mean 'symbols'?)"),
        ("SMABOT_SYMBOLS", "SPY,IBM", "SMABOT_SYMBOLS: symbols = 'SPY,IBM': must be a list"),
        ("SMABOT_BOT", "12", "SMABOT_BOT: bot = 12: must be text: quote it within, SMABOT_BOT='\"12\"'"),
        ("SMABOT_SIZING__SHARES", "many", "SMABOT_SIZING__SHARES: sizing.shares = 'many': must be a whole number"),
        ("SMABOT_", "1", "SMABOT_: unknown setting"),
        ("SMABOT_LOADERS", "x", "SMABOT_LOADERS: unknown setting 'loaders'"),
        ("SMABOT_ENV", "papr", "SMABOT_ENV=papr: no section [papr] in settings.toml (did you mean 'paper'?)"),
    ],
)  # fmt: skip
def test_in_a_variable(
    in_tmp: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    Path("settings.toml").write_text("[paper]\nspeed = 1\n")
    monkeypatch.setenv(name, value)
    assert message in problem()


def test_in_a_flag(in_tmp: Path) -> None:
    assert problem(flags=(Flag("speed", "--speed", "fast"),)).startswith("--speed: speed = 'fast'")


def test_an_environment_without_a_file(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMABOT_ENV", "paper")
    assert problem() == "SMABOT_ENV=paper: no section [paper] because there is no settings.toml"


def test_files_that_can_not_be_read(in_tmp: Path) -> None:
    assert problem(Path("nowhere.toml")) == "--settings nowhere.toml: no such file"
    assert problem(in_tmp) == f"--settings {in_tmp} is a folder: give a file"
    Path("settings.toml").write_bytes(b"[default]\nbot = '\xff'\n")
    assert problem() == "settings.toml: is not UTF-8 text: save it as UTF-8"


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read(in_tmp: Path) -> None:
    Path("settings.toml").write_text("[default]\n")
    Path("settings.toml").chmod(0)
    assert problem() == "settings.toml: can't be read: Permission denied"


def test_secrets_that_others_may_read(in_tmp: Path) -> None:
    path = Path(".secrets.toml")
    path.write_text("[default]\nspeed = 1\n")
    path.chmod(0o640)
    assert problem() == (
        ".secrets.toml: others may read it (mode 0640): run `chmod 600 .secrets.toml`"
    )
    path.chmod(0o400)
    assert load().config.speed == 1


@pytest.mark.parametrize(
    "text",
    [
        "[default]\nbot = 'hidden-value'",
        "[default]\nspeed = 'hidden-value'",
        "[default.sizing]\nshares = 'hidden-value'",
        "[default]\nsymbols = 'hidden-value'",
        "[default]\nsizing = 'hidden-value'",
    ],
)
def test_a_secret_value_is_in_no_message(in_tmp: Path, text: str) -> None:
    path = Path(".secrets.toml")
    path.write_text(text)
    path.chmod(0o600)
    assert "hidden" not in problem()


# -- a plugin's table ------------------------------------------------------------------------------


class Inner(Settings):
    depth: int = 1


class Example(Settings):
    account: str
    fast: int = Field(10, gt=0)
    slow: int = 30
    api_key: str = ""
    inner: Inner = Inner()

    @model_validator(mode="after")
    def _check(self) -> Example:
        if self.fast >= self.slow:
            raise ValueError(f"fast must be below slow (key {self.api_key})")
        return self


def plugin_problem(table: dict[str, object], origins: dict[str, str]) -> str:
    with pytest.raises(ValidationError) as caught:
        Example.model_validate(table)
    return str(plugin_settings_error("a.b", caught.value, origins, Example))


def test_a_value_of_a_plugin() -> None:
    message = plugin_problem({"account": "x", "fast": 0}, {"plugin.a.b.fast": "SMABOT_X"})
    assert message == "SMABOT_X: plugin.a.b.fast = 0: must be greater than 0"


def test_an_unknown_key_of_a_plugin() -> None:
    message = plugin_problem({"account": "x", "fats": 0}, {"plugin.a.b.fats": "f [default]"})
    assert message == (
        "f [default]: unknown setting 'plugin.a.b.fats' (did you mean 'plugin.a.b.fast'?)"
    )
    message = plugin_problem(
        {"account": "x", "inner": {"dept": 0}}, {"plugin.a.b.inner.dept": "f [default]"}
    )
    assert message.endswith("(did you mean 'plugin.a.b.inner.depth'?)")


def test_a_missing_key_of_a_plugin() -> None:
    assert plugin_problem({}, {}) == (
        "settings: plugin.a.b.account is missing: set it in [default.plugin.a.b] or as "
        "SMABOT_PLUGIN__A__B__ACCOUNT"
    )


def test_keys_that_do_not_go_together_name_all_their_origins_and_no_secret() -> None:
    table = {"account": "x", "fast": 50, "api_key": "hidden-value"}
    origins = {"plugin.a.b.fast": "--fast", "plugin.a.b.api_key": "SMABOT_KEY"}
    assert plugin_problem(dict(table), origins) == (
        "--fast, SMABOT_KEY: plugin.a.b: fast must be below slow (key ********)"
    )


def test_what_is_wrong_with_a_secret_outlives_its_masking() -> None:
    table = {"account": "x", "api_key": 12345678}
    message = plugin_problem(dict(table), {"plugin.a.b.api_key": ".secrets.toml [default]"})
    assert Redactor()(message) == message
    assert message == (
        ".secrets.toml [default]: plugin.a.b.api_key = '********': must be text in quotes"
    )
