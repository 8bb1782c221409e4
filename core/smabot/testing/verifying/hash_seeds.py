"""Runs a plugin in other processes, each with its own hash seed of Python."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from smabot.errors import PluginError

if TYPE_CHECKING:
    from smabot.testing.verifying.subject import Subject

CHILD = "from smabot.testing.verifying.hash_seeds import main; main()"


def tables_under_seed(subject: Subject, seeds: Sequence[str]) -> dict[str, str]:
    """Return by hash seed a digest of the tables that a plugin ends with, run at the same time.

    Raises PluginError where a process fails.
    """
    markets = subject.written("markets", pickle.dumps(subject.markets()))
    asked = {**subject.described(subject.config), "markets": str(markets)}
    running = {
        seed: subprocess.Popen(
            [sys.executable, "-c", CHILD, json.dumps(asked)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for seed in seeds
    }  # fmt: skip
    found = {}
    for seed, process in running.items():
        out, errors = process.communicate()
        if process.returncode:
            last = errors.strip().splitlines()[-1:] or ["no reason given"]
            raise PluginError(f"with PYTHONHASHSEED={seed} it fails: {last[0]}")
        found[seed] = out.strip()
    return found


def main() -> None:
    """Print a digest of all tables of the plugin that the first argument describes, as JSON."""
    from smabot.testing.verifying.subject import from_description

    asked = json.loads(sys.argv[1])
    subject = from_description(asked)
    digest = sha256()
    markets = pickle.loads(Path(asked["markets"]).read_bytes())  # noqa: S301 - the parent wrote it
    for market in markets:
        for name, rows in sorted(subject.bot(market).run().tables.items()):
            digest.update(repr((name, sorted(rows.items(), key=repr))).encode())
    print(digest.hexdigest())
