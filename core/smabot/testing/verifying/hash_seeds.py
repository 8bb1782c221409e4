"""Runs a plugin in other processes, each with its own hash seed of Python."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from smabot.errors import PluginError
from smabot.testing.table_comparison import Tables, columns_of

if TYPE_CHECKING:
    from smabot.testing.verifying.generated_markets import Market
    from smabot.testing.verifying.subject import Subject

PLAIN_MODULES = ("builtins", "datetime", "decimal")
CHILD = "from smabot.testing.verifying.hash_seeds import main; main()"


def tables_under_seed(
    subject: Subject, markets: Sequence[Market], seeds: Sequence[str]
) -> dict[str, list[Tables]]:
    """Return by hash seed the tables that a plugin ends with on each market, run at the same time.

    Raises PluginError where a process fails.
    """
    written = subject.written("markets", pickle.dumps(markets))
    asked = {**subject.described(subject.config), "markets": str(written)}
    running = {
        seed: subprocess.Popen(
            [sys.executable, "-c", CHILD, json.dumps({**asked, "tables": f"{written}-{seed}"})],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for seed in seeds
    }  # fmt: skip
    found: dict[str, list[Tables]] = {}
    for seed, process in running.items():
        _, errors = process.communicate()
        if process.returncode:
            last = errors.strip().splitlines()[-1:] or ["no reason given"]
            raise PluginError(f"with PYTHONHASHSEED={seed} it fails: {last[0]}")
        tables = Path(f"{written}-{seed}").read_bytes()
        found[seed] = pickle.loads(tables)  # noqa: S301 - the child wrote it
    return found


def main() -> None:
    """Write the tables of the plugin that the first argument describes, as JSON, to the file that it names."""
    from smabot.testing.verifying.subject import from_description

    asked = json.loads(sys.argv[1])
    subject = from_description(asked)
    markets = pickle.loads(Path(asked["markets"]).read_bytes())  # noqa: S301 - the parent wrote it
    tables = [_plain_tables(subject.bot(market).run().tables) for market in markets]
    Path(asked["tables"]).write_bytes(pickle.dumps(tables))


def _plain_tables(tables: Tables) -> Tables:
    """Return tables without the plugin's own classes, which the parent can't unpickle: a file is no module."""
    return {
        name: {tuple(map(_plain, key)): _plain_row(row) for key, row in rows.items()}
        for name, rows in tables.items()
    }


def _plain_row(row: Any) -> SimpleNamespace:
    names = tuple(columns_of(row))
    return SimpleNamespace(_fields=names, **{name: _plain(getattr(row, name)) for name in names})


def _plain(value: Any) -> Any:
    return value if type(value).__module__ in PLAIN_MODULES else str(value)
