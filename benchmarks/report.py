"""A figure, its goal, and how both are printed."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. ``most`` and ``least`` are goals; ``note`` is its floor or its parts."""

    what: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None
    note: str = ""

    @property
    def missed(self) -> bool:
        too_much = self.most is not None and self.value >= self.most
        return too_much or (self.least is not None and self.value < self.least)


def machine() -> None:
    """Print what the figures depend on."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(
        f"{os.cpu_count()} cores{load}, {platform.python_implementation()} "
        f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )


def title(name: str) -> None:
    print(f"\n{name}", flush=True)


def show(figure: Figure) -> None:
    goal = ""
    if figure.most is not None:
        goal = f"goal < {number(figure.most)}"
    elif figure.least is not None:
        goal = f"goal ≥ {number(figure.least)}"
    mark = "MISSED" if figure.missed else "met" if goal else ""
    line = f"  {figure.what:<44}{number(figure.value):>10} {figure.unit:<10}{goal:<16}{mark:<8}"
    print(f"{line}{figure.note}".rstrip(), flush=True)


def verdict(missed: Sequence[str]) -> None:
    print(f"\n{len(missed)} missed: {'; '.join(missed)}" if missed else "\nall goals met")


def number(value: float) -> str:
    """Three digits at least, thousands apart."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def middle(values: Sequence[float]) -> float:
    """The median: one slow round does not count."""
    return median(values)
