"""The durable run: a minute of the exchange, one step, one commit to SQLite; and what of a step is
its commit: after each minute the same rows are written to the same disk with nothing but sqlite3."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.report import Figure, middle
from benchmarks.sessions import config, opened, ready
from smabot.domain.records import Bar
from smabot_persistence_sqlite.journal import INSERT_BAR
from smabot_persistence_sqlite.record_mapping import forms_of

SIZES = (1, 50, 500)
WARM = 31
"""Minutes that are not counted: averages have no value before."""

Statements = list[tuple[str, list[tuple[Any, ...]]]]


@dataclass(slots=True)
class Step:
    """What a step wrote."""

    rows: list[Any]
    bars: list[Bar]


def run(quick: bool, folder: Path) -> Iterator[Figure]:
    """Yield minutes a second and the ratio of a step to its bare commit, for each size."""
    minutes = 100 if quick else 350
    for symbols in SIZES:
        place = folder / str(symbols)
        place.mkdir()
        yield from _session(symbols, minutes, place)


def _session(symbols: int, minutes: int, folder: Path) -> Iterator[Figure]:
    settings = config(folder, data=f"simulated:symbols={symbols},sessions=1,seed=7,shape=waves")
    session = opened(settings)
    try:
        steps: list[Step] = []
        engine = ready(session, lambda rows, bars: steps.append(Step(rows, bars)))
        assert session.feed is not None
        whole, step, bare = [], [], []
        with closing(_bare(settings.db, folder / "bare.db")) as db:
            for _ in range(WARM + minutes):
                steps.clear()
                begun = perf_counter()
                batch = session.feed.next(0)
                fetched = perf_counter()
                assert batch is not None
                engine.process(batch)
                ended = perf_counter()
                whole.append(ended - begun)
                step.append(ended - fetched)
                bare.append(sum(_commit(db, _statements(each)) for each in steps))
    finally:
        session.close()
    spent, floor = middle(step[WARM:]), middle(bare[WARM:])
    shown = f"{symbols} symbol{'s' * (symbols > 1)}"
    yield Figure(shown, minutes / sum(whole[WARM:]), "min/s")
    yield Figure(
        f"{shown}: step : its rows' bare commit", spent / floor, "×",
        note=f"{spent * 1e3:.2f} ms : {floor * 1e3:.2f} ms, medians",
    )  # fmt: skip


def _bare(source: Path, path: Path) -> sqlite3.Connection:
    """Return an empty database with the same tables, as durable, without anything of smabot."""
    with closing(sqlite3.connect(source)) as like:
        schema = [sql for (sql,) in like.execute("SELECT sql FROM sqlite_master WHERE sql != ''")]
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    for sql in schema:
        db.execute(sql)
    return db


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
