"""A backtest, from its settings to its table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import smabot
from smabot.cli.output import money
from smabot.cli.performance.backtest_bias import BacktestBias, too_good
from smabot.cli.performance.backtest_table import backtest_data, backtest_lines
from smabot.cli.performance.buy_and_hold import BuyAndHold
from smabot.cli.performance.kept_notes import UNFINISHED, notes_row
from smabot.cli.performance.performance import Performance
from smabot.cli.performance.reading_notes import reading_notes
from smabot.cli.progress_bar import Tell, progress_bar
from smabot.cli.report.report_data import Report
from smabot.cli.report.report_files import ReportFiles
from smabot.cli.report.report_output import page_of, written_lines
from smabot.cli.run_session import (
    RecordedRun,
    opened_session,
    rare_collections,
    recorded_run,
    save_run_row,
)
from smabot.cli.run_settings import settings_of, settings_text
from smabot.cli.stop_signals import INTERRUPTED, stop_signals
from smabot.domain.calendar import Calendar, new_york_date
from smabot.domain.frozen_classes import replace
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.recovery import recover
from smabot.engine.transaction import Watcher
from smabot.errors import ConfigError, counted
from smabot.hooks.late_journal import LateJournal
from smabot.hooks.optional_ports import HistoricalFeed
from smabot.hooks.plugins import Plugins
from smabot.hooks.replayed_journal import ReplayedJournal
from smabot.system.new_database import database_files, removed_unless_kept

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.domain.records import Bar
    from smabot.settings.loading import Loaded
    from smabot.settings.model import Config


@dataclass(frozen=True, slots=True)
class Backtest:
    """What came of a backtest. ``notes`` are what a reader of the figures must know, ``feed_notes`` those
    of them on data and costs.

    ``report`` has more than the performance; None where it was not asked for.
    """

    performance: Performance
    market: BuyAndHold
    notes: Sequence[str]
    code: int
    report: Report | None = None
    feed_notes: Sequence[str] = ()


def run_backtest(app: App, loaded: Loaded, html: Path | None = None) -> int:
    """Trade over the data, and show what came of it; returns the exit code.

    ``html`` is a file that does not exist yet: the report is written there, too. Raises SmabotError as a
    run does.
    """
    files = ReportFiles("backtest", html)
    files.require_new()
    _require_apart(html, loaded.config)
    with progress_bar(app, None) as tell:
        done = traded(loaded, tell, reporting=html is not None)
    written = []
    if done.report is not None:
        heading = "PAPER" if loaded.config.in_memory else f"PAPER {loaded.config.db}"
        written = files.write_page(page_of(app, done.report, heading, done.notes, "Backtest"))
    data = backtest_data(done.performance, done.market, done.notes)
    app.emit(
        {**data, "files": [str(path) for path in written]} if written else data,
        [
            *backtest_lines(done.performance, done.market, app.times, done.notes),
            *written_lines(written),
        ],
    )
    return done.code


def _require_apart(html: Path | None, config: Config) -> None:
    """Raise ConfigError where the report would be a file of the database."""
    if html is not None and html.resolve() in database_files(config.db.resolve()):
        raise ConfigError(
            f"--html {html}: the database {config.db} has that file: give another name"
        )


def traded(
    loaded: Loaded,
    tell: Tell = lambda done, text, total=None: None,
    *,
    reporting: bool = False,
) -> Backtest:
    """Trade over the data; ``reporting`` also makes a report. Raises SmabotError as a run does."""
    plugins = Plugins.load(loaded.config, origins=loaded.origins)
    config = loaded.config
    with (
        removed_unless_kept(config.db) as keep,
        opened_session(config, plugins) as session,
        stop_signals() as (received, stopping),
    ):
        rare_collections()
        market, bias = BuyAndHold(len(session.enterable)), BacktestBias(_whole_calendar(session))
        session.config = _ending_with_its_session(session)
        settings = settings_text(loaded, plugins.names)
        with recorded_run(session, settings) as run:
            with _journal_of_backtest(session):
                engine = recover(session, _watcher(session, market, bias, tell, keep))
                _record_start(session, run)
                engine.stopping = stopping
                run.outcome = engine.run()
                run.code = INTERRUPTED if received else 0
            performance = Performance.of(session.opened().journal)
            if received and performance is None:
                raise KeyboardInterrupt
            if performance is None:
                raise ConfigError(
                    "nothing was traded: the data has no bar of these symbols and days"
                )
            kept = list(_notes(session, performance, market, bias, run.outcome))
            session.opened().journal.commit([notes_row(kept)])
        used = [setting.name for setting in settings_of(run.row) or ()]
        notes = [*kept, *reading_notes(performance, used)]
        report = Report.of(session.opened().journal) if reporting else None
        told = session.opened().feed.notes
        return Backtest(performance, market, notes, run.code, report, told)


def _record_start(session: BotSession, run: RecordedRun) -> None:
    """Keep what the start did, and that the end is not reached yet: a kill leaves a part of the tables."""
    ready_ms = round((perf_counter() - smabot.BEGUN) * 1000, 1)
    run.row = replace(run.row, ready_ms=ready_ms, steps=session.report.steps_json())
    save_run_row(session, run.row, notes_row([UNFINISHED]))


@contextmanager
def _journal_of_backtest(session: BotSession) -> Iterator[None]:
    """Keep bars with the feed within, or write a database in large parts: nobody goes on after a crash."""
    opened = session.opened()
    if session.config.in_memory:
        session.use(ReplayedJournal(opened.feed))
        yield
        return
    late = LateJournal(opened.journal)
    session.use(late)
    try:
        yield
    finally:
        late.write()
        session.use(opened.journal)


def _ending_with_its_session(session: BotSession) -> Config:
    """Return the settings with an end that is a session's close: no bar of a later one is taken."""
    until, calendar = session.config.until, session.book.calendar
    if until is None or calendar.session_at(until) is not None:
        return session.config
    closes = [each.close for each in calendar.sessions if each.close <= until]
    if not closes or closes[-1] <= session.opened().feed.now():
        raise ConfigError(f"nothing to trade: {_days_around(session, new_york_date(until))}")
    return session.config.model_copy(update={"until": closes[-1]})


