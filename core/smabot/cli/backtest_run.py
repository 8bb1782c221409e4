"""A backtest, from its settings to its table."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

from smabot.cli.output import money
from smabot.cli.performance.backtest_table import backtest_data, backtest_lines
from smabot.cli.performance.buy_and_hold import BuyAndHold
from smabot.cli.performance.performance import Performance
from smabot.cli.progress_bar import progress_bar
from smabot.cli.run_session import begin_run_row, opened_session, rare_collections, save_run_row
from smabot.cli.stop_signals import stop_signals
from smabot.domain.frozen_classes import replace
from smabot.engine.commit import Watcher
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.recovery import recover
from smabot.errors import ConfigError, counted
from smabot.hooks.plugins import Plugins

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.domain.records import Bar
    from smabot.settings.loading import Loaded

ENOUGH_SESSIONS = 60
"""Fewer sessions say little about a year."""
ENOUGH_TRADES = 30
"""Fewer round trips say little about a strategy."""


def run_backtest(app: App, loaded: Loaded) -> int:
    """Trade over the data, and show what came of it; returns the exit code.

    Raises SmabotError as a run does.
    """
    plugins = Plugins.load(loaded.config, origins=loaded.origins)
    market = BuyAndHold()
    with opened_session(loaded.config, plugins) as session, stop_signals() as (received, stopping):
        rare_collections()
        session.config = _ending_with_its_session(session)
        row = begin_run_row(session)
        with _watched(app, session, market) as watch:
            engine = recover(session, watch)
            engine.stopping = stopping
            outcome = engine.run()
        code = 130 if signal.SIGINT in received else 0
        ended = session.surroundings.wall()
        save_run_row(session, replace(row, ended_at=ended, exit_code=code, outcome=outcome))
        performance = Performance.of(session.opened().journal)
        if performance is None:
            raise ConfigError("nothing was traded: the data has no bar of these symbols and days")
        notes = list(_notes(session, performance, market, outcome))
    app.emit(
        backtest_data(performance, market, notes),
        backtest_lines(performance, market, app.times, notes),
    )
    return code


def _ending_with_its_session(session: BotSession) -> Any:
    """Return the settings with an end that is a session's close: no bar of a later one is taken."""
    until = session.config.until
    if until is None:
        return session.config
    closes = [each.close for each in session.book.calendar.sessions if each.close <= until]
    begin = session.opened().feed.now()
    if not closes or closes[-1] <= begin:
        raise ConfigError(
            f"--to {until:%Y-%m-%d}: ends before the data begins, at {begin:%Y-%m-%d %H:%MZ}"
        )
    return session.config.model_copy(update={"until": closes[-1]})


@contextmanager
def _watched(app: App, session: BotSession, market: BuyAndHold) -> Iterator[Watcher]:
    """Yield what sees each committed step: it moves the progress bar, and keeps the market's prices."""
    feed, enterable = session.opened().feed, frozenset(session.enterable)
    begin, day = feed.now(), date.min
    progress = feed.progress()
    with progress_bar(app, progress.total if progress else None) as tell:

        def watch(rows: list[Any], bars: list[Bar]) -> None:
            nonlocal day
            taken = [bar for bar in bars if bar.time >= begin and bar.symbol in enterable]
            if not taken:
                return
            market.take(taken)
            if taken[0].time.date() != day and (now := feed.progress()):
                day = taken[0].time.date()
                tell(now.done, f"{day}  equity {money(session.book.equity())}")

        yield watch


def _notes(
    session: BotSession, performance: Performance, market: BuyAndHold, outcome: str
) -> Iterator[str]:
    """Yield what a reader of the figures must know."""
    book, statistics = session.book, performance.statistics
    yield from session.opened().feed.notes
    if outcome == "stopped":
        yield "it was stopped before the end of the data"
    if silent := sorted({*session.enterable} - market.symbols):
        yield f"no bar of {', '.join(silent[:10])}" + (" and others" if len(silent) > 10 else "")
    if len(performance.days) < ENOUGH_SESSIONS:
        sessions = counted(len(performance.days), "session")
        yield f"{sessions}: too few for what is scaled to a year"
    if statistics.round_trips < ENOUGH_TRADES:
        yield f"{counted(statistics.round_trips, 'round trip')}: too few to tell skill from luck"
    if performance.unfilled:
        yield f"{counted(performance.unfilled, 'order')} ended without a fill"
    for order in book.open_orders():
        yield f"{order.client_order_id} was still open at the end: no later bar could fill it"
