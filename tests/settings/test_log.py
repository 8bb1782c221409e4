"""No sink shows a secret, and text from outside is never a format."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from smabot.errors import ConfigError
from smabot.system import log
from smabot.system.redaction import Redactor, register_secret

SECRET = "s3cr3t/value+1"


@pytest.fixture(autouse=True)
def _quiet_again() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logger.remove()
    for handler in logging.root.handlers:
        handler.close()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def test_both_sinks_are_redacted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "logs" / "bot.log"
    register_secret(SECRET)
    log.set_up("INFO", file)
    logger.info("connecting with {}", SECRET)
    logger.info("{}", "APCA-API-SECRET-KEY: abcdef Authorization: Bearer ghijkl")
    try:
        value = SECRET
        raise ValueError(f"refused {value}")
    except ValueError:
        logger.exception("failed")
    err = capsys.readouterr().err
    assert file.read_text() == err
    assert "ValueError: refused ********" in err
    for leak in (SECRET, "abcdef", "ghijkl"):
        assert leak not in err
    assert "\x1b" not in err


def test_libraries_are_taken_over(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("INFO")
    logging.getLogger("alembic.runtime").warning("%s {oops} <red>", "braces {0}")
    logging.getLogger("alembic.runtime").info("chatter")
    err = capsys.readouterr().err
    assert "WARNING alembic.runtime: braces {0} {oops} <red>\n" in err
    assert "chatter" not in err


def test_text_from_outside_is_no_format(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("INFO")
    logger.info("said: {}", "{x} {0} <level>")
    assert "said: {x} {0} <level>\n" in capsys.readouterr().err


def test_a_file_that_can_not_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"^log\.file .*can't be written: "):
        log.set_up("INFO", tmp_path / "file" / "bot.log")


def test_a_closed_stderr_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def isatty(self) -> bool:
            return False

        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Broken())
    log.set_up("INFO")
    logger.info("anybody there?")


@pytest.mark.parametrize(
    "text",
    [
        "APCA-API-KEY-ID: hidden1",
        "{'APCA-API-SECRET-KEY': 'hidden1'}",
        '{"secret_key":"hidden1"}',
        "Authorization: Basic hidden1",
        "authorization=hidden1",
        "https://user:hidden1@example.com/x",
        "?token=hidden1&x=1",
        "password = hidden1",
    ],
)
def test_what_looks_like_a_credential_is_hidden(text: str) -> None:
    assert "hidden1" not in Redactor()(text)


@pytest.mark.parametrize(
    "text",
    ["monkey business", "SPY 10.00 key", "keys: none held", "/run/api_key_id: can't be read"],
)
def test_what_does_not_is_left(text: str) -> None:
    assert Redactor()(text) == text


@given(st.lists(st.text("abcxyz0%/+", min_size=6), min_size=1, max_size=4), st.text("abcxyz0 "))
def test_no_known_secret_is_left(secrets: list[str], noise: str) -> None:
    shown = Redactor(secrets)(noise + noise.join(secrets) + noise)
    assert not any(secret in shown for secret in secrets)