def _whole_calendar(session: BotSession) -> Calendar:
    """Return the sessions, with those of which the data have no bar."""
    feed, known = session.opened().feed, session.book.calendar.sessions
    absent = feed.absent_sessions() if isinstance(feed, HistoricalFeed) else ()
    return Calendar([*known, *absent])


def _days_around(session: BotSession, last: date) -> str:
    """Return which sessions the data has around days without one, of which ``last`` is the last."""
    feed, since = session.opened().feed, session.config.since
    begin = new_york_date(feed.now())
    before = next(iter(feed.history(session.enterable, None, 1)), [])
    if not before:
        return f"it ends on {last}, and the data begins on {begin}: give a later --to"
    span = f"up to {last}" if since is None else f"from {new_york_date(since)} to {last}"
    return (
        f"the data has no session {span}, the last one before is {new_york_date(before[0].time)}, the next "
        f"one {begin}: give other days with --from and --to"
    )


def _watcher(
    session: BotSession,
    market: BuyAndHold,
    bias: BacktestBias,
    tell: Tell,
    keep: Callable[[], None],
) -> Watcher:
    """Return what sees each committed step: it tells of the progress, and takes in what the result needs.

    From the first minute that is traded on the database is worth to be kept.
    """
    feed, enterable = session.opened().feed, frozenset(session.enterable)
    begin, day = feed.now(), date.min

    def watch(rows: list[Any], bars: list[Bar]) -> None:
        nonlocal day
        market.take_splits(rows)
        bias.take_splits(rows)
        taken = [bar for bar in bars if bar.time >= begin and bar.symbol in enterable]
        if not taken:
            return
        keep()
        market.take(taken)
        bias.take(rows, taken)
        if taken[0].time.date() != day and (progress := feed.progress()):
            day = taken[0].time.date()
            text = f"{day}  equity {money(session.book.equity())}"
            tell(progress.done, text, progress.total)

    return watch


def _notes(
    session: BotSession,
    performance: Performance,
    market: BuyAndHold,
    bias: BacktestBias,
    outcome: str,
) -> Iterator[str]:
    """Yield what only the backtest knows of its figures, and its database would not tell."""
    if session.config.since or session.config.until:
        traded_days = counted(len(performance.days), "session")
        yield f"traded {traded_days} of the data; notes on the data are of all of it"
    yield from session.opened().feed.notes
    if outcome == "stopped":
        yield "it was stopped before the end of the data"
    if silent := sorted({*session.enterable} - market.symbols):
        yield f"no bar of {', '.join(silent[:10])}" + (" and others" if len(silent) > 10 else "")
    yield from bias.notes()
    yield from too_good(performance)
    for order in session.book.open_orders() if outcome == "ended" else ():
        yield f"{order.client_order_id} was still open at the end: no later bar could fill it"
