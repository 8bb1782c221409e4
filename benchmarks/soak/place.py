"""The folder of a soak: its settings, its two databases, and the processes that work on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.process import SMABOT
from benchmarks.soak.bot import Told
from benchmarks.soak.faults import MARKET, WIRE
from benchmarks.soak.market import Market

ROOT = Path(__file__).parents[2]
PATIENCE = 1800.0
_SETTINGS = """\
[default]
db = "trades.db"
broker = "{broker}"
speed = "max"
reconcile_every_minutes = 30
{where}

[default.plugin.sma]
fast = 30
slow = 120

[default.plugin.risk.daily_limits]
max_orders = {max_orders}
max_loss = {max_loss}

[default.plugin.risk.circuit_breaker]
max_failures = 3
cool_down_minutes = 390
"""
MAX_ORDERS, MAX_LOSS = 100, 400
"""Limits that are reached now and then."""


class Failed(RuntimeError):
    """A process ended as none must."""


class Place:
    """Starts the bot and the commands of `smabot` in a folder; each tells what it measures."""

    def __init__(self, folder: Path, market: Market) -> None:
        self.folder = folder
        self.market = market
        self.db = folder / "trades.db"
        self.ledger = folder / "trades.exchange.db"
        self.served = 0
        """The process id of an exchange that is served; 0: it is in the bot's process."""
        self.write_settings("exchange", f'data = "{market.data}"')

    def write_settings(self, broker: str, where: str) -> None:
        text = _SETTINGS.format(
            broker=broker, where=where, max_orders=MAX_ORDERS, max_loss=MAX_LOSS
        )
        (self.folder / "settings.toml").write_text(text)

    def child(self, arguments: Sequence[str], **told: Any) -> Child:
        """Start a command of `smabot` whose work is told."""
        return Child(self, arguments, told)

    def smabot(
        self, *arguments: str, codes: Sequence[int] = (0,)
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, as an operator does.

        Raises Failed where it ends with another exit code.
        """
        done = subprocess.run(
            [SMABOT, *arguments], cwd=self.folder, env=environment(), capture_output=True, text=True,
            timeout=PATIENCE,
        )  # fmt: skip
        if done.returncode not in codes:
            raise Failed(f"smabot {' '.join(arguments)}: {done.returncode}: {done.stderr.strip()}")
        return done

    @contextmanager
    def exchange_served(self) -> Iterator[None]:
        """Serve the exchange to the bot over HTTP and websockets, a minute at a time, with faults."""
        self.ledger = self.folder / "exchange.db"
        faults = {"seed": self.market.seed, "faults": [*MARKET, *WIRE]}
        (self.folder / "faults.json").write_text(json.dumps(faults))
        command = [
            SMABOT, "exchange", "serve", "--data", self.market.data, "--speed", "step", "--port", "0",
            "--ledger", str(self.ledger), "--faults", "faults.json", "--requests-per-minute", "0",
            "--json",
        ]  # fmt: skip
        with (
            (self.folder / "exchange.log").open("w") as said,
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=said, text=True, cwd=self.folder,
                env=environment(),
            ) as child,
        ):  # fmt: skip
            try:
                assert child.stdout is not None
                url = json.loads(child.stdout.readline())["url"]
                self.served = child.pid
                self.write_settings("alpaca", f'url = "{url}"')
                yield
            finally:
                child.terminate()


class Child:
    """One life of a command; iterate to get what it tells, until it ends."""

    def __init__(self, place: Place, arguments: Sequence[str], told: dict[str, Any]) -> None:
        self.arguments = list(arguments)
        self._errors = place.folder / f"{arguments[0]}.err"
        read, write = os.pipe()
        given = Told(pipe=write, seed=place.market.seed, **told)
        command = [
            sys.executable,
            "-m",
            "benchmarks.soak.bot",
            json.dumps(asdict(given)),
            *arguments,
        ]
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                command, cwd=place.folder, env=environment(), pass_fds=(write,),
                stdout=subprocess.DEVNULL, stderr=errors,
            )  # fmt: skip
        os.close(write)
        self._answers = os.fdopen(read)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for line in self._answers:
            if line.endswith("\n"):  # a kill may cut the last one
                yield json.loads(line)

    def kill(self) -> None:
        """Kill it with SIGKILL, if it still lives."""
        self._process.kill()

    def end(self, codes: Sequence[int] = (0,)) -> int:
        """Wait for its end; returns its exit code. Raises Failed where that is none of ``codes``."""
        self._answers.close()
        code = self._process.wait(PATIENCE)
        if code not in codes:
            lines = self._errors.read_text(errors="replace").splitlines()
            raise Failed(f"{' '.join(self.arguments)}: {code}: " + "\n".join(lines[-5:]))
        return code


def environment() -> dict[str, str]:
    """Return the variables of a child: none that set up smabot, and the same hashes in each."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("APCA", "SMABOT"))}
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**kept, "PYTHONHASHSEED": "0", "PYTHONPATH": path}
