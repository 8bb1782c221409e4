"""What must hold, judged by what is committed and by the exchange's own ledger.

| rule | judged |
|---|---|
| 1 an order is committed before it leaves, as is the wish to cancel one; a decision has at most one order at the exchange | as it leaves; at the end |
| 2 each fill at the exchange is in `trades` once, and `on_fill` is called once for it; positions are the sum of trades, and the exchange's; orders end on both sides, with a reason | at the end |
| 3 cash, equity, realized P&L and fees agree with the exchange; a deposit is no profit; an audit is clean | equity at each commit (`equity_rules`); at the end |
| 4 an entry leaves only where nothing committed forbids it (`entry_rules`), nor the losses at the exchange (`limits_oracle`); unwanted ones are canceled within seconds (`step_rules`) | as it leaves; after each step |
| 5 no order sells what is not held | as it leaves; after each step |
| 6 what is wanted flat is sold, nothing in the way of that; what is held has a price; nothing trades in a split that the broker has not followed | as it leaves; after each step; at the end |
| 7 the operator's last command holds; none is carried out that has expired | as it leaves; after each step |
| 8 nothing leaves before the process has compared positions (`process_knowledge`), or after a conflict; no entry while order updates are missing, or after the account was refused | as it leaves |
| 9 the bot stops only for a cause, with its exit code, and says why | when it stops |
| 10 an exit or a cancel finds room under the rate limit (`room_rules`) | where a plugin's own broker does not send it |
| 11 kills that take no time leave every table as it is without them | at the end, in `equality` |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from smabot.domain.book import Book
from smabot.domain.bot_records import Block
from smabot.domain.records import ZERO, Bar, Batch, Order
from smabot.hooks.simulated_exchange import SimulatedExchange
from smabot.settings.model import Config
from smabot.testing.simulation.command_rules import CommandRules
from smabot.testing.simulation.databases import Database
from smabot.testing.simulation.end_rules import EndRules
from smabot.testing.simulation.entry_rules import EntryRules
from smabot.testing.simulation.equity_rules import EquityRules
from smabot.testing.simulation.exit_rules import ExitRules
from smabot.testing.simulation.life import Life
from smabot.testing.simulation.limits_oracle import LIMITS, LimitsOracle
from smabot.testing.simulation.outside_changes import OutsideChanges
from smabot.testing.simulation.process_knowledge import ProcessKnowledge
from smabot.testing.simulation.room_rules import RoomRules
from smabot.testing.simulation.shares import unfollowed_split
from smabot.testing.simulation.step_rules import StepRules


class Violation(AssertionError):
    """What the bot did must never happen. ``rule``: the rule that was broken."""

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(rule, what)
        self.rule = rule

    def __str__(self) -> str:
        return ": ".join(self.args)


class Happenings(Protocol):
    """What happened outside the bot, and may therefore be different from what it knows."""

    @property
    def now(self) -> datetime: ...

    @property
    def book(self) -> Book | None: ...

    @property
    def enterable(self) -> Sequence[str]: ...

    @property
    def stopped_by(self) -> str:
        """The conflict that ends the run; empty while there is none."""
        ...

    @property
    def process(self) -> Life | None: ...

    @property
    def latest_bars(self) -> Mapping[str, Bar]:
        """The exchange's newest bars by symbol."""
        ...

    @property
    def outside_changes(self) -> OutsideChanges: ...

    @property
    def undisturbed(self) -> bool:
        """Whether no fault has struck lately."""
        ...

    def wall(self) -> datetime: ...


