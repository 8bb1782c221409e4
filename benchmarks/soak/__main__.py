"""Soak a whole bot for months of virtual time, and show by month whether it stays flat.

python -m benchmarks.soak --sessions 250                # a year, exchange in process
python -m benchmarks.soak --sessions 20 --wire          # plugin alpaca over HTTP and websockets
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from benchmarks.soak.judgement import flatness, held
from benchmarks.soak.market import A_MONTH, Market
from benchmarks.soak.months import Month
from benchmarks.soak.place import Place
from benchmarks.soak.soaking import Soak
from benchmarks.soak.tables import show_month, show_months, show_verdicts


def main() -> int:
    """Return 0 when all that must be flat is, and all that must hold does; else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )  # fmt: skip
    parser.add_argument("--sessions", type=int, default=12, help="how many [12]")
    parser.add_argument("--symbols", type=int, default=20, help="how many [20]")
    parser.add_argument("--seed", type=int, default=7, help="of the market, faults and kills [7]")
    parser.add_argument("--month", type=int, default=A_MONTH, help="sessions of a month [21]")
    parser.add_argument("--no-kills", action="store_true", help="one life a month")
    parser.add_argument("--wire", action="store_true", help="plugin alpaca over loopback")
    parser.add_argument("--folder", type=Path, help="keep the databases there")
    given = parser.parse_args()
    market = Market(given.sessions, given.symbols, given.seed, given.month)
    with ExitStack() as stack:
        if given.folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="smabot-soak-")))
        else:
            folder = given.folder.resolve()
            if folder.exists():
                parser.error(f"--folder {given.folder}: is there already: name a new one")
            folder.mkdir(parents=True)
        place = Place(folder, market)
        if given.wire:
            stack.enter_context(place.exchange_served())
        begun = time.monotonic()

        def kept(month: Month) -> None:
            show_month(month, time.monotonic() - begun)
            figures = {**asdict(month), "steps": [month.step_median, month.step_p99]}
            with (folder / "months.jsonl").open("a") as file:
                file.write(json.dumps(figures) + "\n")

        soak = Soak(place, kills=not given.no_kills, show=kept)
        soak.run()
        show_months(soak.months)
        verdicts = [*flatness(soak.months), *held(place)]
        show_verdicts(verdicts, soak.happened)
    return 0 if all(verdict.good for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
