"""Shows the judge what leaves in HTTP requests: of an order they have its id alone."""

from __future__ import annotations

from smabot.domain.records import Order
from smabot.hooks.simulated_exchange import SimulatedExchange
from smabot.hooks.simulated_machine import HttpAnswer, HttpRequest
from smabot.testing.simulation.databases import Database
from smabot.testing.simulation.http_line import TOO_MANY
from smabot.testing.simulation.judge import Judge, Violation


class WatchedRequests:
    """Of all processes."""

    def __init__(self, judge: Judge, database: Database, exchange: SimulatedExchange) -> None:
        self._judge = judge
        self._database = database
        self._exchange = exchange

    def leaves(self, request: HttpRequest) -> int:
        """Judge a request as it leaves; returns the number of a query of positions."""
        if request.kind == "submit":
            order = self._database.row(Order, request.order)
            if order is None:
                raise Violation("1 committed first", f"{request.order} leaves before its commit")
            self._judge.handed_over(order)
            if order.reduces:
                self._judge.room.leaves("exit", order)
        elif request.kind == "cancel":
            order = self._database.row(Order, self._name(request.order))
            if order is not None:
                self._judge.cancel_handed_over(order)
                self._judge.room.leaves("cancel", order)
        return self._judge.positions_queried() if request.call == "positions" else 0

    def carried_out(self, request: HttpRequest, answer: HttpAnswer) -> None:
        """Note what the exchange answered."""
        refused = 400 <= answer.status < 500 and answer.status != TOO_MANY
        if refused and request.kind == "submit":
            order = self._database.row(Order, request.order)
            if order is not None:
                self._judge.refused(order)

    def too_many(self) -> None:
        """Note that an answer was that there were too many requests."""
        self._judge.room.refused()

    def known(self, request: HttpRequest, number: int) -> None:
        """Note that an answer has come whole."""
        if request.call == "positions":
            self._judge.positions_known(number)

    def _name(self, broker_order_id: str) -> str:
        names = {each.broker_order_id: each.client_order_id for each in self._exchange.orders()}
        return names.get(broker_order_id, "")
