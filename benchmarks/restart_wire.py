"""From exec to ready over the wire: the whole process, with the exchange embedded in it, alpaca-py and
both streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from benchmarks.process import SMABOT, Ended, python, rounds, spawn
from benchmarks.report import Figure, middle

GOAL = 2.0
READY = '"event": "ready"'
IMPORTS = {
    "core's": "import click, pluggy, pydantic, loguru",
    "with the server's": "import starlette.applications, uvicorn, sqlite3, msgpack",
    "with alpaca-py's REST": "import requests, alpaca.common.rest, msgspec",
    "with alpaca-py's streams": "from smabot_alpaca.streams import alpaca_py; alpaca_py.streams()",
}


def run(quick: bool, folder: Path) -> Iterator[Figure]:
    """Yield the imports that a start can't do without, and the start after two played hours."""
    count = 5 if quick else 11
    code = ""
    for name, imports in IMPORTS.items():
        code += f"{imports}\n"
        yield Figure(f"floor: imports, {name}", middle(python(code, count)), "s")
    ended = _restarts(folder, count)
    yield Figure(
        "ready, built-in exchange", middle([each.seconds for each in ended]), "s", most=GOAL,
        note=_parts(ended),
    )  # fmt: skip
    yield Figure("its peak memory", max(each.peak for each in ended), "MiB")


def _restarts(folder: Path, count: int) -> list[Ended]:
    command = [
        SMABOT, "run", "--plugins", "sma,risk", "--speed", "max", "--json",
        "--data", "simulated:shape=waves", "--db", str(folder / "trades.db"), "--until",
    ]  # fmt: skip
    spawn([*command, "2026-03-02T16:30:00Z"])
    return rounds([*command, "2026-03-02T16:31:00Z"], count, READY)


def _parts(ended: list[Ended]) -> str:
    """The startup's own steps, and what came before and between them."""
    starts = []
    for each in ended:
        told = [json.loads(line) for line in each.lines]
        parts = {e["name"]: e["ms"] for e in told if e["event"] == "step"}
        starts.append({**parts, "else": each.seconds * 1e3 - sum(parts.values())})
    middles = {name: middle([start[name] for start in starts]) for name in starts[0]}
    return "ms: " + ", ".join(f"{name} {ms:.0f}" for name, ms in middles.items() if ms >= 1)
