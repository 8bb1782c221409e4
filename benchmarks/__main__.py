"""Run the benchmarks, all or those named, and print each figure beside its goal and its floor."""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks import cli, durable, engine, market_minute, report, restart

BENCHMARKS = {
    "engine": engine.run,
    "durable": durable.run,
    "restart": restart.run,
    "market-minute": market_minute.run,
    "cli": cli.run,
}


def main() -> int:
    """Return 0 when every goal that was measured is met, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller tables")
    parser.add_argument(
        "--folder", type=Path, help="where to write, on the disk to be measured [the system's]"
    )
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in BENCHMARKS]:
        parser.error(f"no benchmark '{unknown[0]}'; there are: {', '.join(BENCHMARKS)}")
    report.machine()
    missed: list[str] = []
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as fresh:
        for name in given.names or BENCHMARKS:
            missed += fresh.submit(run, name, given.quick, given.folder).result()
    report.verdict(missed)
    return 1 if missed else 0


def run(name: str, quick: bool, parent: Path | None) -> list[str]:
    """Run one benchmark, in a process of its own: memory and settings of one are not the next's."""
    report.title(name)
    missed = []
    with tempfile.TemporaryDirectory(prefix="smabot-", dir=parent) as folder:
        for figure in BENCHMARKS[name](quick, Path(folder)):
            report.show(figure)
            if figure.missed:
                missed.append(f"{name}: {figure.what}")
    return missed


if __name__ == "__main__":
    sys.exit(main())
