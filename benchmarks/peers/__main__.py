"""Compare smabot's backtests with those of other libraries: first the trades, then the times.

Each library is installed once in an environment of its own. What can't be installed is named and left out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import report
from benchmarks.peers import measures
from benchmarks.peers.bars import write_bars
from benchmarks.peers.environments import DEFAULT_FOLDER, PEERS, NotInstalled, interpreter
from benchmarks.peers.own import Own
from benchmarks.report import Figure
from smabot.errors import counted


def main() -> int:
    """Return 0 when all peers were compared and all goals are met, else 1."""
    given = _parser().parse_args()
    chosen = given.only.split(",") if given.only else [measures.OWN, *PEERS]
    if unknown := sorted({*chosen} - {measures.OWN, *PEERS}):
        print(f"no peer '{unknown[0]}'; there are: {', '.join(PEERS)}", file=sys.stderr)
        return 2
    report.machine()
    peers, left_out = _commands([name for name in chosen if name != measures.OWN], given)
    missed = []
    try:
        with tempfile.TemporaryDirectory(prefix="smabot-peers-") as folder:
            parts = _parts(given, peers, Own(Path(folder)), measures.OWN in chosen)
            for name, figures in parts:
                report.title(name)
                for figure in figures:
                    report.show(figure)
                    missed += [figure.what] * figure.missed
    except measures.TradesDiffer as error:
        print(f"no times, as trades differ: {error}", file=sys.stderr)
        return 1
    report.verdict(missed)
    return 1 if missed or left_out else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=_positive, default=5, help="interleaved rounds [5]")
    parser.add_argument("--bars", type=_positive, default=100_000, help="in process [100000]")
    parser.add_argument(
        "--only", metavar="NAME,NAME", help=f"of {measures.OWN}, {', '.join(PEERS)}; without "
        f"{measures.OWN} no growth and no reading [all]",
    )  # fmt: skip
    parser.add_argument(
        "--folder", type=Path, default=DEFAULT_FOLDER, help="of environments [the system's temp]"
    )
    parser.add_argument(
        "--python", metavar="PATH", help="a Python for a library that needs a newer one than this"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _commands(names: list[str], given: argparse.Namespace) -> tuple[dict[str, list[str]], bool]:
    """Return each peer's command, and whether one was left out."""
    commands = {}
    for name in names:
        peer = PEERS[name]
        try:
            python = interpreter(peer, given.folder, given.python)
        except NotInstalled as error:
            print(f"left out: {peer.requirement}: {error}", file=sys.stderr)
        else:
            commands[name] = [python, "-W", "ignore", str(peer.driver)]
    return commands, len(commands) < len(names)


def _parts(
    given: argparse.Namespace, peers: dict[str, list[str]], own: Own, alone: bool
) -> Iterator[tuple[str, Iterator[Figure]]]:
    data = own.folder / "bars.csv"
    write_bars(data, given.bars)
    title = f"in process, {given.bars:,} bars"
    yield title, measures.in_process(peers, data, own, given.rounds)
    title = f"whole process, {measures.SESSIONS} sessions"
    yield title, measures.whole_process(peers, own, given.rounds)
    if alone:
        # Before this process grows by reading: a child's peak memory begins with its parent's.
        for symbols in (1, measures.MOST_SYMBOLS):
            title = f"growth, {counted(symbols, 'symbol')}"
            yield title, measures.growth(own, min(given.rounds, 3), symbols)
        yield "reading", measures.columns(own, given.rounds)


if __name__ == "__main__":
    sys.exit(main())
