"""One market-wide minute over the wire: 11,000 symbols from the exchange's frames on a websocket of
loopback, through alpaca-py's stream and the real engine, to the commit in SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, cast

from websockets.legacy.protocol import WebSocketCommonProtocol

from benchmarks.report import Figure, middle
from benchmarks.served import served
from benchmarks.sessions import config, opened, ready
from benchmarks.tapes import steps, write_csv
from smabot.engine.start.bot_session import BotSession

SYMBOLS = 11_000
CROSSING = 500
GOAL = 0.6
SMA = {"fast": 2, "slow": 4}
QUIET = 4
"""Minutes before the first crossing, and between crossings."""


@dataclass(slots=True)
class Minute:
    """When things happened, in seconds; and seconds of the CPU up to its commit."""

    asked: float
    first_byte: float = 0.0
    gathered: float = 0.0
    committed: float = 0.0
    cpu: float = field(default_factory=process_time)


def run(quick: bool, folder: Path) -> Iterator[Figure]:
    """Yield the seconds of a minute without orders, and of one with some, each with its parts."""
    rounds = 3 if quick else 8
    tape = folder / "tape.csv"
    write_csv(tape, steps(SYMBOLS, CROSSING, QUIET, rounds + 1), SYMBOLS)
    with served(folder, str(tape)) as url:
        minutes = _minutes(folder, url, QUIET * (rounds + 1))
    crossings = range(QUIET, len(minutes), QUIET)
    yield _figure("no order", [minutes[n - 1] for n in crossings])
    yield _figure(f"{CROSSING:,} orders committed", [minutes[n] for n in crossings])


def _figure(what: str, minutes: list[Minute]) -> Figure:
    parts = {
        "receive": [m.gathered - m.first_byte for m in minutes],
        "step": [m.committed - m.gathered for m in minutes],
        "CPU of all": [m.cpu for m in minutes],
        "exchange before": [m.first_byte - m.asked for m in minutes],
    }
    note = ", ".join(f"{name} {middle(seconds) * 1e3:.0f}" for name, seconds in parts.items())
    whole = middle([m.committed - m.first_byte for m in minutes])
    return Figure(f"{SYMBOLS:,} symbols, {what}", whole, "s", most=GOAL, note=f"ms: {note}")


def _minutes(folder: Path, url: str, count: int) -> list[Minute]:
    minutes: list[Minute] = []
    session = opened(config(folder, {"sma": SMA}, broker="alpaca", url=url))
    try:
        with _watched(session, minutes):
            engine = ready(session)
            assert session.feed is not None
            while len(minutes) < count:
                minutes.append(minute := Minute(perf_counter()))
                batch = session.feed.next(1)
                minute.gathered = perf_counter()
                assert batch is not None
                engine.process(batch)
                if not batch.bars:  # updates of orders
                    minutes.pop()
    finally:
        session.close()
    return minutes


@contextmanager
def _watched(session: BotSession, minutes: list[Minute]) -> Iterator[None]:
    """Note each minute's first byte of the data stream, and the end of its commit."""
    protocol, journal = cast(Any, WebSocketCommonProtocol), cast(Any, session.journal)
    received, commit = protocol.data_received, journal.commit

    def data_received(self: Any, data: bytes) -> None:
        if minutes and not minutes[-1].first_byte and self.path.startswith("/v2/"):
            minutes[-1].first_byte = perf_counter()
        received(self, data)

    def committed(rows: Any, bars: Any = ()) -> None:
        commit(rows, bars)
        if minutes and bars:
            minutes[-1].committed = perf_counter()
            minutes[-1].cpu = process_time() - minutes[-1].cpu

    journal.commit = committed
    protocol.data_received = data_received
    try:
        yield
    finally:
        protocol.data_received = received
