"""`smabot --help`, the whole process, beside the interpreter and its imports alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.process import SMABOT, python, rounds
from benchmarks.report import Figure, middle


def run(quick: bool, folder: Path) -> Iterator[Figure]:
    """Yield the floor, then the help."""
    count = 5 if quick else 10
    bare = middle(python("pass", count))
    click = middle(python("import click", count))
    seconds = middle([each.seconds for each in rounds([SMABOT, "--help"], count)])
    floor = f"floor: python {bare:.3f} s, with click {click:.3f} s"
    yield Figure("smabot --help", seconds, "s", most=0.2, note=floor)
