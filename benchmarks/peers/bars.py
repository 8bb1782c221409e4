"""The bars that all backtesters read: random walks, of one symbol or more, in regular sessions."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path

from benchmarks.tapes import COLUMNS, names, walks
from smabot.domain.calendar import MINUTE
from smabot_exchange.data.sessions import session_on

FIRST = date(2012, 1, 3)
GAPS = (-0.02, -0.01, 0.01, 0.02)
"""US dollars from a close to the next open: an order that fills at the close shows."""


def write_bars(path: Path, bars: int, symbols: int = 1) -> None:
    """Write so many bars as CSV, of all symbols together. Each bar opens a little off the close before it."""
    rng = random.Random(11)
    before = dict.fromkeys(names(symbols), 100.0)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(COLUMNS)
        for start, closes in zip(_minutes(), walks(symbols, bars // symbols), strict=False):
            time = f"{start:%Y-%m-%dT%H:%M:%SZ}"
            for symbol, close in zip(before, closes, strict=True):
                opened = round(before[symbol] + rng.choice(GAPS), 2)
                high, low = max(opened, close), min(opened, close)
                out.writerow([symbol, time, opened, high, low, close, 10**6, 9, close])
                before[symbol] = close


def _minutes() -> Iterator[datetime]:
    """Yield the starts of the minutes of all sessions."""
    for day in count():
        if session := session_on(FIRST + timedelta(days=day)):
            for minute in range((session.close - session.open) // MINUTE):
                yield session.open + minute * MINUTE
