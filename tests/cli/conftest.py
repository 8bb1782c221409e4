"""A database with a little of everything, and ways to call the command line."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import resource
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from smabot.cli import main
from smabot.domain.bot_records import Run
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import (
    Account,
    Bar,
    EquityPoint,
    Fill,
    Order,
    Position,
    Signal,
    SignalState,
)

D = Decimal
SMABOT = str(Path(sys.executable).with_name("smabot"))
NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def call(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Call the entry point in this process."""

    def call(*arguments: str) -> Result:
        code = main(arguments)
        return Result(code, *capsys.readouterr())

    return call


@pytest.fixture
def execute(in_tmp: Path, fork: Callable[..., Any]) -> Callable[..., Result]:
    """Run a command in a process of its own; ``typed``: on a terminal."""

    def execute(*arguments: str, typed: str | None = None, **variables: str) -> Result:
        return Result(*fork(arguments, variables, in_tmp, typed=typed))

    return execute


@pytest.fixture
def execute_itself(in_tmp: Path) -> Callable[..., Result]:
    """Run the real executable."""

    def execute(*arguments: str, **variables: str) -> Result:
        done = subprocess.run(
            [SMABOT, *arguments],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return execute


@pytest.fixture
def on_terminal(in_tmp: Path, fork: Any) -> Callable[..., str]:
    """Return all that a command writes to a terminal of a width, where something may be typed."""

    def on_terminal(
        *arguments: str,
        columns: int = 80,
        typed: str = "",
        code: int = 0,
        no_color: bool = True,
    ) -> str:
        pid, terminal = pty.fork()
        if pid == 0:
            for name in ("COLUMNS", "LINES", "NO_COLOR"):
                os.environ.pop(name, None)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            fork.become(
                arguments, {"TERM": "xterm-256color"} | ({"NO_COLOR": "1"} if no_color else {})
            )
        seen = b""
        if typed:
            os.write(terminal, f"{typed}\n".encode())
        with suppress(OSError):  # Linux's way to say that nobody has the other end any more
            while part := os.read(terminal, 65536):
                seen += part
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == code, seen.decode()
        return seen.decode()

    return on_terminal


@pytest.fixture
def journal(in_tmp: Path) -> Any:
    """A journal open for writing on the default database."""
    sqlite = pytest.importorskip("smabot_persistence_sqlite.journal")
    opened = sqlite.SqliteJournal.open(Path("data/trades.db"), _record_kinds())
    yield opened
    opened.close()


@cache
def _record_kinds() -> Sequence[type]:
    from smabot.cli.app import App

    return App().record_kinds()


def order(number: int, symbol: str, side: Side, status: Status, **changes: Any) -> Order:
    created = NOON + timedelta(days=number)
    return Order(
        **{
            "client_order_id": f"smabot-sma-{symbol}-{number}", "strategy": "sma",
            "symbol": symbol, "side": side, "qty": D(10), "type": OrderType.MARKET,
            "limit_price": None, "time_in_force": TimeInForce.DAY,
            "bar_time": created - timedelta(minutes=1), "attempt": 1,
            "reduces": side is Side.SELL, "created_at": created, "status": status, **changes,
        }
    )  # fmt: skip


def fill(number: int, side: Side, pnl: str, time: datetime, part: int = 10) -> Fill:
    return Fill(
        f"smabot-sma-SPY-{number}", D(part), "sma", "SPY", side, D(10), D("1234.5"), D(pnl), time,
        side is Side.SELL,
    )  # fmt: skip


RECORDS: list[Any] = [
    Account("A1", "exchange", D("90000"), D("100000"), NOON),
    order(0, "SPY", Side.BUY, Status.FILLED, filled_qty=D(10), filled_avg_price=D("1234.5")),
    order(1, "SPY", Side.SELL, Status.BLOCKED, reason="said [bold]no[/] \x1b[31m"),
    order(2, "IBM", Side.BUY, Status.ACCEPTED),
    fill(0, Side.BUY, "0", NOON),
    fill(1, Side.SELL, "-12.345678", NOON + timedelta(hours=1)),
    fill(1, Side.SELL, "1", NOON + timedelta(hours=1, seconds=5), part=20),
    fill(2, Side.SELL, "100", datetime(2026, 4, 1, 3, 59, tzinfo=UTC)),  # 31 March in New York
    Position("sma", "SPY", D(10), D("12345"), D("1234.5"), D("88.654322"), NOON),
    Position("sma", "KO", D(0), D(0), D(0), D(0), NOON),
    Signal("SPY", 1, NOON, 1234.5, "sma", label="BUY", reason="crossed"),
    SignalState("sma", "SPY", "BUY", 1, NOON),
    *(
        EquityPoint(NOON + timedelta(minutes=n), D(equity), D(90000), D(equity) - 90000, D(0))
        for n, equity in enumerate(["100000", "110000", "99000", "105000.5"])
    ),
    Run("r1", 2**22 + 1, "0.1.0", "sma", "PAPER", NOON, ready_ms=12.5),
]
BARS = [Bar("SPY", NOON, 1240.0, 1241.0, 1239.0, 1240.5, 100.0)]


@pytest.fixture
def database(journal: Any) -> Path:
    """A database that no bot runs on: its last one was killed."""
    journal.commit(RECORDS, BARS)
    journal.close()
    return Path("data/trades.db")


@pytest.fixture
def make_order() -> Callable[..., Order]:
    return order


@pytest.fixture
def is_quick() -> Callable[[list[str], Mapping[str, str]], bool]:
    """Whether a command takes 0.2 s of the CPU, or on a slow machine three times what importing click takes."""

    def seconds(command: list[str], environ: Mapping[str, str]) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=environ, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    def is_quick(command: list[str], environ: Mapping[str, str]) -> bool:
        floor = [sys.executable, "-c", "import click"]
        for each in (command, floor):
            seconds(each, environ)  # compiles
        return any(
            seconds(command, environ) < max(0.2, 3 * seconds(floor, environ)) for _ in range(20)
        )

    return is_quick