class Judge:
    """Raises `Violation`."""

    def __init__(
        self,
        database: Database,
        exchange: SimulatedExchange,
        config: Config,
        happenings: Happenings,
    ) -> None:
        self._journal = database
        self._exchange = exchange
        self._happenings = happenings
        self._end = EndRules(database, exchange, config.bot)
        risk = config.table("risk")
        self._commands = CommandRules(database)
        self._entries = EntryRules(database, risk.get("daily_limits", {}).get("max_orders", 0))
        self._exits = ExitRules(database)
        self._equity = EquityRules(exchange)
        self._limits = LimitsOracle(
            exchange, risk, self._commands.resets, lambda: happenings.outside_changes.deposited
        )
        self._steps = StepRules(Violation)
        self._knowledge = ProcessKnowledge(database)
        self.room = RoomRules(lambda: happenings.now, Violation)
        """Is told of what leaves and is turned away, where the broker is a plugin's own."""

    # -- an order leaves -----------------------------------------------------------------------------

    def handed_over(self, order: Order) -> None:
        """Judge an order that is handed to the transport."""
        name, outside = order.client_order_id, self._happenings
        kept = self._journal.row(Order, name)
        if kept is None:
            raise Violation("1 committed first", f"{name} leaves before it is committed")
        if outside.stopped_by:
            raise Violation("8 conflict", f"{name} leaves after {outside.stopped_by}")
        if why := self._knowledge.forbids(kept):
            raise Violation("8 compared first", f"{name} leaves {why}")
        if why := unfollowed_split(self._journal, order.symbol, outside.now):
            raise Violation("6 split", f"{name} leaves before the broker has followed the {why}")
        blocked = self._blocks(order)
        if blocked:
            raise Violation("4 block", f"{name} leaves despite a block: {blocked[0].reason}")
        if order.reduces:
            self._exit(kept)
        else:
            self._entry(kept)

    def cancel_handed_over(self, order: Order) -> None:
        """Judge a cancel that is handed to the transport."""
        kept = self._journal.row(Order, order.client_order_id)
        if kept is None or kept.cancel_requested_at is None or not kept.cancel_reason:
            raise Violation("1 committed first", f"the cancel of {order.client_order_id} leaves")
        self._steps.cancel_handed_over(order)

    def _entry(self, entry: Order) -> None:
        name, outside, process = entry.client_order_id, self._happenings, self._happenings.process
        assert process is not None
        assert process.book is not None
        if entry.symbol not in outside.enterable:
            raise Violation("4 symbols", f"{name} leaves, and its symbol is not to be traded")
        counted = LIMITS in process.plugins
        for rule, why in self._entries.broken_by(
            entry, process.book, process.config, outside.now, counted=counted
        ):
            raise Violation(rule, f"{name} leaves {why}")
        if verb := self._commands.forbids_entries():
            raise Violation("7 last command", f"{name} leaves after the operator's {verb}")
        self._look_at_limits()
        why = self._limits.forbids_entries()
        if why and not outside.outside_changes.traded:
            raise Violation("4 losses", f"{name} leaves though {why}")

    def _exit(self, exit_: Order) -> None:
        book = self._happenings.book
        assert book is not None
        for rule, why in self._exits.broken_by(exit_, book, self._happenings.now):
            raise Violation(rule, f"{exit_.client_order_id} leaves, {why}")

    def _blocks(self, order: Order) -> list[Block]:
        scopes = ("all",) if order.reduces else ("all", "entries")
        return [
            block
            for block in self._journal.rows(Block)
            if block.scope in scopes and block.holds(self._happenings.now)
        ]

    def _look_at_limits(self) -> None:
        process = self._happenings.process
        if self._happenings.outside_changes.traded or process is None or not process.ready:
            return
        if (book := process.book) is not None:
            self._limits.look(book, process.plugins)

    def refused(self, order: Order) -> None:
        """Note that the exchange has refused an order."""
        self._end.refused(order)

    # -- what a process is shown ---------------------------------------------------------------------

    def positions_queried(self) -> int:
        """Note that a query of positions begins; returns its number."""
        return self._knowledge.question_begins()

    def positions_known(self, question: int) -> None:
        """Note its answer."""
        self._knowledge.positions_known(question)

    def account_refused(self) -> None:
        """Note that the process was told that its account may not trade."""
        self._knowledge.account_refused()

    def account_queried(self) -> int:
        """Note that a query of the account begins; returns its number."""
        return self._knowledge.account_queried()

    def account_known(self, question: int, blocked: str) -> None:
        """Note its answer."""
        self._knowledge.account_known(question, blocked)

    def batch_taken(self, batch: Batch) -> None:
        self._knowledge.batch_taken(batch)

    # -- at any time ---------------------------------------------------------------------------------

    def process_begins(self) -> None:
        self._knowledge.begin()
        self.room.process_begins()
        self._steps.begin()
        self._commands.done_too_late(self._happenings.wall())

    def process_woke(self) -> None:
        """The process has stood still, and could do nothing meanwhile."""
        self._steps.wake()

    def minute_traded(self) -> None:
        """The market has traded a minute."""
        self._limits.minute_traded(self._happenings.book)

    def committed(self, rows: Sequence[Any], bars: Sequence[Bar]) -> None:
        """Judge what a commit has kept."""
        self._equity.note(rows)
        if (book := self._happenings.book) is not None:
            for why in self._equity.broken_by(rows, bars, book):
                raise Violation("3 equity", why)

    def after_step(self) -> None:
        """Judge what a step has left."""
        outside = self._happenings
        process = outside.process
        self._nothing_is_short()
        book = None if process is None else process.book
        if process is None or book is None:
            return
        self._look_at_limits()
        self._steps.look(
            book, process.config, outside.now, outside.latest_bars,
            undisturbed=outside.undisturbed,
        )  # fmt: skip
        if late := self._commands.done_too_late(outside.wall()):
            raise Violation("7 expired", late)

    def _nothing_is_short(self) -> None:
        """Rule 5."""
        for symbol, qty in self._exchange.positions().items():
            if qty < ZERO:
                raise Violation("5 short", f"the account holds {qty} {symbol}")

    # -- at the end ----------------------------------------------------------------------------------

    def exits_were_made(self, since: datetime) -> None:
        """Rule 6, where the line has been good since a time, long enough."""
        book = self._happenings.book
        assert book is not None
        for holding, state in book.signals.items():
            wanted = state.target == 0 and not state.missed and state.bar_time < since
            if wanted and book.holding(*holding):
                latest = book.latest_order(*holding)
                raise Violation(
                    "6 exits", f"{holding} is wanted flat since {state.bar_time}: {latest}"
                )

    def all_is_flat(self, minutes: int) -> None:
        """Rule 6, so many minutes after a flatten."""
        book = self._happenings.book
        assert book is not None
        held = {p.symbol: p.qty for p in book.positions.values() if p.qty}
        if held:
            why = [
                (o.client_order_id, str(o.status), o.reason, o.cancel_reason)
                for o in book.orders.values()
            ]
            raise Violation("6 flatten", f"not flat after {minutes} minutes: {held}, {why}")

    def books_agree(self) -> None:
        """Rules 1, 2 and 3, with nothing under way."""
        for rule, what in self._end.broken(self._happenings.outside_changes):
            raise Violation(rule, what)
