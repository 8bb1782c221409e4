"""The durable run: a minute of the exchange, one step, one commit to SQLite; and what of a step is
its commit, measured by writing the same rows to the same disk with nothing but sqlite3."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.report import Figure, middle
from benchmarks.sessions import config, opened
from smabot.records import Bar, Batch
from smabot.recovery import recover
from smabot_persistence_sqlite.form import forms_of
from smabot_persistence_sqlite.journal import INSERT_BAR

SIZES = (1, 50, 500)
Statements = list[tuple[str, list[tuple[Any, ...]]]]


@dataclass(slots=True)
class Step:
    """What a step cost, and the rows that it wrote."""

    seconds: float
    rows: list[Any] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)


def run(quick: bool, folder: Path) -> Iterator[Figure]:
    """Yield minutes a second and the ratio of a step to its bare commit, for each size."""
    minutes = 100 if quick else 380
    for symbols in SIZES:
        place = folder / str(symbols)
        place.mkdir()
        yield from _session(symbols, minutes, place)


def _session(symbols: int, minutes: int, folder: Path) -> Iterator[Figure]:
    settings = config(folder, f"made:symbols={symbols},sessions=1,seed=7")
    session = opened(settings)
    try:
        steps: list[Step] = []
        engine = recover(session, lambda rows, bars: steps.append(Step(0.0, rows, bars)))
        feed = session.feed
        assert feed is not None
        for _ in range(31):
            _step(engine, feed.next(0))
        steps.clear()
        of_minutes, seconds = [], 0.0
        for _ in range(minutes):
            begun = perf_counter()
            batch = feed.next(0)
            fetched = perf_counter()
            written = len(steps)
            _step(engine, batch)
            ended = perf_counter()
            seconds += ended - begun
            of_minutes.append(([*steps[written:]], ended - fetched))
        path = session.config.db
        bare = _bare(path, folder / "bare.db", [made for made, _ in of_minutes])
    finally:
        session.close()
    spent = middle([taken for _, taken in of_minutes])
    floor = middle(bare)
    shown = f"{symbols} symbol{'s' * (symbols > 1)}"
    yield Figure(f"{shown}", minutes / seconds, "min/s")
    yield Figure(
        f"{shown}: step : its rows' bare commit", spent / floor, "×",
        note=f"{spent * 1e3:.2f} ms : {floor * 1e3:.2f} ms, medians",
    )  # fmt: skip


def _step(engine: Any, batch: Batch | None) -> None:
    assert batch is not None
    engine.process(batch)


def _bare(source: Path, path: Path, minutes: list[list[Step]]) -> list[float]:
    """Return the seconds that each minute's rows take to be committed by sqlite3 alone."""
    with closing(sqlite3.connect(source)) as like:
        schema = [sql for (sql,) in like.execute("SELECT sql FROM sqlite_master WHERE sql != ''")]
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        for sql in schema:
            db.execute(sql)
        return [sum(_commit(db, _statements(step)) for step in steps) for steps in minutes]


def _statements(step: Step) -> Statements:
    forms = forms_of([type(row) for row in step.rows])
    statements: Statements = [
        (INSERT_BAR, [(int(t.timestamp()), s, *rest) for s, t, *rest in step.bars])
    ]
    for kind in {type(row) for row in step.rows}:
        form = forms[kind]
        statements.append((form.upsert, [form.encode(r) for r in step.rows if type(r) is kind]))
    return statements


def _commit(db: sqlite3.Connection, statements: Statements) -> float:
    begun = perf_counter()
    db.execute("BEGIN IMMEDIATE")
    for sql, rows in statements:
        db.executemany(sql, rows)
    db.execute("COMMIT")
    return perf_counter() - begun
