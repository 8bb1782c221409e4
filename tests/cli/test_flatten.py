"""`smabot flatten` as a person types it: asked, through a running bot, without one, and killed."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
SMABOT = str(Path(sys.executable).with_name("smabot"))
WAVE = [100.0 + (n % 40 if n % 40 < 20 else 40 - n % 40) / 4 for n in range(390)]
SETTINGS = """
[default]
broker = "exchange"
data = "tape.csv"
speed = 40
plugins = ["sma", "risk"]
[default.sizing]
shares = 20
[default.plugin.sma]
fast = 2
slow = 5
"""


_made: list[Path] = []


@pytest.fixture
def holding(
    in_tmp: Path, tape_writer: Callable[..., Path], tmp_path_factory: Any, execute: Call
) -> Path:
    """A bot that held SPY and IBM when it stopped, in a market where four shares a minute can
    be had: to sell them takes five minutes."""
    if not _made:
        tape_writer(in_tmp / "tape.csv", {"SPY": WAVE, "IBM": [w / 2 for w in WAVE]}, volume=40)
        (in_tmp / "settings.toml").write_text(SETTINGS)
        done = execute("run", "--speed", "max", "--until", "2026-03-02T15:20:00Z")
        assert done.code == 0, done.err
        _made.append(shutil.copytree(in_tmp, tmp_path_factory.mktemp("made") / "holding"))
    shutil.copytree(_made[0], in_tmp, dirs_exist_ok=True)
    assert held().keys() == {"SPY", "IBM"}
    return in_tmp


def ask(sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect("data/trades.db")) as db:
        return db.execute(sql).fetchall()


def held() -> dict[str, float]:
    sql = "SELECT symbol, SUM(qty) FROM positions_snapshot GROUP BY symbol HAVING SUM(qty) != 0"
    return {symbol: float(qty) for symbol, qty in ask(sql)}


def sold_and_bought() -> dict[str, float]:
    sql = "SELECT symbol, SUM(CASE side WHEN 'buy' THEN qty ELSE -qty END) FROM trades GROUP BY 1"
    return {symbol: float(qty) for symbol, qty in ask(sql)}


def events(text: str, kind: str) -> list[Any]:
    return [e for line in text.splitlines() if (e := json.loads(line))["event"] == kind]


# -- the question ----------------------------------------------------------------------------------


def test_there_has_to_be_a_yes(database: Path, execute: Call) -> None:
    result = execute("flatten")
    assert result.code == 2
    assert (
        result.err == "smabot: flatten asks for confirmation, and there is no terminal: add --yes\n"
    )


@pytest.mark.plugins
def test_without_a_database_there_is_nothing_to_flatten(call: Call, in_tmp: Path) -> None:
    result = call("flatten", "--yes")
    assert result.code == 3
    assert "no database at data/trades.db" in result.err


def test_a_mistyped_symbol(database: Path, call: Call) -> None:
    result = call("flatten", "--symbol", "spi", "--yes")
    assert result.code == 2
    assert (
        "--symbol SPI: no position, order or signal of it is known (did you mean 'SPY'?)"
        in result.err
    )


def test_symbols_is_not_symbol(database: Path, call: Call) -> None:
    """The option of `run` would flatten everything, if it were taken here."""
    result = call("flatten", "--symbols", "SPY", "--yes")
    assert result.code == 2
    assert "there is no option --symbols; name one symbol with --symbol" in result.err


@pytest.mark.plugins
def test_on_a_terminal_it_asks(holding: Path, execute: Call) -> None:
    before = held()
    code, _, err = execute("flatten", typed="yes\n")
    assert code == 2
    assert "PAPER: This closes" in err
    assert "and halts new entries" in err
    assert "not confirmed, nothing was started" in err
    assert held() == before
    assert execute("flatten", "--speed", "max", typed="flatten\n").code == 0
    assert held() == {}


@pytest.mark.plugins
def test_live_says_so_loudly(holding: Path, execute: Call) -> None:
    code, _, err = execute("flatten", "--live", typed="no\n")
    assert code == 2
    assert "LIVE: REAL MONEY. This closes" in err


# -- without a bot ---------------------------------------------------------------------------------


@pytest.mark.plugins
def test_without_a_bot_it_plays_on_until_all_is_flat(holding: Path, execute: Call) -> None:
    result = execute("flatten", "--yes", "--json", "--speed", "max")
    assert result.code == 0, result.err
    (summary,) = events(result.out, "summary")
    assert (summary["flat"], summary["left"], summary["halted"]) == (True, [], "flattened by hand")
    assert held() == {}
    assert execute("status", "--json").json["halted"] == "flattened by hand"
    assert "the last run closed all positions at" in execute("status").out
    assert execute("db", "check").code == 0


@pytest.mark.plugins
def test_what_is_not_flat_in_time_is_told(holding: Path, execute: Call) -> None:
    result = execute("flatten", "--symbol", "SPY", "--yes", "--speed", "1", "--timeout", "0.5")
    assert result.code == 1
    assert "1 position not flat yet: `smabot flatten` again, or `smabot run`" in result.err
    assert re.search(r"\d+ SPY +sma: its exit sma-SPY-20260302T1519Z-1 is ", result.out)
    assert "not halted: a strategy may buy SPY again" in result.out
    assert execute("run", "--speed", "max", "--until", "2026-03-02T15:50:00Z").code == 0
    (sale,) = ask(
        "SELECT status, filled_qty FROM order_intents WHERE symbol = 'SPY' AND side = 'sell' "
        "ORDER BY created_at LIMIT 1"
    )
    assert sale[0] == "filled"


@pytest.mark.plugins
def test_a_conflict_is_a_conflict(holding: Path, execute: Call) -> None:
    """Somebody else's file: an account that knows nothing of what is held here."""
    done = execute("run", "--speed", "max", "--db", "other.db", "--until", "2026-03-02T14:40:00Z")
    assert done.code == 0, done.err
    Path("other.exchange.db").replace("data/trades.exchange.db")
    result = execute("flatten", "--yes", "--json")
    assert result.code == 6
    assert ask("SELECT COUNT(*) FROM commands") == [(0,)]
    assert execute("status", "--json").json["halted"] is None


