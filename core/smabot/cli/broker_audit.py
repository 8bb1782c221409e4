"""`smabot audit`: what differs between the database and the broker's account activities, and its acceptance."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from time import sleep
from typing import TYPE_CHECKING, Any

from smabot.cli import output
from smabot.cli.run_session import opened_session
from smabot.domain.calendar import EXCHANGE_ZONE
from smabot.domain.frozen_classes import replace
from smabot.domain.records import Account
from smabot.engine.auditing.audit_table import Audit, audit_records
from smabot.engine.auditing.corrections import TRADES, order_corrections, unknown_movements
from smabot.engine.auditing.own_records import OwnRecords, Span, own_records
from smabot.engine.auditing.statement import Statement, ask_statement
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.engine.start.startup_reconciliation import accept_broker_state, compare_with_broker
from smabot.errors import ConfigError, ConflictError, counted
from smabot.hooks.recovery_answers import Reconciliation

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.cli.records.time_arguments import TypedTime
    from smabot.engine.start.bot_session import BotSession
    from smabot.hooks.ports import Broker, Rows
    from smabot.settings.loading import Loaded
    from smabot.settings.model import Config

RUNNING_PAUSES = (2.0, 4.0)
"""Seconds after which a running bot has committed what the broker has told it."""
OF_POSITIONS = frozenset({"position_mismatch", "foreign_activity"})
"""Conflicts that an audit's corrections may resolve."""


def show_audit(app: App, loaded: Loaded, since: TypedTime | None) -> int:
    """Show the differences; 6 where there is one, 0 where there is none. Changes nothing."""
    config, plugins = loaded.config, app.plugins()
    with app.rows(plugins) as rows:
        begin = _begin(app, rows, since)
        with plugins.named_in_errors(), closing(plugins.open_broker(config)) as broker:
            found, _, _ = _audit(config, rows, broker, begin)
            for pause in RUNNING_PAUSES:
                if found.agrees or not rows.in_use():
                    break
                sleep(pause)
                found = _lasting(found, _audit(config, rows, broker, begin)[0])
    _show(app, found, begin)
    return 0 if found.agrees else ConflictError.exit_code


def accept_audit(app: App, loaded: Loaded, since: TypedTime | None) -> int:
    """Make the database agree with the broker's activities, by adjustments; 6 where something is left.

    Raises ReconciliationConflict where `smabot reconcile` has to be asked first.
    """
    config, plugins = loaded.config, app.plugins()
    with opened_session(config, plugins) as session:
        journal, broker, _ = session.opened()
        begin = _begin(app, journal, since)
        compared = compare_with_broker(session) or Reconciliation()
        first = [each for each in compared.conflicts if each.kind not in OF_POSITIONS]
        if first:
            raise ReconciliationConflict(first)
        found, own, statement = _audit(config, journal, broker, begin)
        if not found.agrees:
            accept_broker_state(session, _corrections(session, compared, found, own, statement))
            found, _, _ = _audit(config, journal, broker, begin)
    _show(app, found, begin)
    return 0 if found.agrees else ConflictError.exit_code


def _corrections(
    session: BotSession,
    compared: Reconciliation,
    found: Audit,
    own: OwnRecords,
    statement: Statement,
) -> Reconciliation:
    """Return what is to be written: the broker's updates, what explains cash, and adjustments."""
    book, now = session.book, session.opened().feed.now()
    there = {each.symbol: each.qty for each in session.opened().broker.positions()}
    updated = {each.client_order_id for each in compared.updates if book.fill_of(each)}
    rows = order_corrections(found, own, book, there, updated, now)
    booked = {getattr(row, "activity_id", "") for row in compared.booked}
    moved = unknown_movements(found, statement, booked, now)
    return replace(compared, conflicts=(), remedy=tuple(rows), booked=(*compared.booked, *moved))


def _audit(
    config: Config, rows: Rows, broker: Broker, begin: datetime
) -> tuple[Audit, OwnRecords, Statement]:
    span = Span.from_time(rows, begin)
    statement = ask_statement(broker, span.orders_since, span.cash_since)
    bound = rows.rows(Account)
    if bound and bound[0].account_id != statement.account_id:
        raise ConflictError(
            f"the database belongs to {bound[0].broker} account {bound[0].account_id}, the broker's keys are those "
            f"of {statement.account_id}: use the account's, or another --db"
        )
    own = own_records(rows, span, {each.broker_order_id for each in statement.executions})
    return audit_records(own, statement, config.bot, foreign=config.foreign), own, statement


def _begin(app: App, rows: Any, since: TypedTime | None) -> datetime:
    """Return from when on to audit: never before the database was bound to its account.

    Raises ConfigError where it was bound to none.
    """
    from smabot.cli.records.record_filters import newest_time

    bound = rows.rows(Account)
    if not bound:
        raise ConfigError("no bot has traded with this database yet: there is nothing to audit")
    begin: datetime = bound[0].bound_at
    if since is None:
        return begin
    zone = UTC if app.utc else EXCHANGE_ZONE
    return max(begin, since.begin(newest_time(rows) or app.wall(), zone))


def _lasting(first: Audit, again: Audit) -> Audit:
    """Return the second audit with those differences that the first one had, too: a running bot trades."""
    kept = tuple(each for each in again.differences if each in first.differences)
    return Audit(
        kept, again.days, again.orders, again.executions, again.movements, again.there, again.here
    )


def _show(app: App, found: Audit, begin: datetime) -> None:
    data = {
        "agrees": found.agrees,
        "since": begin,
        "orders": found.orders,
        "executions": found.executions,
        "movements": found.movements,
        "differences": [
            {"kind": d.kind, "day": d.day, "what": d.what, "here": d.here, "there": d.there}
            for d in found.differences
        ],
        "days": [{"day": d.day, "here": d.here, "there": d.there} for d in found.days],
    }
    compared = f"compared  {found.told()} since {app.times.full(begin)}"
    if found.agrees:
        app.emit(data, [compared, "agrees    fills and cash are the broker's"])
        return
    columns: output.Columns = (
        ("difference", lambda d: d.kind),
        ("date", lambda d: d.day.isoformat() if d.day else ""),
        ("what", lambda d: d.what),
        ("here", lambda d: d.here),
        ("there", lambda d: d.there),
    )
    differing = [day for day in found.days if day.here != day.there]
    days: output.Columns = (
        ("cash of", lambda d: d.day.isoformat()),
        (">here", lambda d: output.gain(d.here)),
        (">there", lambda d: output.gain(d.there)),
    )
    tables = [output.listing(columns, found.differences)]
    tables += [output.listing(days, differing)] if differing else []
    app.emit(data, [compared, *tables, _advice(found)])


def _advice(found: Audit) -> str:
    count = counted(len(found.differences), "difference")
    if any(each.kind in TRADES or each.is_late for each in found.differences):
        return f"{count}: if the broker is right, stop the bot and add `--accept broker`"
    return f"{count}: `smabot reconcile --accept broker` adopts the broker's cash"
