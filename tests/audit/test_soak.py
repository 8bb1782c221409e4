"""Days of random trading with deposits, fees, dividends, partial fills and kills end with a clean audit."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

pytestmark = pytest.mark.plugins
SMABOT = str(Path(sys.executable).with_name("smabot"))
KINDS = ("CSD", "CSW", "DIV", "INT", "FEE", "JNLC")
SETTINGS = """
[default.plugin.exchange]
costs = "alpaca"
max_volume_share = "0.001"
[default.sizing]
shares = 40
"""


def faults(seed: int) -> str:
    """Cash that moves at random minutes of three days, some of it listed late, but before the close."""
    chance, texts = Random(seed), [f"seed = {seed}"]
    for number in range(40):
        hour, minute = divmod(chance.randrange(14 * 60 + 40, 20 * 60 + 10), 60)
        kind = chance.choice(KINDS)
        amount = chance.randint(1, 20_000) / 100 * (-1 if kind in ("CSW", "FEE") else 1)
        texts.append(
            f'[[faults]]\nkind = "cash_moved"\nname = "m{number}"\namount = {amount}\n'
            f'activity_type = "{kind}"\nlisted_after = {chance.choice((0, 0, 0, 5, 45))}\n'
            f"since = 2026-03-0{chance.randint(2, 4)}T{hour:02d}:{minute:02d}:00Z"
        )
    texts.append('[[faults]]\nkind = "update_dropped"\nprobability = 0.1')
    return "\n".join(texts)


@pytest.fixture
def url(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an exchange with these faults."""
    (tmp_path / "settings.toml").write_text(SETTINGS)
    (tmp_path / "faults.toml").write_text(faults(request.param))
    data = f"simulated:symbols=3,sessions=3,seed={request.param}"
    line = [SMABOT, "exchange", "serve", "--port", "0", "--speed", "step", "--data", data]
    with subprocess.Popen(
        [*line, "--faults", "faults.toml", "--ledger", "ledger.db"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as server:  # fmt: skip
        assert server.stdout is not None
        address = next(line for line in server.stdout if "listens" in line).split()[1]
        yield address
        server.send_signal(signal.SIGINT)
        server.stdout.read()


@pytest.mark.slow(seconds=80)
@pytest.mark.parametrize("url", [1, 2], indirect=True)
def test_the_audit_is_clean_after_days_of_trading_with_kills(url: str, tmp_path: Path) -> None:
    chance = Random(7)
    common = ["--url", url, "--db", "bot.db"]
    line = [SMABOT, "run", "--plugins", "sma", "--speed", "max", *common]
    for _ in range(4):
        with subprocess.Popen(
            line, cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as bot:
            time.sleep(3 + chance.random() * 2)
            bot.kill()
    subprocess.run(line, cwd=tmp_path, check=True, capture_output=True)
    audited = subprocess.run(
        [SMABOT, "audit", "--json", *common],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    found = json.loads(audited.stdout)
    assert (audited.returncode, found["differences"]) == (0, [])
    assert found["movements"] == 40
    assert found["executions"] > found["orders"] > 20
    events = subprocess.run(
        [SMABOT, "events", "--kind", "audit_agreed,audit_differs", "--json", "--db", "bot.db"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    told = [(each["kind"], each["text"]) for each in json.loads(events.stdout)["events"]]
    assert [kind for kind, _ in told] == ["audit_agreed"] * 3, told
