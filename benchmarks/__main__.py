"""Run the benchmarks, all or those named, and print each figure beside its goal and its floor."""

from __future__ import annotations

import argparse
import sys
import tempfile
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
    missed = []
    for name in given.names or BENCHMARKS:
        report.title(name)
        with tempfile.TemporaryDirectory(prefix="smabot-", dir=given.folder) as folder:
            for figure in BENCHMARKS[name](given.quick, Path(folder)):
                report.show(figure)
                if figure.missed:
                    missed.append(f"{name}: {figure.what}")
    report.verdict(missed)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
