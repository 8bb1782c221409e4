"""`smabot run` and `smabot reconcile`: a session from its settings to its exit code."""

from __future__ import annotations

import gc
import signal
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from time import perf_counter
from typing import TYPE_CHECKING

import smabot
from smabot.cli import live
from smabot.cli.screen import Screen
from smabot.cli.session import StopAsked, begin_run, keep, opened, signals
from smabot.cli.status import old_prices
from smabot.domain.records import Fill, Order, Status
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.engine.recovery import Session, compare, recover
from smabot.engine.recovery import accept as accept_all
from smabot.errors import ConfigError, ConflictError, SmabotError
from smabot.hooks.plugins import Plugins
from smabot.hooks.specifications import Reconciliation
from smabot.settings.model import Config

if TYPE_CHECKING:
    from smabot.settings.loading import Loaded

GC_THRESHOLDS = (100_000, 50, 100)
"""Records have no cycles: to look for some in each minute's bars would be a quarter of the minute."""
OUTCOMES = {
    "ended": "end of the data",
    "until": "stopped at --until",
    "stopped": "stopped; positions stay, run it again to go on",
}


def run(loaded: Loaded, as_json: bool, ignored_blocks: Sequence[str] = ()) -> int:
    """Trade until the feed ends or somebody stops it; returns the exit code.

    ``ignored_blocks`` names plugins that are not part of the run and whose blocks hold nothing in it.

    Raises SmabotError when it can't start or must not go on; the run's row then has the reason. For
    real money limits have to be set and the operator confirms: before that there is no row.
    """
    config = loaded.config
    plugins = Plugins.load(config, origins=loaded.origins)
    if config.live:
        live.check(config, loaded.origins, plugins.names)
    screen = Screen(config.mode, as_json)
    screen.title(smabot.__version__, str(config.db), plugins.names)
    for name in config.no_plugins:
        screen.warn(f"{name} is switched off")
    with opened(config, plugins, screen) as session:
        session.ignored_blocks = tuple(ignored_blocks)
        if config.live:
            live.approve(session, screen)
        row = begin_run(session)
        code, outcome = 1, "failed"
        try:
            with signals() as (received, stopping):
                gc.set_threshold(*GC_THRESHOLDS)
                with stopping.while_starting():
                    engine = recover(session, screen.committed)
                gc.freeze()
                engine.stopping = stopping
                for note in session.notes:
                    screen.note(note)
                ready_ms = (perf_counter() - smabot.BEGUN) * 1000
                screen.ready(ready_ms)
                row = replace(row, ready_ms=round(ready_ms, 1), steps=session.steps_json())
                keep(session, row)
                assert session.feed is not None
                screen.begin(session.feed)
                outcome = engine.run()
            code = 130 if signal.SIGINT in received else 0
            screen.finish()
            _summary(session, screen, outcome, ready_ms)
        except StopAsked:
            code, outcome = 130 if signal.SIGINT in received else 0, "stopped"
            screen.note("stopped while it started; run it again to go on")
        except SmabotError as error:
            screen.failed(error)
            if isinstance(error, ReconciliationConflict):
                screen.conflicts(error.conflicts)
            code, outcome = error.exit_code, str(error)
            raise
        finally:
            screen.finish()
            ended = replace(row, ended_at=session.wall(), exit_code=code, outcome=outcome)
            keep(session, ended)
        return code


def reconcile(loaded: Loaded, accept: str | None, as_json: bool) -> int:
    """Show what reconciliation finds, changing nothing; with ``accept`` take the broker's word."""
    config = loaded.config
    plugins = Plugins.load(config, origins=loaded.origins)
    screen = Screen(config.mode, as_json)
    screen.title(smabot.__version__, str(config.db), plugins.names)
    with opened(config, plugins, screen) as session:
        found = _compare(session)
        if found.conflicts:
            screen.conflicts(found.conflicts)
        else:
            screen.note(f"{len(found.updates)} orders looked up; no conflicts")
        for note in found.notes:
            screen.note(note)
        if accept is None and found.conflicts:
            raise ReconciliationConflict(found.conflicts)
        behind = _orders_behind(session, found)
        if accept is None or not (found.conflicts or found.remedy or behind):
            return 0
        accept_all(session, found)
        if behind:
            screen.note(f"{behind} order(s) brought up to date")
        left = _compare(session).conflicts
        if left:
            screen.conflicts(left)
            raise ConflictError(f"{len(left)} conflict(s) are left that only you can resolve")
        screen.note("the broker's word was taken; the database agrees now")
        return 0


# -- pieces --------------------------------------------------------------------------------------


def _compare(session: Session) -> Reconciliation:
    found = compare(session)
    if found is None:
        raise ConfigError("no plugin compares with the broker: add reconciliation to base_plugins")
    return found


def _orders_behind(session: Session, found: Reconciliation) -> int:
    """Return how many orders the broker's updates would change."""
    book = session.book.copy()
    return sum(book.apply(update) for update in found.updates)


def _summary(session: Session, screen: Screen, outcome: str, ready_ms: float) -> None:
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
        ("trades", f"{fills:,} fills"),
        ("realized P&L", f"{book.realized_pnl():+,.2f}"),
        ("unrealized P&L", f"{unrealized:+,.2f}"),
        ("positions", holding or "none"),
        *(("", line) for line in old_prices(book)),
        ("equity", f"{book.equity():,.2f}"),
        *described,
        ("ready in", f"{ready_ms:,.0f} ms"),
        ("database", journal.location),
        ("try next", _next(config, outcome)),
    ]
    screen.summary(data, lines)


def _next(config: Config, outcome: str) -> str:
    if outcome == "ended":
        look = "smabot trades · smabot pnl --by day"
        if config.url is not None:  # another database at the same account would be a conflict
            return look
        anew = config.db.with_stem(config.db.stem + "-2")
        return f"{look} · a fresh start: smabot run --db {anew}"
    return "the same command again goes on from this minute · smabot status"
