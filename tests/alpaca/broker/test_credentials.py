"""API keys: where they are found, and that nothing tells them."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from smabot.errors import ConfigError, SmabotError
from smabot.settings.loading import load
from smabot.settings.model import Config
from smabot.system.redaction import Redactor
from smabot_alpaca.broker import AlpacaBroker
from smabot_alpaca.connection import connect
from smabot_alpaca.credentials import find
from smabot_alpaca.settings import AlpacaSettings

ID, SECRET = "PKVERYSECRETID", "averysecretsecret/+="
NONE = AlpacaSettings()


def pair(found: Any) -> tuple[str, str]:
    return found.key_id.get_secret_value(), found.secret_key.get_secret_value()


def test_without_a_key_there_is_none() -> None:
    assert find(NONE, {}) is None
    assert find(NONE, {"APCA_API_KEY_ID": "", "APCA_API_SECRET_KEY": " "}) is None


def test_variables() -> None:
    found = find(NONE, {"APCA_API_KEY_ID": ID, "APCA_API_SECRET_KEY": f"{SECRET}\n"})
    assert pair(found) == (ID, SECRET)


def test_files_that_systemd_hands_over(tmp_path: Path) -> None:
    (tmp_path / "apca_api_key_id").write_text(f"{ID}\n")
    (tmp_path / "apca_api_secret_key").write_text(f"{SECRET}\n")
    assert pair(find(NONE, {"CREDENTIALS_DIRECTORY": str(tmp_path)})) == (ID, SECRET)


def test_a_service_with_other_credentials_has_no_key(tmp_path: Path) -> None:
    (tmp_path / "something_else").write_text("x")
    assert find(NONE, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) is None


def test_a_private_settings_file(in_tmp: Path) -> None:
    secrets = in_tmp / ".secrets.toml"
    secrets.write_text(f"[default.plugin.alpaca]\nkey_id = '{ID}'\nsecret_key = '{SECRET}'\n")
    secrets.chmod(0o600)
    settings = AlpacaSettings(**load().config.table("alpaca"))
    assert pair(find(settings, {})) == (ID, SECRET)
    secrets.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load()


def test_variables_win_over_files_and_files_over_settings(tmp_path: Path) -> None:
    settings = AlpacaSettings(key_id="PK3", secret_key="s3")
    (tmp_path / "apca_api_key_id").write_text("PK2")
    (tmp_path / "apca_api_secret_key").write_text("s2")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert pair(find(settings, {})) == ("PK3", "s3")
    assert pair(find(settings, environ)) == ("PK2", "s2")
    environ |= {"APCA_API_KEY_ID": "PK1", "APCA_API_SECRET_KEY": "s1"}
    assert pair(find(settings, environ)) == ("PK1", "s1")


@pytest.mark.parametrize(
    ("settings", "environ", "missing"),
    [
        ({}, {"APCA_API_KEY_ID": ID}, "APCA_API_SECRET_KEY is not"),
        ({}, {"APCA_API_SECRET_KEY": SECRET}, "APCA_API_KEY_ID is not"),
        ({"key_id": ID}, {}, "plugin.alpaca.secret_key is not"),
        ({"key_id": ID, "secret_key": SECRET}, {"APCA_API_KEY_ID": ID}, "APCA_API_SECRET_KEY is"),
    ],
)
def test_half_a_key_is_an_error(
    settings: dict[str, str], environ: dict[str, str], missing: str
) -> None:
    with pytest.raises(ConfigError, match=missing) as caught:
        find(AlpacaSettings(**settings), environ)
    assert ID not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_half_a_key_in_files_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "apca_api_key_id").write_text(ID)
    with pytest.raises(ConfigError, match="apca_api_secret_key is not"):
        find(NONE, {"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_a_file_that_cant_be_read_is_an_error(
    tmp_path: Path, unprivileged: Callable[[], AbstractContextManager[None]]
) -> None:
    (tmp_path / "apca_api_key_id").write_text(ID)
    (tmp_path / "apca_api_key_id").chmod(0)
    with unprivileged(), pytest.raises(ConfigError, match="can't be read: Permission denied"):
        find(NONE, {"CREDENTIALS_DIRECTORY": str(tmp_path)})


@pytest.mark.parametrize("odd", ["two words", "line\nbreak", "schlüssel", "nul\x00", "tab\tbed"])
def test_what_cant_be_a_key_is_refused_without_showing_it(odd: str) -> None:
    """Such a key would otherwise come up in an error of the HTTP library."""
    with pytest.raises(ConfigError, match="APCA_API_SECRET_KEY holds has characters") as caught:
        find(NONE, {"APCA_API_KEY_ID": ID, "APCA_API_SECRET_KEY": odd})
    assert odd not in str(caught.value)


@pytest.mark.parametrize(
    ("key_id", "live", "said"),
    [
        ("PKTEST", True, "paper key.*leave out --live"),
        ("AKTEST", False, "live key.*add --live"),
    ],
)
def test_a_key_of_the_other_kind_of_account_is_refused_before_anything_is_sent(
    key_id: str, live: bool, said: str
) -> None:
    environ = {"APCA_API_KEY_ID": key_id, "APCA_API_SECRET_KEY": SECRET}
    with pytest.raises(ConfigError, match=said):
        connect(Config(broker="alpaca", live=live), NONE, environ)


@pytest.mark.parametrize(
    ("environ", "live"),
    [
        ({"APCA_API_KEY_ID": "PKTEST", "APCA_API_SECRET_KEY": SECRET}, True),
        ({"APCA_API_KEY_ID": "AKTEST", "APCA_API_SECRET_KEY": SECRET}, False),
        ({"APCA_API_KEY_ID": ID, "APCA_API_SECRET_KEY": "two words"}, False),
        ({"APCA_API_KEY_ID": ID}, False),
        ({"APCA_API_SECRET_KEY": SECRET}, False),
    ],
)
def test_what_is_wrong_with_a_key_reads_well_once_secrets_are_masked(
    environ: dict[str, str], live: bool
) -> None:
    with pytest.raises(ConfigError) as caught:
        connect(Config(broker="alpaca", live=live), NONE, environ)
    assert Redactor()(str(caught.value)) == str(caught.value)


def test_nothing_tells_a_key(script: Any) -> None:
    """Not what is printed, logged or raised, whatever goes wrong on the wire."""
    settings = AlpacaSettings(key_id=ID, secret_key=SECRET, request_timeout=0.2)
    lines: list[str] = []
    sink = logger.add(lines.append, diagnose=False, backtrace=True)
    broker = AlpacaBroker(connect(Config(broker="alpaca", url=script.url), settings, {}))
    connection = broker._connection
    script.then(
        script.answer(401, {"message": "unauthorized."}), script.answer(500), script.reset,
        script.reset, script.hang, script.answer(200, b"<html>"), script.answer(200, b"<html>"),
    )  # fmt: skip
    try:
        for _ in range(5):
            try:
                broker.account()
            except SmabotError as error:
                logger.opt(exception=error).error("failed: {}", error)
                lines += traceback.format_exception(error)
    finally:
        logger.remove(sink)
        broker.close()
    lines += [
        repr(settings),
        str(settings),
        repr(connection.credentials),
        settings.model_dump_json(),
    ]
    lines += [repr(vars(connection)), repr(vars(broker))]
    told = "\n".join(lines)
    assert len(lines) > 10
    assert ID not in told
    assert SECRET not in told
    assert script.requests[0].headers["apca-api-secret-key"] == SECRET
