"""That an audit is clean at the end: fills and cash of the database are those of the exchange's activities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from smabot.domain.records import Account
from smabot.engine.auditing.audit_table import audit_records
from smabot.engine.auditing.own_records import Span, own_records
from smabot.engine.auditing.statement import ask_statement
from smabot.hooks.account_activities import tells_activities
from smabot.hooks.simulated_exchange import SimulatedExchange
from smabot.testing.simulation.databases import Database


def audit_differences(journal: Database, exchange: SimulatedExchange, bot: str) -> Iterator[str]:
    """Yield what an audit finds; nothing where the exchange lists no activities, or no bot was bound to it."""
    broker, bound = exchange.connect(), journal.rows(Account)
    if not tells_activities(broker) or not bound:
        return
    rows: Any = _Rows(journal)
    span = Span.from_time(rows, bound[0].bound_at)
    statement = ask_statement(exchange.connect(), span.orders_since, span.cash_since)
    own = own_records(rows, span, {each.broker_order_id for each in statement.executions})
    for each in audit_records(own, statement, bot).differences:
        yield f"{each.kind} {each.what}: {each.here} here, {each.there} there"


class _Rows:
    """A simulation's database, read as a journal's rows are."""

    def __init__(self, journal: Database) -> None:
        self._journal = journal

    def row(self, kind: type[Any], *key: Any) -> Any:
        return self._journal.row(kind, *key)

    def rows(
        self,
        kind: type[Any],
        *,
        where: Mapping[str, Any] | None = None,
        since: tuple[str, Any] | None = None,
        newest_by: str | None = None,
    ) -> list[Any]:
        found = self._journal.rows(kind, where=where)
        if since is not None:
            column, first = since
            found = [row for row in found if getattr(row, column) >= first]
        if newest_by is not None:
            found.sort(key=lambda row: getattr(row, newest_by))
        return found
