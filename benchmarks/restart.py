"""From exec to ready with the exchange in process: after a small session, and over millions of bars."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks.process import SMABOT, Ended, python, rounds, spawn
from benchmarks.report import Figure, middle
from benchmarks.tapes import OPEN, SESSION, names, walks, write_csv
from smabot.domain.calendar import MINUTE

READY = '"event": "ready"'
SYMBOLS = 10_000
PLAYED = 309


def run(quick: bool, folder: Path) -> Iterator[Figure]:
    """Yield the floors, the small restart, and the large ones."""
    count = 3 if quick else 7
    yield _floor("click, pluggy, pydantic, loguru", count)
    yield _floor("click, pluggy, pydantic, loguru, dynaconf, sqlalchemy", count)
    yield Figure(f"{PLAYED} bars", middle(_seconds(_small(folder, count))), "s", most=0.8)
    times = []
    for rows in (1_000_000,) if quick else (1_000_000, 10_000_000):
        ended = _large(folder, rows, count)
        times.append(middle(_seconds(ended)))
        shown = f"{rows / 1e6:.0f} M bars of {SYMBOLS:,} symbols"
        yield Figure(shown, times[-1], "s", most=1.5)
        yield Figure(f"{shown}: peak memory", max(e.peak for e in ended), "MiB", most=300)
    if len(times) > 1:
        yield Figure("10 M bars : 1 M bars", times[1] / times[0], "×", most=1.15)


def _seconds(ended: list[Ended]) -> list[float]:
    return [each.seconds for each in ended]


def _floor(modules: str, count: int) -> Figure:
    return Figure(f"floor: import {modules}", middle(python(f"import {modules}", count)), "s")


def _small(folder: Path, count: int) -> list[Ended]:
    """Play one symbol's 309 minutes, then start again and again at the same minute."""
    place = _place(folder, "small", 1, SESSION)
    command = _command(place, OPEN + PLAYED * MINUTE)
    spawn(command)
    return rounds(command, count, READY)


def _large(folder: Path, rows: int, count: int) -> list[Ended]:
    """Bind database and ledger with one minute of all symbols, put history before it, and start."""
    place = _place(folder, "large", SYMBOLS, 3)
    command = _command(place, OPEN + MINUTE)
    spawn(command)
    _fill(place / "trades.db", rows)
    ended = rounds(command, count, READY)
    shutil.rmtree(place)
    return ended


def _place(folder: Path, name: str, symbols: int, minutes: int) -> Path:
    place = folder / name
    place.mkdir()
    write_csv(place / "tape.csv", walks(symbols, minutes), symbols)
    return place


def _command(place: Path, until: datetime) -> list[str]:
    return [
        SMABOT, "run", "--broker", "exchange", "--plugins", "sma,risk",
        "--db", str(place / "trades.db"),
        "--data", str(place / "tape.csv"), "--speed", "max", "--until", f"{until:%Y-%m-%dT%H:%M:%SZ}",
        "--json",
    ]  # fmt: skip


def _fill(path: Path, rows: int) -> None:
    """Write older minutes of every symbol, session by session backwards from the tape's."""
    minutes = rows // SYMBOLS
    starts = [
        OPEN - timedelta(days=1 + n // SESSION) + (SESSION - 1 - n % SESSION) * MINUTE
        for n in range(minutes)
    ]
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA synchronous = OFF")
        tickers = [(name,) for name in names(SYMBOLS)]
        db.execute("CREATE TEMP TABLE name (symbol TEXT)")
        db.executemany("INSERT INTO name VALUES (?)", tickers)
        for start in reversed(starts):
            db.execute(
                "INSERT INTO bars (ts, symbol, open, high, low, close, volume) "
                "SELECT ?1, symbol, 100, 101, 99, 100 + (?1 / 60 * 7 + unicode(symbol)) % 13, 1000 "
                "FROM name ORDER BY symbol",
                (int(start.timestamp()),),
            )
        db.execute("UPDATE symbols SET first_bar = ?", (int(starts[-1].timestamp()),))
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
