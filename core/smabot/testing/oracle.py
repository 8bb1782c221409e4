"""The oracle of the state machine: judges each order at its arrival, and both books at the end.

An order is judged at the moment it reaches the exchange, by what is durable then.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from smabot.domain.bot_records import Block
from smabot.domain.order_terms import Status
from smabot.domain.records import ZERO, Fill, Order, SignalState
from smabot.errors import ConflictError
from smabot.testing.bot_under_test import BotUnderTest

MINUTE = timedelta(minutes=1)


class Violation(AssertionError):
    """What the bot did must never happen."""


class Oracle:
    """Knows what happened outside the bot, and what the bot may therefore do."""

    def __init__(self, bot: BotUnderTest, drawdown: Decimal) -> None:
        self._bot = bot
        self._drawdown = drawdown
        self.sold_by_hand: dict[str, Decimal] = {}
        self.cancels_frozen = False
        self.last_command = ""
        self.stopped_by = ""
        """Why no order may leave; empty while the bot runs."""
        self.conflict = ""
        self._fallen = False

    # -- an order arrives ----------------------------------------------------------------------------

    def judge_arrival(self, order: Order) -> None:
        """Raise Violation where the order must not have left."""
        journal = self._bot.session.opened().journal
        kept = journal.row(Order, order.client_order_id)
        if kept is None:
            raise Violation(f"{order.client_order_id} was sent before it was committed")
        if self.stopped_by:
            raise Violation(f"{order.client_order_id} left after {self.stopped_by}")
        if order.reduces:
            self._judge_exit(order)
            return
        if kept.cancel_requested_at is not None:
            raise Violation(f"{order.client_order_id} left though its cancel was requested")
        now = self._bot.session.book.now
        if blocks := [b for b in journal.rows(Block) if b.holds(now)]:
            raise Violation(f"{order.client_order_id} left despite a block: {blocks[0].reason}")
        if order.symbol not in self._bot.enterable:
            raise Violation(f"{order.client_order_id} left, and its symbol is not to be traded")
        state = journal.row(SignalState, order.strategy, order.symbol)
        if state is not None and state.target == 0:
            raise Violation(f"{order.client_order_id} left though {order.strategy} wants flat")
        stream = self._bot.stream
        if stream.down:
            raise Violation(f"{order.client_order_id} left while order updates were down")
        if stream.now() - order.created_at >= 2 * MINUTE:
            raise Violation(f"{order.client_order_id} left {stream.now() - order.created_at} late")
        if self.last_command in ("halt", "flatten"):
            raise Violation(
                f"{order.client_order_id} left after the operator's {self.last_command}"
            )
        if self._fallen:
            raise Violation(f"{order.client_order_id} left after equity had fallen too far")

    def _judge_exit(self, order: Order) -> None:
        for other in self._bot.session.book.working(order.symbol):
            if other.reduces or other.side is order.side or other.cancel_requested_at is not None:
                continue
            if other.status is not Status.PENDING:
                raise Violation(f"{order.client_order_id} meets our own {other.client_order_id}")

    # -- at any time ---------------------------------------------------------------------------------

    def check_nothing_is_short(self) -> None:
        for symbol, qty in self._bot.market.held().items():
            if qty < 0:
                raise Violation(f"the account holds {qty} {symbol}")

    def note_drawdown(self) -> None:
        """Once equity has fallen too far at the exchange, no entry may arrive before a reset.

        It counts where the bot can know: its fills are those of the exchange, and nobody else trades.
        """
        book = self._bot.session.book
        if book.account is None or self.sold_by_hand:
            return
        known = {p.symbol: book.net(p.symbol) for p in book.positions.values()}
        held = {s: q for s, q in self._bot.market.held().items() if q}
        if {s: q for s, q in known.items() if q} != held:
            return
        tripped = book.blocks.get(("risk.circuit_breaker", "entries"))
        was_reset = tripped is not None and tripped.until is not None
        least = book.account.opening_cash * (1 - self._drawdown)
        fell = self._bot.market.equity() <= least
        self._fallen = (self._fallen or fell) and not was_reset

    def check_conflict_has_cause(self, error: ConflictError) -> None:
        """Raise Violation on a conflict without a cause outside the bot; after one nothing may leave."""
        conflicts = getattr(error, "conflicts", ())
        self.stopped_by = self.conflict = f"{error}: {conflicts}"
        if not self.sold_by_hand and not self.cancels_frozen:
            raise Violation(f"a conflict that nobody caused: {error}, {conflicts}")

    # -- at the end ----------------------------------------------------------------------------------

    def check_exits_were_made(self, minutes: int) -> None:
        book = self._bot.session.book
        for holding, state in book.signals.items():
            if (
                state.target == 0
                and not state.missed
                and book.holding(*holding)
                and self._bot.has_data_left()
            ):
                latest = book.latest_order(*holding)
                raise Violation(f"{holding} is wanted flat for {minutes} minutes: {latest}")

    def check_all_is_flat(self, minutes: int) -> None:
        book = self._bot.session.book
        held = {p.symbol: p.qty for p in book.positions.values() if p.qty}
        if held and self._bot.has_data_left():
            why = [(o.client_order_id, o.status, o.reason) for o in book.orders.values()]
            raise Violation(f"not flat after {minutes} minutes: {held}, {why}")

    def check_books_are_equal(self) -> None:
        """Compare the orders and fills of the database with the exchange's."""
        session = self._bot.session
        journal = session.opened().journal
        here = {o.client_order_id: o.filled_qty for o in journal.rows(Order)}
        there = self._bot.market.filled()
        ours = {name: qty for name, qty in there.items() if name.startswith(session.config.bot)}
        if strange := ours.keys() - here.keys():
            raise Violation(f"orders at the exchange that were never committed: {strange}")
        late = {name: (here[name], qty) for name, qty in ours.items() if here[name] != qty}
        if late:
            raise Violation(f"filled here and there: {late}")
        traded: dict[str, Decimal] = {}
        for fill in journal.rows(Fill):
            traded[fill.client_order_id] = traded.get(fill.client_order_id, ZERO) + fill.qty
        if traded != {name: qty for name, qty in here.items() if qty}:
            raise Violation(f"fills that were not counted once: {traded}, {here}")
