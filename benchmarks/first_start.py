"""What a first start and a restart cost the processor: the whole process, one minute of the simulated market.

    python -m benchmarks.first_start --against OTHER/bin/smabot --pairs 11

compares with another environment's command, in pairs, so that other programs slow both.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import report
from benchmarks.process import SMABOT, python_cpu, spawn
from benchmarks.report import Figure, middle

FIRST, SECOND = "2026-03-02T14:31:00Z", "2026-03-02T14:32:00Z"
FLOOR = "import click, pluggy, pydantic, loguru"
KINDS = {
    "first start": (True, ()),
    "first start, in process": (True, ("--broker", "exchange")),
    "restart": (False, ()),
    "restart, in process": (False, ("--broker", "exchange")),
}
"""Alpaca's client talks to the embedded exchange unless it says "in process"."""
MOST = {"first start": 0.55, "restart": 0.9}
"""Goals: times the processor seconds of the commit before sessions and schema came as prepared data."""


def run(quick: bool, folder: Path) -> Iterator[Figure]:
    """Yield the floor, and the processor seconds of each kind of start."""
    count = 3 if quick else 9
    yield Figure(f"floor: {FLOOR}", middle(python_cpu(FLOOR, count)), "s CPU")
    for kind in KINDS:
        spent = [_cpu(SMABOT, kind, folder / "own") for _ in range(count + 1)]
        yield Figure(kind, middle(spent[1:]), "s CPU")


def against(other: str, pairs: int, folder: Path) -> Iterator[Figure]:
    """Yield how many times the other command's processor seconds this one takes, the median of pairs."""
    for kind in KINDS:
        one_pair = partial(_pair, other, kind, folder)
        one_pair()
        rounds = [one_pair() for _ in range(pairs)]
        ours, theirs = (middle(list(each)) for each in zip(*rounds, strict=True))
        yield Figure(
            f"{kind}: this one : the other", middle([a / b for a, b in rounds]), "×",
            most=MOST.get(kind), note=f"{ours:.2f} s : {theirs:.2f} s CPU",
        )  # fmt: skip


def _pair(other: str, kind: str, folder: Path) -> tuple[float, float]:
    return _cpu(SMABOT, kind, folder / "own"), _cpu(other, kind, folder / "other")


def _cpu(command: str, kind: str, place: Path) -> float:
    """Return the processor seconds of one start, in a folder that is new where it is a first one."""
    first, options = KINDS[kind]
    place = place / kind
    if first:
        shutil.rmtree(place, ignore_errors=True)
    base = [
        command, "run", "--plugins", "sma,risk", "--speed", "max", "--json", "--tape", "made",
        "--db", str(place / "trades.db"), *options, "--until",
    ]  # fmt: skip
    if not first and not place.exists():
        spawn([*base, FIRST])
    place.mkdir(parents=True, exist_ok=True)
    return spawn([*base, FIRST if first else SECOND]).cpu


def main() -> int:
    """Return 0 when the goals are met, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_start", description=__doc__)
    parser.add_argument("--against", required=True, metavar="SMABOT", help="another one's command")
    parser.add_argument("--pairs", type=int, default=11)
    given = parser.parse_args()
    report.machine()
    missed = []
    with tempfile.TemporaryDirectory(prefix="smabot-") as folder:
        for figure in against(given.against, given.pairs, Path(folder)):
            report.show(figure)
            missed += [figure.what] * figure.missed
    report.verdict(missed)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
