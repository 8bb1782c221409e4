"""What is measured of smabot and its peers; seconds are the processor's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from time import process_time
from unittest.mock import patch

from benchmarks.peers.bars import write_bars
from benchmarks.peers.comparison import Answer, difference
from benchmarks.peers.own import Own
from benchmarks.process import Ended, spawn
from benchmarks.report import Figure, middle
from smabot_exchange.data.bar_columns import BarColumns
from smabot_exchange.data.data_files import DataFiles
from smabot_exchange.ledger.imported_columns import imported_columns

OWN = "smabot"
LEAST = {"backtesting": 0.4, "nautilus": 6.0}
"""Goals: smabot's bars a second, in process, by those of a peer."""
SESSIONS = 43
MOST = {"": 1.0, ", first time": 1.0, ", all tables written": 2.0}
"""Goals: smabot's seconds, the whole process, by those of backtesting.py."""
SIZES = (10_000, 100_000, 1_000_000)
MOST_SYMBOLS = 500
READ = 1_000_000
Commands = Mapping[str, Sequence[str]]


class TradesDiffer(Exception):
    """A peer's trades are not smabot's; the text says which is the first."""


def answer(command: Sequence[str], own: Own) -> Answer:
    """Run a driver; return what it says. Raises RuntimeError when it fails."""
    return Answer.of(spawn(command, variables=own.variables).lines[-1])


def in_process(peers: Commands, data: Path, own: Own, rounds: int) -> Iterator[Figure]:
    """Yield bars a second of the backtest alone, in interleaved rounds.

    Raises TradesDiffer, before any figure.
    """
    commands = {OWN: [*own.driver(data)], **{name: [*peers[name], str(data)] for name in peers}}
    played = {name: [answer(command, own)] for name, command in commands.items()}
    require_same({name: answers[0] for name, answers in played.items()})
    for _ in range(rounds - 1):
        for name, command in commands.items():
            played[name].append(answer(command, own))
    speeds = {name: [a.bars / a.cpu for a in answers] for name, answers in played.items()}
    first = played[OWN][0]
    note = f"an order in {first.bars / max(len(first.trades), 1):.0f} bars"
    yield Figure(OWN, middle(speeds[OWN]), "bars/s", note=note)
    for name in peers:
        ratios = [ours / theirs for ours, theirs in zip(speeds[OWN], speeds[name], strict=True)]
        yield Figure(name, middle(speeds[name]), "bars/s", note="the same trades")
        yield Figure(f"smabot : {name}", middle(ratios), "×", least=LEAST.get(name))


def require_same(answers: Mapping[str, Answer]) -> None:
    """Raise TradesDiffer where a peer's bars or trades are not smabot's."""
    ours = answers[OWN]
    if not ours.trades:
        raise TradesDiffer("smabot has no trades: nothing to compare")
    for name, theirs in answers.items():
        if theirs.bars != ours.bars:
            raise TradesDiffer(f"{name}: it has {theirs.bars:,} bars, smabot {ours.bars:,}")
        if found := difference(ours.trades, theirs.trades):
            raise TradesDiffer(f"{name}: {found}")


def whole_process(peers: Commands, own: Own, rounds: int) -> Iterator[Figure]:
    """Yield the seconds of whole processes over some sessions, from exec to exit."""
    data = own.folder / "sessions.csv"
    write_bars(data, SESSIONS * 390)
    seconds: dict[str, list[float]] = {}
    for each in range(rounds + 1):
        spent = {
            "smabot, first time": own.backtest(data, cached=False).cpu,
            "smabot": own.backtest(data).cpu,
            "smabot, all tables written": own.backtest(data, tables=True).cpu,
            **{
                name: spawn([*peers[name], str(data)], variables=own.variables).cpu
                for name in peers
            },
        }
        for name, cpu in spent.items() if each else ():  # the first one warms the disk's cache
            seconds.setdefault(name, []).append(cpu)
    for name, spans in seconds.items():
        yield Figure(name, middle(spans), "s CPU")
    if "backtesting" in peers:
        theirs = seconds["backtesting"]
        for kind, most in MOST.items():
            ratios = [a / b for a, b in zip(seconds[f"smabot{kind}"], theirs, strict=True)]
            yield Figure(f"smabot{kind} : backtesting", middle(ratios), "×", most=most)


def growth(own: Own, rounds: int, symbols: int = 1) -> Iterator[Figure]:
    """Yield seconds and peak memory of `smabot backtest` over more and more bars, of so many symbols."""
    played: dict[int, list[Ended]] = {}
    for size in SIZES:
        data = own.folder / f"{size}-{symbols}.csv"
        write_bars(data, size, symbols)
        own.backtest(data)
        played[size] = [own.backtest(data) for _ in range(rounds)]
        yield Figure(f"{size:,} bars", middle([each.cpu for each in played[size]]), "s CPU")
        yield Figure("its peak memory", middle([each.peak for each in played[size]]), "MiB")
    early, late = (_each_bar(played, small, large) for small, large in pairwise(SIZES))
    yield Figure("a later bar : an early one", late / early, "×", most=1.1)


def _each_bar(played: Mapping[int, Sequence[Ended]], small: int, large: int) -> float:
    """Return the seconds that each bar more costs."""
    before, after = (middle([each.cpu for each in played[size]]) for size in (small, large))
    return (after - before) / (large - small)


def columns(own: Own, rounds: int) -> Iterator[Figure]:
    """Yield the seconds to read the exchange's cached bars back: as columns, checked, and as bars."""
    data = own.folder / f"{READ}-1.csv"
    if not data.exists():
        write_bars(data, READ)
    with patch.dict("os.environ", own.variables):
        files = DataFiles(data)
        bars = len(imported_columns(files).minutes)
        opened = [_seconds(lambda: imported_columns(files)) for _ in range(rounds)]
        kept = imported_columns(files)
        read = [_seconds(lambda: _read(kept)) for _ in range(rounds)]
    yield Figure(f"{bars:,} bars of the cache", middle(opened), "s CPU", most=0.2)
    yield Figure("each as an object", middle(read), "s CPU")


def _seconds(call: Callable[[], object]) -> float:
    begun = process_time()
    call()
    return process_time() - begun


def _read(kept: BarColumns) -> None:
    start = kept.minutes[0]
    while minutes := kept.minutes_from(start):
        start = int(minutes[-1][0].timestamp()) + 1
