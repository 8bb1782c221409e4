"""The benchmarks by name, and how one is run."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import (
    cli,
    decode,
    durable,
    engine,
    first_start,
    market_minute,
    open_orders,
    report,
    restart,
    restart_wire,
    wire_minute,
    wire_orders,
)

BENCHMARKS = {
    "engine": engine.run,
    "durable": durable.run,
    "first-start": first_start.run,
    "restart": restart.run,
    "market-minute": market_minute.run,
    "cli": cli.run,
    "decode": decode.run,
    "wire-minute": wire_minute.run,
    "wire-orders": wire_orders.run,
    "open-orders": open_orders.run,
    "restart-wire": restart_wire.run,
}


def run(name: str, quick: bool, parent: Path | None) -> list[str]:
    """Run one benchmark and print its figures; returns those that missed their goal."""
    report.title(name)
    missed = []
    with tempfile.TemporaryDirectory(prefix="smabot-", dir=parent) as folder:
        for figure in BENCHMARKS[name](quick, Path(folder)):
            report.show(figure)
            if figure.missed:
                missed.append(f"{name}: {figure.what}")
    return missed
