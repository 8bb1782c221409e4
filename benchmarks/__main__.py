"""Run the benchmarks, all or those named, and print each figure beside its goal and its floor."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks import report
from benchmarks.suite import BENCHMARKS, run


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
    # Each in a process of its own: the memory of one would show as its successor's.
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as fresh:
        for name in given.names or BENCHMARKS:
            missed += fresh.submit(run, name, given.quick, given.folder).result()
    report.verdict(missed)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
