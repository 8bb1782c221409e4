"""What must hold, judged by what is committed and by the exchange's own ledger.

| rule | judged |
|---|---|
| 1 an order is committed before it leaves; a decision has at most one order at the exchange | as it leaves; at the end |
| 2 each fill at the exchange is in `trades` once; positions are the sum of trades, and the exchange's | at the end |
| 3 cash and equity agree with the exchange | at the end |
| 4 an entry leaves only where nothing committed forbids it | as it leaves |
| 5 no order sells what is not held | after each step |
| 6 what is wanted flat is sold | at the end |
| 7 the operator's last command holds | as it leaves |
| 8 nothing leaves before reconciliation is done, or after a conflict | as it leaves |
| 9 the bot stops only for a cause, with its exit code, and says why | when it stops |
| 9 kills that take no time leave every table as it is without them | at the end, in `equality` |
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Protocol

from smabot.domain.book import Book
from smabot.domain.bot_records import Block, Command
from smabot.domain.order_terms import Status
from smabot.domain.records import (
    ZERO,
    Account,
    Adjustment,
    EquityPoint,
    Fill,
    Order,
    Position,
    SignalState,
)
from smabot.hooks.simulated_exchange import SimulatedExchange
from smabot.settings.model import Config
from smabot.testing.simulation.databases import Database

CENT = Decimal("0.01")
MINUTE = timedelta(minutes=1)


class Violation(AssertionError):
    """What the bot did must never happen. ``rule``: the rule that was broken."""

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(f"{rule}: {what}")
        self.rule = rule


class Happenings(Protocol):
    """What happened outside the bot, and may therefore be different from what it knows."""

    @property
    def now(self) -> datetime: ...

    @property
    def book(self) -> Book | None: ...

    @property
    def ready(self) -> bool:
        """Whether the process's start is done."""
        ...

    @property
    def enterable(self) -> Sequence[str]: ...

    @property
    def ignored(self) -> Sequence[str]:
        """Plugins whose blocks the operator ignores."""
        ...

    @property
    def stopped_by(self) -> str:
        """The conflict that ends the run; empty while there is none."""
        ...

    @property
    def stream_down(self) -> bool: ...


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
        self._config = config
        self._happenings = happenings
        self.by_hand: dict[str, Decimal] = {}
        """Signed shares that somebody else has traded, by symbol."""

    # -- an order leaves -----------------------------------------------------------------------------

    def handed_over(self, order: Order) -> None:
        """Judge an order that is handed to the transport."""
        name, outside = order.client_order_id, self._happenings
        kept = self._journal.row(Order, name)
        if kept is None:
            raise Violation("1 committed first", f"{name} leaves before it is committed")
        if outside.stopped_by:
            raise Violation("8 conflict", f"{name} leaves after {outside.stopped_by}")
        if not outside.ready and outside.book is None:
            raise Violation("8 reconciled first", f"{name} leaves before the start has compared")
        blocked = self._blocks(order)
        if blocked:
            raise Violation("4 block", f"{name} leaves despite a block: {blocked[0].reason}")
        if not order.reduces:
            self._entry(kept)

    def _entry(self, entry: Order) -> None:
        name, outside = entry.client_order_id, self._happenings
        if entry.cancel_requested_at is not None:
            raise Violation("4 cancel", f"{name} leaves though its cancel was requested")
        if entry.symbol not in outside.enterable:
            raise Violation("4 symbols", f"{name} leaves, and its symbol is not to be traded")
        state = self._journal.row(SignalState, entry.strategy, entry.symbol)
        if state is not None and state.target == 0:
            raise Violation("4 wanted", f"{name} leaves though {entry.strategy} wants flat")
        age = outside.now - entry.created_at
        life = self._config.max_bar_age + (MINUTE if entry.collared else timedelta(0))
        if age >= life + timedelta(seconds=2):
            raise Violation("4 fresh", f"{name} leaves {age} after its decision")
        last = self._last_command()
        if last is not None and last.verb in ("halt", "flatten"):
            raise Violation("7 last command", f"{name} leaves after the operator's {last.verb}")
        self._count(entry)

    def _blocks(self, order: Order) -> list[Block]:
        scopes = ("all",) if order.reduces else ("all", "entries")
        return [
            block
            for block in self._journal.rows(Block)
            if block.scope in scopes
            and block.holds(self._happenings.now)
            and block.plugin not in self._happenings.ignored
        ]

    def _last_command(self) -> Command | None:
        """Return the operator's last halt, resume or flatten of everything: of those that one step carries out, the
        one that was given last by the wall clock."""
        carried = [
            command
            for command in self._journal.rows(Command)
            if command.verb in ("halt", "resume", "flatten")
            and (command.verb != "flatten" or not command.argument)
            and command.applied_at is not None
            and not command.answer.startswith(("not carried out", "expired"))
        ]
        order = attrgetter("applied_at", "created_at", "id")
        return max(carried, key=order, default=None)

    def _count(self, entry: Order) -> None:
        limits = self._config.table("risk").get("daily_limits", {})
        most = limits.get("max_orders")
        if not most:
            return
        calendar = self._happenings.book.calendar if self._happenings.book else None
        if calendar is None:
            return
        today = calendar.trading_date(entry.created_at)
        sent = [
            order
            for order in self._journal.rows(Order)
            if order.status is not Status.BLOCKED
            and calendar.trading_date(order.created_at) == today
        ]
        entries = [order for order in sent if not order.reduces]
        if len(entries) > most:
            raise Violation("4 limit", f"{len(entries)} entries on {today}, max_orders is {most}")

    # -- at any time ---------------------------------------------------------------------------------

    def nothing_is_short(self) -> None:
        """Rule 5."""
        for symbol, qty in self._exchange.positions().items():
            if qty < min(ZERO, self.by_hand.get(symbol, ZERO)):
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
        prefix = f"{self._config.bot}-"
        there = {
            order.client_order_id: order
            for order in self._exchange.orders()
            if order.client_order_id.startswith(prefix)
        }
        here = {order.client_order_id: order for order in self._journal.rows(Order)}
        if strange := sorted(there.keys() - here.keys()):
            raise Violation("1 committed first", f"the exchange has {strange}, never committed")
        self._one_order_a_decision(list(there))
        late = {
            name: (str(here[name].filled_qty), str(order.filled_qty))
            for name, order in there.items()
            if here[name].filled_qty != order.filled_qty
        }
        if late:
            raise Violation("2 fills", f"filled here and there: {late}")
        self._fills_once()
        self._positions_agree()
        self._money_agrees()

    @staticmethod
    def _one_order_a_decision(names: Sequence[str]) -> None:
        decisions: dict[str, list[str]] = {}
        for name in names:
            decisions.setdefault(name.rpartition("-")[0], []).append(name)
        # An exit may be tried again, an entry never: its only attempt is the first.
        for decision, tried in decisions.items():
            if len(set(tried)) != len(tried):
                raise Violation("1 once", f"{decision}: {tried}")

    def _fills_once(self) -> None:
        prefix = f"{self._config.bot}-"
        kept = {
            (fill.client_order_id, fill.cumulative_qty): fill.qty
            for fill in self._journal.rows(Fill)
        }
        here: dict[str, Decimal] = {}
        for (name, _), qty in kept.items():
            here[name] = here.get(name, ZERO) + qty
        there: dict[str, Decimal] = {}
        for fill in self._exchange.fills():
            if fill.client_order_id.startswith(prefix):
                name = fill.client_order_id
                there[name] = there.get(name, ZERO) + fill.qty
        if here != there:
            differing = {n for n in {*here, *there} if here.get(n) != there.get(n)}
            raise Violation("2 fills", f"not counted once: {sorted(differing)}")

    def _positions_agree(self) -> None:
        sums: dict[tuple[str, str], Decimal] = {}
        for fill in self._journal.rows(Fill):
            key = fill.strategy, fill.symbol
            sums[key] = sums.get(key, ZERO) + fill.qty * fill.side.sign
        for change in self._journal.rows(Adjustment):
            key = change.strategy, change.symbol
            sums[key] = sums.get(key, ZERO) + change.qty
        positions = self._journal.rows(Position)
        kept = {(p.strategy, p.symbol): p.qty for p in positions if p.qty}
        if kept != {key: qty for key, qty in sums.items() if qty and key[1]}:
            raise Violation("2 positions", f"{kept} kept, {sums} by trades")
        held: dict[str, Decimal] = {}
        for (_, symbol), qty in kept.items():
            held[symbol] = held.get(symbol, ZERO) + qty
        if {s: q for s, q in held.items() if q} != self._exchange.positions():
            raise Violation("2 positions", f"{held} here, {self._exchange.positions()} there")

    def _money_agrees(self) -> None:
        account = next(iter(self._journal.rows(Account)), None)
        if account is None:
            return
        if abs(account.cash - self._exchange.cash()) >= CENT:
            raise Violation("3 cash", f"{account.cash} here, {self._exchange.cash()} there")
        point = max(self._journal.rows(EquityPoint), key=lambda each: each.time, default=None)
        flat = point is not None and not self._exchange.positions()
        if point is not None and flat and abs(point.cash - self._exchange.cash()) >= CENT:
            raise Violation("3 equity", f"cash {point.cash} here, {self._exchange.cash()} there")
