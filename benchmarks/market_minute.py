"""One market-wide minute: 11,000 symbols in one step through the real engine, sma and risk, with its
commit to SQLite and the orders to the exchange in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from benchmarks.report import Figure, middle
from benchmarks.sessions import config, opened, ready
from benchmarks.tapes import steps, write_csv
from smabot.engine.start.bot_session import BotSession

SYMBOLS = 11_000
GOAL = 0.3
SMA = {"fast": 2, "slow": 4}
QUIET = 6
"""Minutes before the first crossing, and between crossings."""


def run(quick: bool, folder: Path) -> Iterator[Figure]:
    """Yield the seconds of a minute without crossings, and of one with 500 and 2,000."""
    for crossing in (500, 2_000):
        place = folder / str(crossing)
        place.mkdir()
        yield from _session(crossing, 2 if quick else 6, place)


def _session(crossing: int, rounds: int, folder: Path) -> Iterator[Figure]:
    tape = folder / "tape.csv"
    write_csv(tape, steps(SYMBOLS, crossing, QUIET, rounds + 1), SYMBOLS)
    session = opened(config(folder, {"sma": SMA}, tape=str(tape)))
    try:
        spent = _Spent(session)
        engine = ready(session)
        assert session.feed is not None
        minutes = []
        for _ in range(QUIET * (rounds + 1)):
            spent.clear()
            begun, worked = perf_counter(), process_time()
            batch = session.feed.next(0)
            assert batch is not None
            engine.process(batch)
            spent["cpu"] = process_time() - worked
            minutes.append((perf_counter() - begun, dict(spent)))
    finally:
        session.close()
    crossings = [minutes[QUIET * n] for n in range(1, rounds + 1)]
    following = [minutes[QUIET * n + 1] for n in range(1, rounds + 1)]
    if crossing == 500:
        quiet = [minutes[QUIET * n - 1] for n in range(1, rounds + 1)]
        yield _figure("no order", quiet)
    yield _figure(f"{crossing:,} orders", crossings)
    yield _figure(f"{crossing:,} fills", following)


def _figure(what: str, minutes: list[tuple[float, dict[str, float]]]) -> Figure:
    total = middle([seconds for seconds, _ in minutes])
    parts = {name: middle([p.get(name, 0.0) for _, p in minutes]) for name in _Spent.PARTS}
    parts["decide"] = total - sum(parts.values())
    parts["of which CPU"] = middle([p["cpu"] for _, p in minutes])
    note = ", ".join(f"{name} {seconds * 1e3:.0f}" for name, seconds in parts.items())
    return Figure(f"{SYMBOLS:,} symbols, {what}", total, "s", most=GOAL, note=f"ms: {note}")


class _Spent(dict[str, float]):
    """Seconds spent in the exchange, in commits and in sending, by wrapping this session's own."""

    PARTS = ("exchange", "commit", "send")

    def __init__(self, session: BotSession) -> None:
        super().__init__()
        self._wrap(session.feed, "next", "exchange")
        self._wrap(session.journal, "commit", "commit")
        for method in ("submit", "submit_many"):
            self._wrap(session.broker, method, "send")

    def _wrap(self, owner: Any, method: str, part: str) -> None:
        inner: Callable[..., Any] | None = getattr(owner, method, None)
        if inner is None:
            return

        def timed(*given: Any) -> Any:
            begun = perf_counter()
            try:
                return inner(*given)
            finally:
                self[part] = self.get(part, 0.0) + perf_counter() - begun

        setattr(owner, method, timed)
