"""The page's lines that close everything with curl, as they stand there, and the start afterwards."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SMABOT = str(Path(sys.executable).with_name("smabot"))
PAGE = Path(__file__).parents[2] / "docs/operations.md"
WAVE = [100.0 + (n % 40 if n % 40 < 20 else 40 - n % 40) / 4 for n in range(390)]
KEYS = {"APCA_API_KEY_ID": "PKTEST", "APCA_API_SECRET_KEY": "the-secret"}
SETTINGS = """
[default]
symbols = ["SPY", "IBM"]
[default.plugin.sma]
fast = 2
slow = 5
"""

pytestmark = [
    pytest.mark.plugins,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here"),
]


def block() -> str:
    """The lines of the page."""
    section = PAGE.read_text().partition("## Close everything at Alpaca without this process")[2]
    found = re.search(r"```sh\n(.*?)```", section, re.S)
    assert found is not None
    return found[1]


def ask(script: str, url: str, keys: dict[str, str]) -> list[tuple[Any, int]]:
    """Run the lines against another address; returns each answer with its HTTP status."""
    script = re.sub(r"^api=\S+", f"api={url}", script, count=1, flags=re.M)
    done = subprocess.run(
        ["sh", "-eu"], input=script, env=os.environ | keys, capture_output=True, text=True, timeout=60
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.rpartition(" HTTP ") for line in done.stdout.splitlines()]
    return [(json.loads(answer) if answer else None, int(status)) for answer, _, status in lines]


def test_the_key_is_on_no_command_line() -> None:
    calls = [line for line in block().splitlines() if "curl" in line]
    assert len(calls) == 1
    assert "KEY" not in calls[0]


def test_it_closes_everything_and_the_bot_starts_again(
    serve: Callable[..., Any], in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closes = {"SPY": WAVE, "IBM": [close / 2 for close in WAVE]}
    place = serve(closes, secret=KEYS["APCA_API_SECRET_KEY"])
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    (in_tmp / "settings.toml").write_text(SETTINGS)

    def smabot(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SMABOT, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )  # fmt: skip

    ran = smabot("run", "--url", place.url, "--until", "2026-03-02T15:20:00Z")
    assert ran.returncode == 0, ran.stderr
    canceled, closed, _, before = ask(block(), place.url, KEYS)
    assert {canceled[1], closed[1]} <= {200, 207}
    assert {position["symbol"] for position in before[0]} == {"SPY", "IBM"}
    place.play(2)
    assert ask(block(), place.url, KEYS)[2:] == [([], 200), ([], 200)]

    assert smabot("halt", "closed", "at", "Alpaca").returncode == 0
    assert smabot("run", "--url", place.url).returncode == 6
    accepted = smabot("reconcile", "--accept", "broker", "--url", place.url)
    assert accepted.returncode == 0, accepted.stderr
    again = smabot("run", "--url", place.url, "--until", "2026-03-02T18:00:00Z")
    assert again.returncode == 0, again.stderr
    assert "BUY signal" in again.stdout
    status = json.loads(smabot("status", "--json").stdout)
    assert (status["halted"], status["positions"]) == ("closed at Alpaca", [])
    assert smabot("resume").returncode == 0
