"""How many small faults in the code that decides do the tests find? See docs/benchmarks.md.

    python -m benchmarks.mutation --seed 7 --sample 200

Faults are drawn from all there are (`benchmarks.mutants`). Each is put into a copy of the tree, and the
tests that execute its lines are run there, the quickest first, until one fails. A fault that hangs is
found, too. What no test finds is printed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from benchmarks.covering import Chosen, Record, quiet
from benchmarks.mutants import Mutant, mutants

ENGINE = ["loop", "gate", "outbox", "mark_to_market"]
START = ["backfill", "book_restore", "startup_reconciliation", "warm_up"]
EXECUTION = ["next_action", "executor", "targets"]
TARGETS = [
    "core/smabot/domain/book.py",
    *(f"core/smabot/engine/{name}.py" for name in ENGINE),
    *(f"core/smabot/engine/start/{name}.py" for name in START),
    *(f"core/smabot/engine/execution/{name}.py" for name in EXECUTION),
    "core/smabot/engine/reconciling/running_comparison.py",
    *(
        f"plugins/reconciliation/smabot_reconciliation/{n}.py"
        for n in ("adjustments", "comparison", "external_trades", "order_conflicts")
    ),
    *(
        f"plugins/risk/smabot_risk/{n}.py"
        for n in ("breaker_state", "circuit_breaker", "daily_limits", "trading_day")
    ),
]
TESTS = ["tests/core", "tests/recovery", "tests/risk", "tests/sma"]
SLOW_IMPORTS = [
    "hypothesis.stateful",
    "pydantic",
    "sqlalchemy",
    "alembic.command",
    "loguru",
    "rich.table",
]
LEAST_SECONDS, TIMES = 60.0, 4.0
"""After which a run hangs: so much, and so many times what its tests need."""
Covered = dict[str, dict[str, Any]]
OPTIONS = ["-q", "-m", "not slow", "-p", "no:cacheprovider"]


def main() -> int:
    """Return 0 when so large a part was found as ``--least`` says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description=__doc__)
    parser.add_argument("files", nargs="*", default=TARGETS, help="[the code that decides]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sample", type=int, default=100, help="how many faults [100]")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--longest", type=float, default=4.0, help="seconds of a test to run [4]")
    parser.add_argument("--least", type=float, default=0.0, help="the part to be found, of 1")
    parser.add_argument("--tests", type=Path, help="keep here, or take, what each test executes")
    parser.add_argument("--out", type=Path, help="append a line of JSON for each fault")
    given = parser.parse_args()
    count = sum(len(mutants(Path(name))) for name in given.files)
    drawn = random.Random(given.seed).sample(range(count), min(given.sample, count))
    with tempfile.TemporaryDirectory(prefix="smabot-mutation-") as folder:
        kept = (given.tests or Path(folder, "tests.json")).resolve()
        fork = get_context("fork")
        if not kept.exists():
            print("looking which tests execute which lines ...", flush=True)
            recording = fork.Process(target=_record, args=(Path(folder, "record"), kept))
            recording.start()
            recording.join()
        asked = (Path(folder), kept, given.files, given.longest)
        survived = 0
        with ProcessPoolExecutor(given.jobs, fork, _prepare, asked) as pool:
            for where, fault, found_by in pool.map(_judge, drawn):
                if given.out:
                    with given.out.open("a") as out:
                        out.write(json.dumps([where, fault, found_by]) + "\n")
                if not found_by:
                    survived += 1
                    print(f"survived  {where}  {fault}", flush=True)
    found = len(drawn) - survived
    part = found / len(drawn)
    print(
        f"seed {given.seed}: {found} of {len(drawn)} faults found, {part:.1%}; drawn from {count}"
    )
    return 0 if part >= given.least else 1


def _record(copy: Path, kept: Path) -> None:
    _enter(copy)
    pytest.main([*OPTIONS, *TESTS], plugins=[Record(kept, [Path(name) for name in TARGETS])])


def _enter(copy: Path) -> None:
    """Copy the tree, and live there: what is imported from now on is the copy's."""
    for name in ("core", "plugins", "tests", "docs"):
        shutil.copytree(name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy("pyproject.toml", copy)
    sources = [copy / "core", *(each for each in (copy / "plugins").iterdir() if each.is_dir())]
    os.chdir(copy)
    sys.path[:0] = map(str, sources)
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, sources))
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


# -- in each job's process -----------------------------------------------------------------------------

faults: list[Mutant] = []
covered: Covered = {}


def _prepare(folder: Path, kept: Path, files: Sequence[str], longest: float) -> None:
    """Import what all tests need but what is to be faulty, so that each run forks from here."""
    global covered
    _enter(folder / str(os.getpid()))
    faults.extend(mutant for name in files for mutant in mutants(Path(name)))
    tests = json.loads(kept.read_text())
    covered = {name: each for name, each in tests.items() if each["seconds"] <= longest}
    for name in SLOW_IMPORTS:
        importlib.import_module(name)


def _judge(number: int) -> tuple[str, str, str]:
    """Return where a fault is, what it is, and the test that finds it; empty: none does."""
    fault = faults[number]
    tests = _tests_for(fault)
    found_by = ""
    if tests:
        sound = fault.path.read_text()
        fault.path.write_text(fault.source())
        try:
            found_by = _run(tests)
        finally:
            fault.path.write_text(sound)
    return f"{fault.path}:{fault.line}", fault.text, found_by


def _tests_for(fault: Mutant) -> list[str]:
    """Return the tests that execute a fault's lines; all where they run on import."""
    path, span = str(fault.path), range(fault.line, fault.last_line + 1)
    lines = {
        name: {n for file, n in each["lines"] if file == path} for name, each in covered.items()
    }
    found = [name for name in covered if not lines[name].isdisjoint(span)]
    return sorted(found or covered, key=lambda name: (not lines[name], covered[name]["seconds"]))


def _run(tests: list[str]) -> str:
    """Run tests in a process of its own; return the one that failed, ``hangs``, or nothing."""
    seconds = max(LEAST_SECONDS, TIMES * sum(covered[name]["seconds"] for name in tests))
    with tempfile.TemporaryDirectory(prefix="smabot-mutation-") as base:
        failed = Path(base, "failed")
        pid = os.fork()
        if pid == 0:
            os.setsid()
            quiet()
            files = sorted({name.split("::")[0] for name in tests})
            command = [*OPTIONS, "-x", "--tb=no", f"--basetemp={base}/t", *files]
            os._exit(pytest.main(command, plugins=[Chosen(tests, failed)]))
        until = monotonic() + seconds
        while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0):
            if monotonic() > until:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return "hangs"
            sleep(0.02)
        if ended[1] == 0:
            return ""
        return failed.read_text() if failed.exists() else "not even imported"


if __name__ == "__main__":
    sys.exit(main())