# -- killed in the middle --------------------------------------------------------------------------


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [SMABOT, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.plugins
@pytest.mark.slow
@pytest.mark.parametrize("broker", ["exchange", "alpaca"])
@pytest.mark.parametrize("seed", range(2))
def test_killed_again_and_again_nothing_is_sold_twice(
    seed: int, broker: str, holding: Path, execute: Call
) -> None:
    chance = random.Random(seed)
    for _ in range(3):
        with started("flatten", "--yes", "--json", "--broker", broker) as process:
            fills = (line for line in process.stdout or () if '"event": "fill"' in line)
            for _ in range(chance.randint(1, 3)):
                next(fills, None)
            time.sleep(chance.random() / 20)  # somewhere between two minutes
            process.send_signal(signal.SIGKILL)
    result = execute("flatten", "--yes", "--speed", "max", "--broker", broker)
    assert result.code == 0, result.err
    assert held() == {}
    assert set(sold_and_bought().values()) == {0.0}
    assert execute("reconcile", "--broker", broker).code == 0
    assert execute("db", "check").code == 0


# -- through a running bot -------------------------------------------------------------------------


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A bot that trades already and goes on while a person types."""
    with started("run", *arguments) as bot:
        assert any(line.startswith("ready in") for line in bot.stdout or ())
        yield bot


@pytest.mark.plugins
@pytest.mark.slow
@pytest.mark.parametrize("broker", ["exchange", "alpaca"])
def test_a_running_bot_does_it_and_goes_on(broker: str, holding: Path, execute: Call) -> None:
    with running("--speed", "4", "--broker", broker) as bot:
        result = execute("flatten", "--yes")
        assert result.code == 0, result.err
        assert "the running bot: closes" in result.out
        assert "all is flat" in result.out
        assert bot.poll() is None
        assert held() == {}
        bot.send_signal(signal.SIGTERM)
        bot.communicate(timeout=60)
    assert set(sold_and_bought().values()) == {0.0}


@pytest.mark.plugins
@pytest.mark.slow
def test_a_running_bot_that_is_killed_leaves_it_to_the_next(holding: Path, execute: Call) -> None:
    with running("--speed", "0.5") as bot, started("flatten", "--yes", "--timeout", "120") as verb:
        assert any("not flat" in line for line in verb.stdout or ())
        bot.send_signal(signal.SIGKILL)
        verb.communicate(timeout=120)
        assert verb.returncode == 1
    assert held() != {}
    result = execute("flatten", "--yes", "--speed", "max")
    assert result.code == 0, result.err
    assert held() == {}
    assert set(sold_and_bought().values()) == {0.0}


@pytest.mark.plugins
def test_at_the_end_of_the_data_it_says_that_no_exit_can_fill(
    in_tmp: Path, tape_writer: Callable[..., Path], execute: Call
) -> None:
    tape_writer(in_tmp / "tape.csv", {"SPY": [100.0] * 20 + [100 + n / 4 for n in range(20)]})
    (in_tmp / "settings.toml").write_text(SETTINGS.replace("speed = 40", 'speed = "max"'))
    assert execute("run").code == 0
    assert held().keys() == {"SPY"}
    for _ in range(2):
        done = execute("flatten", "--yes")
        assert done.code == 1
        assert done.err.startswith(
            "smabot: 1 position not flat: the data ended, so no exit can fill"
        )
        assert "flatten` again, or" not in done.err
        (market,) = [line for line in done.out.splitlines() if line.startswith("  market ")]
        assert market.split("  ")[-1].strip() == (
            "the data ended at 2026-03-02 16:00 ET; open orders wait for more of it"
        )
        assert done.out.count("new entries are halted") == 1
    assert execute("flatten", "--yes", "--json").code == 1
