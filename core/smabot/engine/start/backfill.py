"""Fills the gap: the minutes that passed while the bot was down, and the past of new symbols."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from smabot.domain.calendar import MINUTE
from smabot.domain.records import Batch
from smabot.engine.loop import Engine
from smabot.engine.start.bot_session import BotSession
from smabot.engine.windows import newest_bar_end, show_minute
from smabot.errors import counted


def backfill(session: BotSession, engine: Engine) -> None:
    """Fetch and process the minutes that passed while the bot was down, and warm new symbols up."""
    with session.report.step("backfill") as found:
        passed: list[datetime] = []
        found.append(counted(_fill_gap(session, engine, passed), "bar"))
        if passed:
            found.append(f"{counted(len(passed), 'minute')} too old to decide on")
            found.facts["too_old"] = [
                f"{passed[0]:%Y-%m-%dT%H:%MZ}",
                f"{passed[-1]:%Y-%m-%dT%H:%MZ}",
            ]


def _fill_gap(session: BotSession, engine: Engine, passed: list[datetime]) -> int:
    """Return the number of bars that were fetched; ``passed`` gets the minutes that were too old."""
    book, newest = session.book, newest_bar_end(session.book)
    new = [symbol for symbol in session.symbols if symbol not in book.last]
    if newest is None:
        return _warm_up_new(session, engine, new, None)
    recently = newest - 2 * MINUTE
    behind = [
        symbol
        for symbol in session.symbols
        if symbol in book.last and book.last[symbol].time < recently
    ]
    count = _warm_up_new(session, engine, new, newest) if new else 0
    if behind:
        since = min(book.last[symbol].time for symbol in behind)
        count += _catch_up(session, engine, behind, since, until=newest)
    return count + _catch_up(session, engine, session.symbols, recently, passed=passed)


def _warm_up_new(
    session: BotSession, engine: Engine, symbols: Sequence[str], until: datetime | None
) -> int:
    """Let strategies see the bars before a symbol's first one here; only a fresh one is decided on."""
    feed = session.opened().feed
    config, count = session.config, 0
    bars = max(session.plugins.lookback(), config.max_bar_age_minutes)
    for minute in feed.history(symbols, None, bars):
        session.surroundings.pulse.beat()
        end = minute[0].end
        if until is not None and end > until:
            break
        count += len(minute)
        if feed.now() - end < config.max_bar_age:
            engine.process(Batch(end, bars=tuple(minute)))
        else:
            session.surroundings.pulse.beat()
            show_minute(session.book, session.plugins, minute)
    return count


def _catch_up(
    session: BotSession,
    engine: Engine,
    symbols: Sequence[str],
    since: datetime,
    until: datetime | None = None,
    passed: list[datetime] | None = None,
) -> int:
    """Process the minutes after ``since`` that the journal lacks."""
    feed = session.opened().feed
    last, count = session.book.last, 0
    for minute in feed.history(symbols, since, 0):
        session.surroundings.pulse.beat()
        if until is not None and minute[0].end > until:
            break
        bars = tuple(b for b in minute if b.symbol not in last or b.time > last[b.symbol].time)
        if bars:
            count += len(bars)
            batch = Batch(bars[0].end, bars=bars)
            if passed is not None and not engine.is_fresh(batch):
                passed.append(bars[0].time)
            engine.process(batch)
    return count
