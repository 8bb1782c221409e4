"""Backtests with ranges: each setting's values with each other's, in several processes, and how far to trust the best.

Settings are chosen by the first two thirds of the sessions and tried on the last third, which no choice has seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

from smabot.cli.backtest_run import traded
from smabot.cli.output import table
from smabot.cli.performance.backtest_table import (
    as_number,
    as_percent,
    as_share,
    figures_of,
    note_lines,
)
from smabot.cli.performance.reading_notes import ENOUGH_TRADES
from smabot.cli.progress_bar import Tell, progress_bar
from smabot.domain.calendar import end_of
from smabot.errors import ConfigError, SmabotError, UsageError, counted
from smabot.settings.loading import Loaded
from smabot.system.worker_processes import worker_pool

if TYPE_CHECKING:
    from smabot.cli.app import App

CHOSEN_BY = 2 / 3
"""The share of the sessions that settings are chosen by."""
FEWEST_SESSIONS = 3
MOST_TRIED = 10_000
SHOWN = 20
NUMBER = r"-?\d+(\.\d+)?"
OTHER_RANGE = re.compile(rf"\s*{NUMBER}\s*(-|\.\.)\s*{NUMBER}\s*")
"""How other programs write one."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One choice of settings: its figures where it was chosen, and where it was held out."""

    changes: tuple[str, ...]
    chosen: dict[str, Any]
    held_out: dict[str, Any]
    feed_notes: Sequence[str] = ()
    """On the data and on costs, where it was chosen."""

    @property
    def rank(self) -> float:
        """What it is ranked by: the Sharpe ratio where it was chosen."""
        return _sharpe(self.chosen)


@dataclass(frozen=True, slots=True)
class _Refused:
    changes: tuple[str, ...]
    why: str


def choices_of(changes: Sequence[str]) -> list[tuple[str, ...]]:
    """Return each choice of values for the settings that were given with ranges.

    Raises UsageError for a range that is none.
    """
    values = [_values(change) for change in changes]
    if (choices := prod(map(len, values))) > MOST_TRIED:
        raise UsageError(f"--set: {choices:,} choices; give at most {MOST_TRIED:,}")
    names = [change.partition("=")[0].strip() for change in changes]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise UsageError(f"--set {twice} stands twice: give it once")
    return list(product(*values))


def _values(change: str) -> list[str]:
    """Return a setting with each value of its range, ``START:STOP:STEP`` with both ends in it."""
    name, _, text = change.partition("=")
    parts = [part.strip() for part in text.split(":")]
    if (len(parts) == 1 or not re.fullmatch(NUMBER, parts[0])) and not OTHER_RANGE.fullmatch(text):
        return [change]
    try:
        start, stop, step = map(Decimal, parts)
        steps = (stop - start) / step
        if steps < 0 or step < 0:
            raise ArithmeticError
    except (ArithmeticError, ValueError):
        raise UsageError(
            f"--set {change}: write a range as START:STOP:STEP, as {name}=5:30:5; a text that is none stands "
            f"in quotes, as '{name}=\"{text}\"'"
        ) from None
    if steps >= MOST_TRIED:
        raise UsageError(f"--set {change}: more than {MOST_TRIED:,} values")
    return [f"{name}={start + place * step:f}" for place in range(int(steps) + 1)]


def run_ranges(app: App, choices: Sequence[tuple[tuple[str, ...], Loaded]], jobs: int) -> int:
    """Try each choice, rank them, and show how the best did where they were held out; returns the exit code."""
    first = _first_that_works(choices)
    days = [day.day for day in first]
    if len(days) < FEWEST_SESSIONS:
        raise ConfigError(
            f"{counted(len(days), 'session')}: ranges need at least {FEWEST_SESSIONS}"
        )
    border = days[round(len(days) * CHOSEN_BY) - 1]
    with progress_bar(app, len(choices)) as tell:
        results = list(_tried(choices, border, jobs, tell))
    tried = sorted(
        (each for each in results if isinstance(each, Tried)), key=lambda each: -each.rank
    )
    refused = [each for each in results if isinstance(each, _Refused)]
    if not tried:
        raise ConfigError(f"no choice can be traded: {refused[0].why}")
    notes = list(_notes(tried, refused, border))
    app.emit(_data(tried, border, notes), _lines(tried, notes))
    return 0


