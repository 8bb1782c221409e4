"""`smabot` as a child process of the soak: any of its commands, with its work counted and told.

``python -m benchmarks.soak.bot '{"pipe": 5}' run …``: the first argument is `Told` as JSON; what was measured
goes to that pipe, one JSON object a line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.soak.counting import Calls, SqlWork, memory_of, size_of

Fields = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """What the parent tells a child. ``strike``: say so at that minute, to be killed soon after it; ``count``:
    count calls, which takes its time; ``faults``: of the exchange in this process."""

    pipe: int
    strike: int = -1
    count: bool = False
    faults: list[Fields] = field(default_factory=list)
    seed: int = 0
    wal: str = "trades.db-wal"


class Child:
    """Measures this process."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._sql = SqlWork()
        self._calls = Calls()
        self._steps: list[int] = []
        self._minutes = 0
        self._day = ""
        self._sql_before = 0

    def main(self, arguments: list[str]) -> int:
        """Carry a command out; returns its exit code."""
        self._sql.watch_connections()
        if self._told.count:
            self._calls.begin()
        if arguments[0] == "run":
            self._watch_run()
        from smabot.cli import main

        try:
            return main(arguments)
        finally:
            if arguments[0] != "run":
                self._say("done")
            self._end_session()

    def _watch_run(self) -> None:
        import smabot_exchange.opening as opening
        from smabot.engine.loop import Engine
        from smabot.engine.start import recovery

        opening.open_exchange = self._with_faults(opening.open_exchange)
        recovery.recover = self._told_when_ready(recovery.recover)
        Engine.take = self._timed(Engine.take)  # type: ignore[method-assign]

    def _with_faults(self, opens: Callable[..., Any]) -> Callable[..., Any]:
        def opened(*args: Any, **options: Any) -> Any:
            from smabot_exchange.faults.fault_files import parse_faults

            exchange = opens(*args, **options)
            _, faults = parse_faults({"faults": self._told.faults})
            for flag in list(exchange.flags):  # the market stands still while no bot runs
                exchange.flag(flag, False)
            exchange.faults.seed = self._told.seed
            exchange.faults.add(faults)
            return exchange

        return opened

    def _told_when_ready(self, recover: Callable[..., Any]) -> Callable[..., Any]:
        def recovered(*args: Any, **options: Any) -> Any:
            engine = recover(*args, **options)
            self._say("ready")
            self._sql_before = self._sql.total
            return engine

        return recovered

    def _timed(self, take: Callable[..., None]) -> Callable[..., None]:
        def timed(engine: Any, batch: Any) -> None:
            begun = time.thread_time_ns()
            take(engine, batch)
            self._steps.append((time.thread_time_ns() - begun) // 1000)
            if batch.bars:
                self._note_minute(batch.time)

        return timed

    def _note_minute(self, now: Any) -> None:
        self._minutes += 1
        if self._minutes == self._told.strike:
            self._send({"strike": self._minutes})
        if (day := f"{now:%Y-%m-%d}") != self._day:
            self._end_session()
            self._day = day

    def _end_session(self) -> None:
        """Tell what a session took: CPU microseconds of each step, SQL instructions, memory."""
        if self._steps:
            rss, pss = memory_of()
            self._send({
                "session": self._day, "steps": self._steps, "rss": rss, "pss": pss,
                "sql": self._sql.total - self._sql_before, "wal": size_of(Path(self._told.wal)),
            })  # fmt: skip
        self._steps, self._sql_before = [], self._sql.total

    def _say(self, what: str) -> None:
        """Tell what was done until now; calls are not counted any more."""
        calls, (rss, pss) = self._calls.end(), memory_of()
        self._send({
            what: time.process_time(), "calls": calls, "sql": self._sql.total, "rss": rss, "pss": pss,
        })  # fmt: skip

    def _send(self, fields: Fields) -> None:
        text = json.dumps(fields).encode() + b"\n"
        while text:
            text = text[os.write(self._told.pipe, text) :]


if __name__ == "__main__":
    sys.exit(Child(Told(**json.loads(sys.argv[1]))).main(sys.argv[2:]))
