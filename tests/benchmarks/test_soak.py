"""The bot stays flat over months: counted in SQL instructions and calls, which no busy machine changes."""

from __future__ import annotations

import importlib
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOOKS = {
    "status": ("status",),
    "orders": ("orders",),
    "events": ("events",),
    "limits": ("limits",),
    "breaker": ("breaker",),
    "health": ("health",),
    "resume": ("resume",),
}
PAST = 50
"""Times that the history is copied, each eight days further back."""
A_ROW = 10
"""SQL instructions for a row of the tables of which all is read: a row a day, and one a command."""

pytestmark = pytest.mark.plugins


@pytest.fixture
def soak(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that imports a module of the soak."""
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.soak.{name}")


@pytest.mark.slow(seconds=30)
def test_starts_steps_and_looks_cost_the_same_after_a_year_as_after_days(
    soak: Any, tmp_path: Path
) -> None:
    short, long = tmp_path / "short", tmp_path / "long"
    short.mkdir()
    market = soak("market").Market(4, 8, 7)
    place = soak("place").Place(short, market)
    *past, last = market.calendar
    until = f"{past[-1].close:%Y-%m-%dT%H:%M:%SZ}"
    for session in past:
        for minutes in (120, 240, 0):
            time = session.open + timedelta(minutes=minutes) if minutes else session.close
            place.smabot("run", "--until", f"{time:%Y-%m-%dT%H:%M:%SZ}")
    place.smabot("halt")
    place.smabot("resume")
    shutil.copytree(short, long)
    before = {name: count(soak, place, until, name) for name in ("start", *LOOKS)}

    after_years = soak("place").Place(long, market)
    soak("history").lengthen(after_years.db, after_years.ledger, PAST, 8)
    rows = soak("months").row_counts(after_years.db) | soak("months").row_counts(after_years.ledger)
    for table in ("trades.runs", "trades.order_intents", "trades.exchange.orders", "trades.events"):
        assert rows[table] > PAST, f"nothing to see: {table} has {rows[table]} rows"
    after = {name: count(soak, after_years, until, name) for name in before}

    read = A_ROW * (rows["trades.daily_limits"] + rows["trades.commands"])
    grown = {
        name: (before[name].sql, after[name].sql)
        for name in before
        if after[name].sql > 1.1 * before[name].sql + read
    }
    assert grown == {}
    assert last.open > past[-1].close
    assert sql_of_session(after_years) <= 1.03 * sql_of_session(place) + read


def sql_of_session(place: Any) -> int:
    """Return SQLite's instructions of the steps of the data's last session, with its daily work."""
    child = place.child(["run"])
    found = sum(told["sql"] for told in child if "session" in told)
    child.end()
    return int(found)


def count(soak: Any, place: Any, until: str, name: str) -> Any:
    """Return the work of a start that has nothing to do, or of a command that looks."""
    arguments = LOOKS.get(name, ("run", "--until", until))
    return soak("months").counted(place, *arguments)


@pytest.mark.slow(seconds=60)
def test_a_small_soak_is_flat_and_loses_nothing(soak: Any, tmp_path: Path) -> None:
    place = soak("place").Place(tmp_path, soak("market").Market(6, 8, 3, month=2))
    soaking = soak("soaking").Soak(place)
    soaking.run()
    months = soaking.months
    assert sum(month.kills for month in months) > 0
    assert soaking.happened["cash moved"] == len(months)
    verdicts = [*soak("judgement").flatness(months), *soak("judgement").held(place)]
    counted = [v for v in verdicts if not v.ratio or "SQL" in v.what or "calls" in v.what]
    assert [v for v in counted if not v.good] == []
    with closing(sqlite3.connect(place.db)) as db:
        ((killed,),) = db.execute("SELECT COUNT(*) FROM runs WHERE ended_at IS NULL")
        ((left_out,),) = db.execute("SELECT COUNT(*) FROM events WHERE kind = 'bad_bar'")
    assert killed > 0
    rows = months[-1].rows
    assert rows["trades.bars"] + left_out == rows["trades.exchange.bars"]
