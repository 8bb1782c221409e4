"""Asks for orders by REST: one by its client order id, or a list.

https://docs.alpaca.markets/reference/getorderbyclientorderid, getallorders
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

from smabot.provider import BrokerError, BrokerOrder, OrderUpdate, PartlyUnreadable
from smabot_alpaca.order_json import UnreadableAnswer, broker_order, text_field
from smabot_alpaca.rest.answers import as_list, describe_unreadable
from smabot_alpaca.rest.client import RequestRefused, RestClient
from smabot_alpaca.rest.rate_limit import Urgency

PAGE = 500
"""The most orders that ``GET /v2/orders`` gives at once."""
NOT_FOUND = 404


class OrderQueries:
    """Reads orders. Safe to use from several threads.

    ``answers`` is a queue: whichever thread reads an order appends its update, and the deciding
    thread takes it from there (`AlpacaConnection.order_answers`). ``by_minutes`` as in `broker_order`.
    """

    def __init__(
        self, rest: RestClient, answers: deque[OrderUpdate], *, by_minutes: bool = False
    ) -> None:
        self._rest = rest
        self._answers = answers
        self._by_minutes = by_minutes

    def order(self, client_order_id: str, urgency: Urgency = Urgency.ENTRY) -> BrokerOrder | None:
        """Return an order, None where the broker does not know it. Raises BrokerError."""
        try:
            raw = self._rest.trading(
                "GET",
                "/v2/orders:by_client_order_id",
                {"client_order_id": client_order_id},
                urgency=urgency,
            )
        except RequestRefused as refusal:
            if refusal.status == NOT_FOUND:
                return None
            raise
        order = broker_order(raw, by_minutes=self._by_minutes)
        self._answers.append(order.update())
        return order

    def orders(self, since: datetime | None = None) -> list[BrokerOrder]:
        """Return the open orders and those submitted from ``since`` on, oldest first.

        Two lists, so that an order may end between them: the second, newer one counts. Only the open
        ones go to ``answers``: an earlier process may have sent them.
        Raises PartlyUnreadable where some can't be read.
        """
        unreadable: dict[str, UnreadableAnswer] = {}
        opened = self._list({"status": "open"}, unreadable)
        self._answers.extend(order.update() for order in opened if not order.status.terminal)
        recent: list[BrokerOrder] = []
        if since is not None:
            after = (since.astimezone(UTC) - timedelta(microseconds=1)).isoformat()
            recent = self._list({"status": "all", "after": after}, unreadable)
        known = {order.broker_order_id for order in recent}
        found = [order for order in opened if order.broker_order_id not in known] + recent
        if unreadable:
            raise PartlyUnreadable(
                describe_unreadable("order", unreadable), found, list(unreadable)
            )
        return found

    def _list(
        self, query: dict[str, Any], unreadable: dict[str, UnreadableAnswer]
    ) -> list[BrokerOrder]:
        """Page by id: orders of the same instant can't be told apart by time.

        What can't be read is added to ``unreadable``, by its client order id.
        """
        status = query["status"]
        found: dict[str, BrokerOrder] = {}
        seen: set[str] = set()
        while True:
            params = {**query, "direction": "asc", "limit": PAGE, "nested": "false"}
            page = as_list(self._rest.trading("GET", "/v2/orders", params))
            for raw in page:
                try:
                    order = broker_order(raw, by_minutes=self._by_minutes)
                    found[order.broker_order_id] = order
                except UnreadableAnswer as error:
                    unreadable[text_field(raw, "client_order_id")] = error
            if len(page) < PAGE:
                return list(found.values())
            last = text_field(page[-1], "id")
            if not last or last in seen:
                raise BrokerError("GET /v2/orders: the same page comes again and again")
            seen.add(last)
            query = {"status": status, "after_order_id": last}
