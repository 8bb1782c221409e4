"""Whether a soak stayed flat, and whether everything holds at its end."""

from __future__ import annotations

import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from statistics import mean

from benchmarks.soak.months import COMMANDS, Month, Work
from benchmarks.soak.place import MAX_ORDERS, Failed, Place
from smabot.domain.calendar import new_york_date

FLAT, NOISY, LINEAR = 1.15, 1.4, 1.35
"""What later months may be to earlier ones: of counts and memory, of times, and of what a month adds."""
ENDED_BY = {"halt": "resume", "breaker_tripped": "breaker_reset"}
A_FEW_ROWS = 1_500
"""SQL instructions that a few positions, open orders or days more take; they do not count."""
READ_ALL = {"pnl", "explain"}
"""Commands that read all fills, or all of a symbol, as they must."""


@dataclass(frozen=True)
class Verdict:
    """A figure's ratio to what it was before, and the most that it may be; or what must hold, with no ratio."""

    what: str
    good: bool
    ratio: float = 0.0
    most: float = 0.0
    note: str = ""


def flatness(months: Sequence[Month]) -> list[Verdict]:
    """Compare the second half of the months with the first, without the first month, in which caches fill.

    Months that are shorter than the first are left out of what a month adds. Nothing is said of fewer than three.
    """
    if len(months) < 3:
        return []
    figures: dict[str, tuple[Callable[[Month], float], float]] = {
        "memory of the bot, RSS": (lambda m: m.rss, FLAT),
        "memory of the bot, PSS": (lambda m: m.pss, FLAT),
        "memory of the exchange, RSS": (lambda m: m.exchange_rss, FLAT),
        "write-ahead log": (lambda m: m.wal, NOISY),
        "a step, median": (lambda m: m.step_median, NOISY),
        "a step, p99": (lambda m: m.step_p99, NOISY),
        "a step, SQL instructions": (lambda m: m.sql_a_step, FLAT),
        "a start, seconds": (lambda m: m.start_seconds, NOISY),
        "a start, calls": (lambda m: _of(m.start).calls, FLAT),
        "a start, SQL instructions": (lambda m: _of(m.start).sql, FLAT),
        "a start, memory": (lambda m: _of(m.start).rss, FLAT),
    }
    for name in COMMANDS:
        if name not in READ_ALL:
            figures[f"{name}, calls"] = (lambda m, n=name: m.commands[n].calls, FLAT)  # type: ignore[misc]
            figures[f"{name}, SQL instructions"] = (
                lambda m, n=name: m.commands[n].sql,  # type: ignore[misc]
                FLAT,
            )
    found = [
        _ratio(name, [value(m) for m in months], most) for name, (value, most) in figures.items()
    ]
    return [each for each in found if each.ratio] + list(_growth(months))


def _ratio(what: str, values: Sequence[float], most: float) -> Verdict:
    later = values[1:]
    half = len(later) // 2
    before, after = mean(later[:half]), mean(later[half:])
    ratio = after / before if before else 0.0
    slack = A_FEW_ROWS if "SQL" in what else 0
    return Verdict(what, after <= before * most + slack, ratio, most)


def _growth(months: Sequence[Month]) -> Iterator[Verdict]:
    """Judge what must grow: each month adds what each other month adds."""
    for name in months[0].sizes:
        sizes = [month.sizes[name] for month in months if month.sessions == months[0].sessions]
        added = [after - before for before, after in pairwise(sizes)]
        if len(added) > 2:
            yield _ratio(f"{name}, added by a month", added, LINEAR)


def _of(work: Work | None) -> Work:
    assert work is not None
    return work


def held(place: Place) -> list[Verdict]:
    """Check at the end that the database is intact, and agrees with the broker and with the limits."""
    checks = {
        "smabot db check: intact": ("db", "check"),
        "smabot reconcile: the database agrees with the broker": ("reconcile",),
    }
    if "audit" in place.smabot("--help").stdout:
        checks["smabot audit: fills and cash are the broker's"] = ("audit",)
    found = []
    for what, command in checks.items():
        try:
            place.smabot(*command)
            found.append(Verdict(what, True))
        except Failed as failed:
            found.append(Verdict(what, False, note=str(failed)))
    broken = [*entries_beyond_limits(place.db), *fills_that_differ(place.db, place.ledger)]
    shown = "; ".join(broken[:3])
    return [
        *found,
        Verdict("limits and halts held, fills are the ledger's", not broken, note=shown),
    ]


def entries_beyond_limits(db: Path) -> Iterator[str]:
    """Yield each entry that was made and not blocked although a limit, a halt or the breaker forbade it."""
    with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as reader:
        orders = [
            (_time(created), order, reduces, status)
            for order, created, reduces, status in reader.execute(
                "SELECT client_order_id, created_at, reduces, status FROM order_intents"
            )
        ]
        changes = [
            (_time(time), kind)
            for time, kind in reader.execute(
                "SELECT time, kind FROM events WHERE kind IN ('halt', 'resume', "
                "'breaker_tripped', 'breaker_reset', 'limit_reached')"
            )
        ]
    orders.sort()
    changes.sort()
    counts: Counter[date] = Counter()
    forbidden: dict[str, datetime] = {}
    lost_on, following = None, deque(changes)
    for created, order, reduces, status in orders:
        while following and _is_before(following[0], created):
            time, kind = following.popleft()
            if kind == "limit_reached":
                lost_on = new_york_date(time)
            elif kind in ENDED_BY:
                forbidden[ENDED_BY[kind]] = time
            else:
                forbidden.pop(kind, None)
        day = new_york_date(created)
        if status == "blocked":
            continue
        if not reduces:
            if counts[day] >= MAX_ORDERS:
                yield f"{order}: {counts[day]} orders were made on {day}"
            if forbidden:
                yield f"{order} at {created}: entries are forbidden until {', '.join(forbidden)}"
            if lost_on == day:
                yield f"{order} at {created}: the loss limit of {day} was reached"
        counts[day] += 1


def _is_before(change: tuple[datetime, str], made: datetime) -> bool:
    """Whether a change counts for an order: a step carries commands out first, so that a `resume` of its time does."""
    return change[0] < made or (change[0] == made and change[1] in ENDED_BY.values())


def fills_that_differ(db: Path, ledger: Path) -> Iterator[str]:
    """Yield each order whose filled shares differ from the ledger's."""
    here = _filled(db, "SELECT client_order_id, SUM(qty + 0) FROM trades GROUP BY 1")
    there = _filled(
        ledger,
        "SELECT client_order_id, SUM(fills.qty + 0) FROM fills "
        "JOIN orders ON orders.id = fills.order_id GROUP BY 1",
    )
    for order in sorted(here.keys() | there.keys()):
        if here.get(order) != there.get(order):
            yield f"{order} filled {here.get(order)} here, {there.get(order)} there"


def _filled(path: Path, query: str) -> dict[str, float]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
        return dict(reader.execute(query).fetchall())


def _time(text: str) -> datetime:
    """Texts of times do not sort as the times where one has microseconds."""
    return datetime.fromisoformat(text)
