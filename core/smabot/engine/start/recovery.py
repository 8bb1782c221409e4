"""The start, from top to bottom: from an opened session to an engine that is ready."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from smabot.domain.blocks import ignore_blocks, require_blocking_plugins
from smabot.domain.bot_records import Command
from smabot.domain.frozen_classes import replace
from smabot.domain.records import Batch
from smabot.engine.loop import Engine
from smabot.engine.operator_commands import expiry
from smabot.engine.start.backfill import backfill
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.startup_reconciliation import reconciled_engine
from smabot.engine.start.unattended_positions import unattended_positions
from smabot.engine.start.warm_up import warm_up
from smabot.engine.transaction import Watcher
from smabot.engine.windows import newest_bar_end
from smabot.errors import counted


def recover(session: BotSession, watch: Watcher | None = None) -> Engine:
    """Reconcile, warm up, fill the gap and subscribe; returns the engine, ready.

    Raises RiskHalt where a block holds whose plugin is not part of the run, and ReconciliationConflict on
    any conflict; then nothing has been changed.
    """
    _ignore_blocks(session)
    require_blocking_plugins(session.book, session.plugins.names)
    engine = reconciled_engine(session, watch)
    with _closed_on_failure(engine):
        warm_up(session)
        backfill(session, engine)
        session.report.notes += unattended_positions(session)
        _subscribe(session, engine)
    return engine


def recover_orders(session: BotSession, command: Command, watch: Watcher | None = None) -> Engine:
    """Reconcile, follow the open orders and carry a command out; returns the engine, ready.

    It gets no bars, so that no strategy decides: the next `recover` finds them as a gap. The command
    counts as given when it is sent here, for a start may take longer than the command is valid. Raises
    ReconciliationConflict on any conflict; then nothing has been changed.
    """
    _ignore_blocks(session)
    engine = reconciled_engine(session, watch)
    with _closed_on_failure(engine):
        _subscribe_to_orders(session, engine, command)
    return engine


def _ignore_blocks(session: BotSession) -> None:
    session.book.now = max(session.book.now, session.opened().feed.now())
    ignore_blocks(session.book, session.ignored_blocks, session.plugins.names)


def _subscribe(session: BotSession, engine: Engine) -> None:
    feed = session.opened().feed
    with session.report.step("subscribe") as found:
        adopted = engine.resume()
        engine.process(Batch(feed.now()))
        feed.subscribe(session.symbols)
        found.facts["market_time"] = feed.now().isoformat().replace("+00:00", "Z")
        found.append(counted(len(session.symbols), "symbol"))
        if adopted:
            found.append(f"queried the status of {counted(len(adopted), 'unanswered order')}")
            found.facts["queried"] = [order.client_order_id for order in adopted]


def _subscribe_to_orders(session: BotSession, engine: Engine, command: Command) -> None:
    journal, _, feed = session.opened()
    with session.report.step("subscribe") as found:
        if newest := newest_bar_end(session.book):
            feed.catch_up(newest)
        feed.subscribe(())
        found.facts["market_time"] = feed.now().isoformat().replace("+00:00", "Z")
        now = session.surroundings.wall()
        journal.send(replace(command, created_at=now, expires_at=expiry(command.verb, now)))
        engine.resume()
        engine.process(Batch(feed.now()))
        found.append("order updates only")


@contextmanager
def _closed_on_failure(engine: Engine) -> Iterator[None]:
    """Close the engine when a start fails, so that nothing leaves any more."""
    try:
        yield
    except BaseException:
        engine.close()
        raise
