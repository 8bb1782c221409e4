"""What the ledger says of orders and fills."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from smabot_exchange.data.corporate_actions import ListedAction
from smabot_exchange.ledger.changes import AccountMovement, CashActivityEntry, movements
from smabot_exchange.ledger.ledger_file import LedgerFile
from smabot_exchange.ledger.rows import (
    ACTION_COLUMNS,
    EXECUTION_COLUMNS,
    ORDER_COLUMNS,
    to_action,
    to_cash_activity,
    to_decimal,
    to_execution,
    to_order,
    to_stamp,
    to_time,
)
from smabot_exchange.matching.order_states import OPEN_STATUSES, StallReason
from smabot_exchange.matching.orders import (
    BETWEEN_SUBMISSIONS,
    ExchangeOrder,
    Execution,
    OrderFilter,
)

OPEN = "status IN ('" + "', '".join(OPEN_STATUSES) + "')"
"""Which rows of table ``orders`` are open."""

_SINCE = (
    "number > IFNULL((SELECT number FROM fills WHERE time < ? ORDER BY number DESC LIMIT 1), 0)"
)
"""Which fills are of a time or later: their numbers ascend with their times, so that older ones are not read."""


class OrderQueries(LedgerFile):
    """Reads tables ``orders``, ``fills`` and ``adjustments``. Each method raises BrokerError when the
    file can't be read."""

    def last_execution(self) -> int:
        with self._errors_in_one_line():
            return self._value("SELECT max(number) FROM fills") or 0

    def newest_order(self) -> ExchangeOrder | None:
        """Return the order that came in last."""
        found = self._orders("ORDER BY seq DESC LIMIT 1")
        return found[0] if found else None

    def order(self, order_id: UUID) -> ExchangeOrder | None:
        found = self._orders("WHERE id = ?", str(order_id))
        return found[0] if found else None

    def order_by_client_id(self, client_order_id: str) -> ExchangeOrder | None:
        found = self._orders("WHERE client_order_id = ?", client_order_id)
        return found[0] if found else None

    def taken_ids(self, client_order_ids: Collection[str]) -> set[str]:
        """Return those of some ids that orders have, in any state."""
        with self._errors_in_one_line():
            rows = self._db.execute(
                "SELECT client_order_id FROM json_each(?) CROSS JOIN orders "
                "ON client_order_id = value",
                (json.dumps(list(client_order_ids)),),
            )
            return {client_order_id for (client_order_id,) in rows}

    def open_orders(self) -> list[ExchangeOrder]:
        return self._orders(f"WHERE {OPEN} ORDER BY seq")

    def orders_since(self, time: datetime | None) -> list[ExchangeOrder]:
        """Return the orders submitted at or after a time, or all, in the order they came in."""
        if time is None:
            return self._orders("ORDER BY seq")
        # The plus keeps SQLite from reading all orders in the order wanted, instead of the index by time.
        return self._orders("WHERE submitted_at >= ? ORDER BY +seq", to_stamp(time, up=True))

    def find_orders(self, wanted: OrderFilter) -> list[ExchangeOrder]:
        """Return the orders that a filter lets through, without hidden ones."""
        tests: list[tuple[str, object]] = []
        if wanted.after is not None:
            tests.append(("seq > ?", self._newest_until(wanted.after)))
        if wanted.until is not None:
            tests.append(("seq <= ?", self._newest_until(wanted.until - 1)))
        if wanted.after_seq is not None:
            tests.append(("seq > ?", wanted.after_seq))
        if wanted.before_seq is not None:
            tests.append(("seq < ?", wanted.before_seq))
        if wanted.side is not None:
            tests.append(("side = ?", wanted.side.value))
        if wanted.symbols is not None:
            symbols = json.dumps(sorted(wanted.symbols))
            tests.append(("symbol IN (SELECT value FROM json_each(?))", symbols))
        clauses = [clause for clause, _ in tests]
        clauses.append(f"stall IS NOT '{StallReason.LOST}'")
        if wanted.status != "all":
            clauses.append(OPEN if wanted.status == "open" else f"NOT {OPEN}")
        if wanted.parents_only:
            clauses.append("parent_id IS NULL")
        return self._orders(
            f"WHERE {' AND '.join(clauses)} ORDER BY seq {'DESC' if wanted.newest_first else 'ASC'} LIMIT ?",
            *(value for _, value in tests),
            -1 if wanted.limit is None else wanted.limit,
        )

    def legs(self, parent: UUID) -> list[ExchangeOrder]:
        """Return an order's legs, without replaced ones."""
        return self._orders(
            "WHERE parent_id = ? AND status <> 'replaced' ORDER BY seq", str(parent)
        )

    def executions(self, since: datetime | None = None) -> list[Execution]:
        """Return the fills at or after a time, or all, in the order they happened."""
        begin = 0 if since is None else to_stamp(since, up=True)
        with self._errors_in_one_line():
            rows = self._db.execute(
                f"SELECT {EXECUTION_COLUMNS} FROM fills WHERE {_SINCE} AND time >= ? ORDER BY number",  # noqa: S608
                (begin, begin),
            )
            return [to_execution(row) for row in rows]

    def activities(
        self,
        limit: int | None,
        after_number: int | None,
        oldest_first: bool,
        since: datetime | None,
        until: datetime | None,
    ) -> list[Execution]:
        """Return a page of fills; see `Exchange.activities`."""
        clauses, values = ["true"], list[object]()
        if after_number is not None:
            clauses.append("number > ?" if oldest_first else "number < ?")
            values.append(after_number)
        if since is not None:
            # A fill is of some moment of its second: a time within that second does not exclude it.
            clauses.append("time >= ?" if since.microsecond else "time > ?")
            clauses.append(_SINCE)
            values += [to_stamp(since), to_stamp(since)]
        if until is not None:
            clauses.append("time < ?")
            values.append(to_stamp(until, up=True))
        with self._errors_in_one_line():
            rows = self._db.execute(
                f"SELECT {EXECUTION_COLUMNS} FROM fills WHERE {' AND '.join(clauses)} "  # noqa: S608
                f"ORDER BY number {'ASC' if oldest_first else 'DESC'} LIMIT ?",
                (*values, -1 if limit is None else limit),
            )
            return [to_execution(row) for row in rows]

    def movements(self) -> list[AccountMovement]:
        """Return all that ever moved shares or cash, fills and what came from outside, by time."""
        with self._errors_in_one_line():
            given = self._db.execute("SELECT time, symbol, qty, cash FROM adjustments")
            outside = [
                AccountMovement(
                    to_time(time), symbol, to_decimal(qty), to_decimal(cash), from_outside=True
                )
                for time, symbol, qty, cash in given
            ]
        return movements(self.executions(), outside, self.carried_out())

    def carried_out(self) -> list[ListedAction]:
        """Return the corporate actions that were carried out, in part at least."""
        with self._errors_in_one_line():
            rows = self._db.execute(f"SELECT {ACTION_COLUMNS} FROM corporate_actions ORDER BY id")  # noqa: S608
            return [to_action(row) for row in rows]

    def cash_activities(self) -> list[CashActivityEntry]:
        """Return the cash that moved without a trade, in its order, shown or not."""
        with self._errors_in_one_line():
            rows = self._db.execute(
                "SELECT number, time, cash, kind, of_symbol, description, shown_after "
                "FROM adjustments WHERE cash <> '0' ORDER BY number"
            )
            return [to_cash_activity(row) for row in rows]

    def _newest_until(self, time: int) -> int:
        """Return the number of the last order that was submitted at or before a time in nanoseconds."""
        with self._errors_in_one_line():
            earlier = "SELECT max(submitted_at) FROM orders WHERE submitted_at <= ?"
            found: int | None = self._value(earlier, time // 10**9)
            if found is None:
                return 0
            second = int(found)
            of_it = "FROM orders WHERE submitted_at = ?"
            first = int(self._value(f"SELECT min(seq) {of_it}", second))
            last = int(self._value(f"SELECT max(seq) {of_it}", second))
        place = (time - second * 10**9) // BETWEEN_SUBMISSIONS
        return min(last, first - 1 + int(place))

    def _orders(self, where: str, *values: object) -> list[ExchangeOrder]:
        with self._errors_in_one_line():
            rows = self._db.execute(f"SELECT {ORDER_COLUMNS} FROM orders {where}", values)  # noqa: S608
            return [to_order(row) for row in rows]
