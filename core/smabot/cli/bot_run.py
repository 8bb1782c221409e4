"""A run of the bot, from its settings to its exit code."""

from __future__ import annotations

import gc
import shlex
from collections.abc import Sequence
from decimal import Decimal
from time import perf_counter
from typing import TYPE_CHECKING, Any

import smabot
from smabot.cli import output
from smabot.cli.live_trading import check_live_settings, confirm_live_trading
from smabot.cli.run_health import beating_run, heartbeat
from smabot.cli.run_session import RecordedRun, opened_session, rare_collections, save_run_row
from smabot.cli.run_settings import settings_text
from smabot.cli.screen import Screen
from smabot.cli.stop_signals import StopRequested, exit_code_of, stop_signals
from smabot.domain.frozen_classes import replace
from smabot.domain.order_terms import Status
from smabot.domain.records import Bar, Fill, Order
from smabot.engine.heartbeat import Heartbeat
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.recovery import recover
from smabot.engine.start.startup_report import StartupStep
from smabot.errors import SmabotError
from smabot.hooks.plugins import Plugins
from smabot.hooks.ports import goes_by_itself
from smabot.settings.model import Config

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.domain.book import Book
    from smabot.settings.loading import Loaded

OUTCOMES = {
    "ended": "end of the data",
    "until": "stopped at --until",
    "stopped": "stopped; positions stay, run it again to resume",
}


def run_bot(app: App, loaded: Loaded, ignored_blocks: Sequence[str] = ()) -> int:
    """Trade until the feed ends or the operator stops it; returns the exit code.

    ``ignored_blocks`` names plugins that are not part of the run and whose blocks hold nothing in it.

    Raises SmabotError when it can't start or must not go on; the run's row then has the reason. For
    real money limits have to be set and the operator confirms: before that there is no row.
    """
    config = loaded.config
    plugins = Plugins.load(config, origins=loaded.origins)
    if config.live:
        check_live_settings(config, loaded.origins, plugins.names)
    screen = Screen(config.mode, app.as_json, app.times)
    screen.show_title(smabot.__version__, str(config.db), plugins.names)
    for name in config.no_plugins:
        screen.show_warning(f"{name} is switched off")

    def show_step(step: StartupStep) -> None:
        screen.show_step(step)
        heart.start_step_done(step)

    with heartbeat(config, plugins) as heart, opened_session(config, plugins, show_step) as session:
        session.ignored_blocks = tuple(ignored_blocks)
        if config.live:
            confirm_live_trading(session, screen)
        with beating_run(session, settings_text(loaded, plugins.names), heart) as run:
            _trade(app, session, screen, run, heart)
        return run.code


def _trade(
    app: App, session: BotSession, screen: Screen, run: RecordedRun, heart: Heartbeat
) -> None:
    def committed(rows: list[Any], bars: list[Bar]) -> None:
        heart.committed(rows, bars)
        screen.show_committed(rows, bars)

    try:
        with stop_signals() as (received, stopping):
            rare_collections()
            with stopping.while_starting():
                engine = recover(session, committed)
            gc.freeze()
            engine.stopping = stopping
            for note in session.report.notes:
                screen.show_note(note)
            ready_ms = (perf_counter() - smabot.BEGUN) * 1000
            screen.show_ready(ready_ms)
            if waits := _closed_market(session):
                screen.show_note(waits)
            steps = session.report.steps_json()
            run.row = replace(run.row, ready_ms=round(ready_ms, 1), steps=steps)
            save_run_row(session, run.row)
            screen.begin_progress(session.opened().feed)
            heart.ready(engine, ready_ms / 1000)
            outcome = engine.run(heart)
            heart.stop()
        screen.end_progress()
        _summary(app, session, screen, outcome, ready_ms)
        run.code, run.outcome = exit_code_of(received), outcome
    except StopRequested:
        run.code, run.outcome = exit_code_of(received), "stopped"
        screen.show_note("stopped while starting; run it again to resume")
    except SmabotError as error:
        screen.show_failure(error)
        raise
    finally:
        screen.end_progress()


def _closed_market(session: BotSession) -> str:
    """Return until when a market that goes by itself is closed; an empty text where it is open."""
    _, broker, feed = session.opened()
    calendar, now = session.book.calendar, feed.now()
    if not goes_by_itself(broker) or calendar.session_at(now) is not None:
        return ""
    following = calendar.next_session(now)
    if following is None:
        return ""
    return f"the market is closed until {following.open:%Y-%m-%d %H:%M} UTC; the bot waits"


def _summary(app: App, session: BotSession, screen: Screen, outcome: str, ready_ms: float) -> None:
    book, journal, config = session.book, session.journal, session.config
    assert journal is not None
    fills, orders = journal.count(Fill), journal.count(Order)
    unrealized = book.positions_value() - sum((p.cost for p in book.positions.values()), Decimal(0))
    blocked = journal.count(Order, where={"status": Status.BLOCKED})
    held = sorted((p for p in book.positions.values() if p.qty), key=lambda p: p.symbol)
    described = session.plugins.describe(book)
    data = {
        "outcome": outcome, "fills": fills, "orders": orders, "blocked": blocked,
        "realized_pnl": book.realized_pnl(), "unrealized_pnl": unrealized,
        "equity": book.equity(), "ready_ms": round(ready_ms, 1), "database": str(config.db),
        **dict(described),
    }  # fmt: skip
    holding = ", ".join(f"{p.qty:f} {p.symbol}" for p in held[:8]) + (" …" if len(held) > 8 else "")
    lines = [
        (config.mode, OUTCOMES.get(outcome, outcome)),
        ("orders", f"{orders:,}, {blocked:,} of them blocked"),
        ("fills", f"{fills:,}"),
        ("realized P&L", f"{book.realized_pnl():+,.2f}"),
        ("unrealized P&L", f"{unrealized:+,.2f}"),
        ("positions", holding or "none"),
        *(("", line) for line in output.stale_price_lines(book, app.times)),
        ("equity", f"{book.equity():,.2f}"),
        *((("halted", output.halt_line(book)),) if book.halted else ()),
        *described,
        ("ready in", f"{ready_ms:,.0f} ms"),
        ("database", journal.location),
        ("try next", _next_step(app, book, config, outcome)),
    ]
    screen.show_summary(data, lines)


def _next_step(app: App, book: Book, config: Config, outcome: str) -> str:
    if config.in_memory:
        return "nothing was kept; give --db a file's name to look at what it did"
    same = "".join(f" {word}" for word in app.shared_options())
    if outcome == "ended":
        look = f"smabot pnl{same}"
        if book.signals:
            latest = max(book.signals.values(), key=lambda state: state.bar_time)
            look += f" · smabot explain {latest.symbol}{same}"
        if config.url is not None:  # another database at the same account would be a conflict
            return look
        new_db = config.db.with_stem(config.db.stem + "-2")
        return f"{look} · a fresh start: the same command with --db {shlex.quote(str(new_db))}"
    return f"the same command resumes from this minute · smabot status{same}"
