"""Does what `execution` says of each position: makes orders, asks for cancels, ends what never ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from smabot.domain import risk_answers as checks
from smabot.domain.book import Book
from smabot.domain.bot_records import Event
from smabot.domain.frozen_classes import replace
from smabot.domain.order_terms import OrderType, Side, Status
from smabot.domain.records import (
    ZERO,
    Holding,
    Order,
    OrderIntent,
    OrderUpdate,
    Signal,
    SignalState,
)
from smabot.domain.risk_answers import Check
from smabot.engine.execution.flattening import FLATTEN
from smabot.engine.execution.next_action import (
    ACKNOWLEDGED,
    DAY_ORDER_GRACE,
    PATIENCE,
    Cancel,
    Done,
    Enter,
    Exit,
    GiveUp,
    Situation,
    Wait,
    lost,
    needs_comparison,
    next_action,
)
from smabot.engine.execution.order_making import make_order, order_id
from smabot.engine.gate import Gate, block_text, close_of
from smabot.errors import PluginError
from smabot.hooks.plugins import Plugins
from smabot.settings.model import Config

MOST_ACTIONS = 32
"""Of one position in one step: each action changes what the next is asked about."""


class Executor:
    """Goes after every position's target. All that it decides is in the book, to be committed."""

    def __init__(self, config: Config, book: Book, plugins: Plugins, gate: Gate) -> None:
        self.broken: PluginError | None = None
        """What a plugin raised while it judged an order; that order is blocked."""
        self.made: list[Order] = []
        """Orders made since they were last taken, to be sent after their commit."""
        self._config = config
        self._book = book
        self._plugins = plugins
        self._gate = gate
        self._timeout = timedelta(minutes=config.entry_timeout_minutes)
        self._unanswered: set[str] = set()

    def enter(self, signal: Signal) -> None:
        """Go after a target that was decided just now; an exit is gone after with all the others."""
        if signal.target:
            self._pursue((signal.strategy, signal.symbol), decided=signal)

    def pursue_targets(self, *, at_once: bool = False) -> None:
        """Go after every position that is not as wanted, or has open orders; exits first.

        ``at_once``: the operator wants flat just now, so that no pause after a failed exit counts.
        """
        book = self._book
        self._gate.standing.needs_comparison = False
        if book.at_rest:
            self._unanswered.clear()
            return
        unsettled = {
            (strategy, symbol) for symbol, some in book.unsettled().items() for strategy in some
        }
        working = {(order.strategy, order.symbol) for order in book.open_orders()}
        for holding in sorted(unsettled | working):
            self._pursue(holding, at_once=at_once)
        self._tell_of_unanswered_cancels()

    # -- one position --------------------------------------------------------------------------------

    def _pursue(
        self, holding: Holding, *, decided: Signal | None = None, at_once: bool = False
    ) -> None:
        for _ in range(MOST_ACTIONS):
            situation = self._situation(holding, decided, at_once)
            match next_action(situation):
                case Enter():
                    assert decided is not None
                    self._enter(decided)
                    decided = None
                case Exit(qty, attempt):
                    self._exit(holding, qty, attempt)
                    at_once = False
                case Cancel(order, why):
                    self._cancel(order, why)
                case GiveUp(order):
                    self._give_up(order)
                case Wait() | Done():
                    if decided is not None:
                        self._tell_of_no_order(decided, "its last entry is still open")
                    self._gate.standing.needs_comparison |= needs_comparison(situation)
                    return
        raise AssertionError(f"execution does not end for {holding}")

    def _situation(self, holding: Holding, decided: Signal | None, at_once: bool) -> Situation:
        book, (strategy, symbol) = self._book, holding
        now, state = book.now, book.signals.get(holding)
        if state is not None and state.missed:
            state = None  # acted on with the next fresh bar; its open orders are looked after
        in_symbol = list(book.working(symbol))
        orders = tuple(o for o in in_symbol if o.strategy == strategy) if in_symbol else ()
        held = book.holding(strategy, symbol)
        flat = state is not None and state.target == 0
        by_operator = flat and state is not None and state.last_signal == FLATTEN
        opposing: tuple[Order, ...] = ()
        if flat and held and in_symbol:
            opposing = tuple(
                o for o in in_symbol
                if o.strategy != strategy and not o.reduces and o.side.sign * held > 0
            )  # fmt: skip
        standing = self._gate.standing
        return Situation(
            now=now,
            target=None if state is None else state.target,
            decided_now=decided is not None,
            by_operator=by_operator,
            at_once=at_once and by_operator,
            held=held,
            orders=orders,
            last_exit=self._last_exit(state) if flat else None,
            opposing=opposing,
            free=_free(book, symbol, held, in_symbol) if flat else ZERO,
            split=book.splits.cancels(symbol, now, book.calendar),
            entries_blocked=self._entries_blocked() if orders else "",
            timeout=self._timeout,
            compared_until=standing.comparing.get(symbol),
            closes=_closes(book, orders),
            next_open=self._next_open() if flat and held else None,
            in_doubt=bool(standing.degraded),
            agreed_at=standing.agreed_at,
        )

    def _last_exit(self, state: SignalState | None) -> Order | None:
        if state is None:
            return None
        latest = self._book.latest_order(state.strategy, state.symbol)
        if latest is None or not latest.reduces or latest.bar_time < state.bar_time:
            return None
        return latest

    def _entries_blocked(self) -> str:
        blocks = self._book.blocking() if self._config.cancel_entries else ()
        return "; ".join(block_text(block) for block in blocks)

    def _next_open(self) -> datetime | None:
        following = self._book.calendar.next_session(self._book.now)
        if following is None or following.open <= self._book.now:
            return None
        return following.open

    # -- what it says ----------------------------------------------------------------------------------

    def _enter(self, signal: Signal) -> None:
        answer = self._plugins.on_signal(signal, self._book)
        if answer is None:
            self._tell_of_no_order(signal, "the sizer ordered nothing")
            return
        sizer, intent = answer
        order = make_order(self._config.bot, self._book, self._on_grid(intent), signal, 1, sizer)
        if self._book.order(order.client_order_id) is not None:
            return
        if not order.reduces and self._book.jumped_from(signal.symbol) is not None:
            order = replace(order, collared=True)
            self._tell_of_collar(order)
        self._keep(order, intent.reason or f"as the sizer {sizer} answered")

    def _exit(self, holding: Holding, qty: Decimal, attempt: int) -> None:
        """Order an exit: the sizer's, unless the operator wants flat, or less (or a lost exit's shares)
        is to be sold: a sizer counts what is open."""
        book, state = self._book, self._book.signals[holding]
        signal = self._exit_signal(state)
        sizer, intent = "", None
        whole = qty == abs(book.holding(*holding)) and not book.open_qty(*holding)
        if state.last_signal != FLATTEN and whole:
            sizer, intent = self._plugins.on_signal(signal, book) or ("", None)
        if intent is None or intent.qty > qty:
            side = Side.SELL if book.holding(*holding) > 0 else Side.BUY
            reason = f"{qty:f} of {abs(book.holding(*holding)):f} held"
            intent = OrderIntent(state.symbol, side, qty, reason=reason)
        while book.order(order_id(self._config.bot, signal, attempt)) is not None:
            attempt += 1
        intent = self._on_grid(intent)
        order = make_order(self._config.bot, book, intent, signal, attempt, sizer)
        self._keep(order, intent.reason or f"as the sizer {sizer} answered")

    def _exit_signal(self, state: SignalState) -> Signal:
        book = self._book
        price = book.price(state.symbol) or book.positions[state.strategy, state.symbol].avg_price
        return Signal(
            state.symbol, 0, state.bar_time, float(price), state.strategy, label=state.last_signal
        )

    def _keep(self, order: Order, why_qty: str) -> None:
        """Judge a new order and keep it, pending or blocked."""
        book = self._book
        size = Check(checks.SIZE, True, f"{order.qty:f}", reason=why_qty)
        try:
            answers = self._gate.admit(order)
        except PluginError as error:
            self.broken = error
            answers = [Check("plugin", False, reason=str(error))]
        order = replace(order, checks=checks.checks_text([size, *answers]))
        if failed := [check.reason for check in answers if not check.passed]:
            reason = "; ".join(dict.fromkeys(filter(None, failed)))
            order = replace(order, status=Status.BLOCKED, reason=reason, updated_at=book.now)
        book.apply(order)
        self.made.append(order)
        self._plugins.on_order(order, book)

    def _cancel(self, order: Order, why: str) -> None:
        """Want an order canceled. That is durable: it is asked for until it has ended."""
        self._book.apply(replace(order, cancel_requested_at=self._book.now, cancel_reason=why))

    def _give_up(self, order: Order) -> None:
        """End an order that the broker leaves open after its time, with what it filled."""
        book = self._book
        why = f"ended by the bot: the broker left it open after its session ({order.filled_qty:f} filled)"
        book.apply(replace(order, given_up_at=book.now))
        book.apply(OrderUpdate(order.client_order_id, Status.EXPIRED, book.now, reason=why))
        book.apply(Event(book.now, "given_up", order.client_order_id, why, grave=True))
        if (ended := book.order(order.client_order_id)) is not None:
            self._plugins.on_order(ended, book)

    # -- prices ------------------------------------------------------------------------------------------

    def _on_grid(self, intent: OrderIntent) -> OrderIntent:
        """Round a limit price to the exchange's grid, to the passive side.

        Sub-penny rule: cents from a dollar on, hundredths of a cent below
        (https://www.ecfr.gov/current/title-17/section-242.612).
        """
        limit = intent.limit_price
        if intent.type is not OrderType.LIMIT or not isinstance(limit, Decimal):
            return intent
        if not limit.is_finite():
            return intent
        tick = Decimal("0.01") if limit >= 1 else Decimal("0.0001")
        passive = ROUND_FLOOR if intent.side is Side.BUY else ROUND_CEILING
        price = limit.quantize(tick, passive)
        if price == limit or price <= 0:
            return intent
        text = (
            f"{intent.side} limit {limit:f} is off the exchange's price grid: rounded to {price:f}"
        )
        self._book.apply(Event(self._book.now, "price_rounded", intent.symbol, text))
        return replace(intent, limit_price=price)

    def _tell_of_collar(self, entry: Order) -> None:
        book = self._book
        text = (
            f"{entry.symbol} went from {book.jumped_from(entry.symbol)} to {book.price(entry.symbol)} "
            "in a bar: the entry waits for a second one"
        )
        book.apply(Event(book.now, "price_collar", entry.symbol, text))

    def _tell_of_no_order(self, signal: Signal, why: str) -> None:
        """Keep why a target that was decided just now leads to no order."""
        book, holding = self._book, (signal.strategy, signal.symbol)
        held, coming = book.holding(*holding), book.open_qty(*holding)
        text = f"{why}: {held:f} held, {coming:f} in open orders"
        if not held and not coming:
            text += "; `sizing` may allow less than one share"
        subject = order_id(self._config.bot, signal, 1)
        book.apply(Event(book.now, "no_order", subject, text))

    def _tell_of_unanswered_cancels(self) -> None:
        """Once for each cancel: the event's time makes it the same one after a restart."""
        book, open_now = self._book, set()
        for order in book.open_orders():
            asked, name = order.cancel_requested_at, order.client_order_id
            if asked is None or order.status not in ACKNOWLEDGED:
                continue
            open_now.add(name)
            if name not in self._unanswered and book.now - asked >= PATIENCE:
                self._unanswered.add(name)
                text = f"its cancel of {asked:%H:%M:%S} UTC is unanswered ({order.cancel_reason})"
                book.apply(Event(asked + PATIENCE, "cancel_unanswered", name, text, grave=True))
        self._unanswered &= open_now


def _free(book: Book, symbol: str, held: Decimal, in_symbol: Iterable[Order]) -> Decimal:
    """Return the shares, over all positions, that no open exit on the same side closes already."""
    side = 1 if held > 0 else -1
    closing = sum(
        (
            abs(order.open_qty)
            for order in in_symbol
            if order.reduces and order.side.sign == -side and not lost(order, book.now)
        ),
        ZERO,
    )
    return max(book.net(symbol) * side - closing, ZERO)


def _closes(book: Book, orders: Collection[Order]) -> dict[str, datetime]:
    """Return the closes of the sessions of those DAY orders that are old enough to be overdue."""
    found = {}
    for order in orders:
        if book.now - order.created_at >= DAY_ORDER_GRACE and (close := close_of(order, book)):
            found[order.client_order_id] = close
    return found