def _first_that_works(choices: Sequence[tuple[tuple[str, ...], Loaded]]) -> Sequence[Any]:
    """Return the sessions of the data, as the first choice that can be traded sees them."""
    failure: SmabotError | None = None
    for _, loaded in choices:
        try:
            done = traded(loaded)
        except SmabotError as error:
            failure = failure or error
            continue
        if done.code:
            raise KeyboardInterrupt
        return done.performance.days
    assert failure is not None
    raise failure


def _tried(
    choices: Sequence[tuple[tuple[str, ...], Loaded]], border: date, jobs: int, tell: Tell
) -> Iterator[Tried | _Refused]:
    with worker_pool(jobs) as pool:
        futures: list[Future[Tried | _Refused]] = [
            pool.submit(_try, changes, loaded, border) for changes, loaded in choices
        ]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                tell(done, f"{done:,} of {len(choices):,}")
                yield future.result()
        except BrokenProcessPool:
            raise SmabotError("one of the processes has died: try --jobs 1") from None


def _try(changes: tuple[str, ...], loaded: Loaded, border: date) -> Tried | _Refused:
    ends, begins = end_of(border) - timedelta(microseconds=1), end_of(border)
    try:
        chosen = traded(_within(loaded, until=ends))
        held_out = traded(_within(loaded, since=begins))
    except SmabotError as error:
        return _Refused(changes, str(error))
    return Tried(
        changes, _figures(chosen.performance), _figures(held_out.performance), chosen.feed_notes
    )


def _within(loaded: Loaded, **span: Any) -> Loaded:
    return Loaded(loaded.config.model_copy(update=span), loaded.origins)


def _figures(performance: Any) -> dict[str, Any]:
    return {**figures_of(performance), "round_trips": performance.statistics.round_trips}


def _sharpe(figures: dict[str, Any]) -> float:
    value = figures["sharpe"]
    return float("-inf") if value is None else float(value)


# -- what is shown -----------------------------------------------------------------------------------


def _notes(tried: Sequence[Tried], refused: Sequence[_Refused], border: date) -> Iterator[str]:
    for note in tried[0].feed_notes:
        if all(note in each.feed_notes for each in tried):
            yield note
    yield f"chosen by the sessions up to {border}, held out after it"
    if refused:
        yield f"{counted(len(refused), 'choice')} left out, the first one as {refused[0].why}"
    best = tried[0]
    if best.rank == float("-inf"):
        yield "no choice can be told from another: nothing was traded, or in too few sessions"
        return
    place = 1 + sum(_sharpe(each.held_out) > _sharpe(best.held_out) for each in tried)
    yield f"the best choice came {place:,} of {len(tried):,} where it was held out"
    if place > 1 + len(tried) / 4 or (best.held_out["return"] or 0) <= 0:
        yield "OVERFIT: what was best once was not so afterwards; expect nothing of it"
    elif min(each["round_trips"] for each in (best.chosen, best.held_out)) < ENOUGH_TRADES:
        yield f"fewer than {ENOUGH_TRADES} round trips: too few to tell skill from luck"


def _data(tried: Sequence[Tried], border: date, notes: Sequence[str]) -> dict[str, Any]:
    return {
        "chosen_until": border,
        "choices": [
            {"settings": list(t.changes), "chosen": t.chosen, "held_out": t.held_out} for t in tried
        ],
        "notes": list(notes),
    }


def _lines(tried: Sequence[Tried], notes: Sequence[str]) -> list[Any]:
    heads = ("settings", ">return", ">Sharpe", ">drawdown", ">trips", ">held out", ">Sharpe")
    rows = [
        (
            _short(each.changes), as_percent(each.chosen["return"]), as_number(each.chosen["sharpe"]),
            as_share(each.chosen["max_drawdown"]), f"{each.chosen['round_trips']:,}",
            as_percent(each.held_out["return"]), as_number(each.held_out["sharpe"]),
        )
        for each in tried[:SHOWN]
    ]  # fmt: skip
    left = len(tried) - SHOWN
    more = [f"{left:,} more, with --json"] if left > 0 else []
    return [table(heads, rows), *more, *note_lines(notes)]


def _short(changes: Sequence[str]) -> str:
    """Return settings by the last parts of their names, where these differ."""
    names = [change.partition("=")[0] for change in changes]
    last = [name.rpartition(".")[2] for name in names]
    shown = last if len({*last}) == len(last) else names
    return " ".join(f"{name}={c.partition('=')[2]}" for name, c in zip(shown, changes, strict=True))
