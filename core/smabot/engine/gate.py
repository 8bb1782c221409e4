"""May an order be made, and may it leave? The only place that says so.

`Gate.admit` is asked once, at the commit: sizes and limits that count the order itself. `Gate.may_leave`
is asked each time an order is about to leave (the first time, after a wait, again under its id, adopted
after a restart); it only reads. Both are asked by the deciding thread alone.

| may it leave? | entry | exit |
|---|---|---|
| the bot stops on a conflict | wait | wait |
| its cancel was asked for | drop | drop |
| a block of its scope holds, or a plugin's `may_leave` objects | drop | drop |
| its symbol is being split, and the broker has not followed | drop | wait |
| its target is now flat, or its symbol is not entered in this run | drop | |
| its symbol, or anything that is held, is without a price | drop | |
| it would sell more than is held | | drop |
| it was decided too long ago | drop | drop only what may have left, where a miss proves that it did not |
| the broker has not confirmed what is held, or refuses the key or the account | wait | |
| positions of its symbol are being compared | | wait |
| its bar was outside the price collar | wait for the next bar; drop where that is outside, too | |
| else | go | go |
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

from smabot.domain.book import Book
from smabot.domain.bot_records import HALT, Block
from smabot.domain.calendar import MINUTE
from smabot.domain.frozen_classes import frozen
from smabot.domain.order_terms import OrderType, Status, TimeInForce
from smabot.domain.records import Order
from smabot.domain.risk_answers import Check
from smabot.errors import counted
from smabot.hooks.plugins import Plugins
from smabot.hooks.ports import Clock
from smabot.settings.model import Config

UNCONFIRMED = "the broker has not confirmed the bot's positions"


class Answer(Enum):
    GO = auto()
    WAIT = auto()
    DROP = auto()


@frozen
class Verdict:
    """An answer, and why it is not `Answer.GO`."""

    answer: Answer
    why: str = ""


GO = Verdict(Answer.GO)


@dataclass(slots=True)
class Standing:
    """What the gate must know and no record says. It is the engine's to change."""

    conflict: str = ""
    """Why nothing leaves any more."""
    refused: str = ""
    """Why the broker lets the bot make no order just now: it refuses the key or the account. It counts from
    the answer on that says so."""
    unconfirmed: str = ""
    """Why the broker's word can't be trusted just now: order updates may be missing, or it does not answer."""
    unpriced: str = ""
    """What is held without a price, so that no entry leaves; empty where nothing is."""
    comparing: dict[str, datetime] = field(default_factory=dict)
    """Symbols whose positions are being compared, and until when an exit waits for that."""
    agreed_at: datetime | None = None
    """When the newest comparison with the broker that found no conflict had begun; None: none yet."""
    needs_comparison: bool = False
    """Whether an order is not ended here before one."""

    @property
    def degraded(self) -> str:
        """Why no entry leaves just now."""
        return self.refused or self.unconfirmed


class Gate:
    """The two questions. Reads book, blocks and plugins; changes nothing."""

    def __init__(
        self,
        config: Config,
        book: Book,
        plugins: Plugins,
        clock: Clock,
        *,
        provable: bool,
        enterable: Collection[str],
    ) -> None:
        """``provable``: that the broker does not find an order proves that it did not arrive.
        ``enterable``: the symbols in which an entry may be made."""
        self.standing = Standing()
        self._enterable = frozenset(enterable)
        self.max_bar_age = config.max_bar_age
        """How old the bar behind a decision may be."""
        self._config = config
        self._book = book
        self._plugins = plugins
        self._clock = clock
        self._provable = provable

    def admit(self, order: Order) -> list[Check]:
        """Judge a new order, before it is committed. Every check is asked; one that fails blocks it."""
        verdict = self.may_leave(order)
        checks = [Check("may_leave", verdict.answer is not Answer.DROP, reason=verdict.why)]
        if not order.reduces:
            checks += [self._last_minutes(order), self._unknown(order), self._in_the_way(order)]
            checks += [self._offsets(order)]
        return [*checks, *self._plugins.before_submit(order, self._book)]

    def may_leave(self, order: Order, *, left: bool = False) -> Verdict:
        """Judge an order that is about to leave; ``left``: it may have left before."""
        if self.standing.conflict:
            return Verdict(Answer.WAIT, self.standing.conflict)
        if order.cancel_requested_at is not None:
            return Verdict(Answer.DROP, order.cancel_reason)
        if objections := self._objections(order):
            return Verdict(Answer.DROP, "; ".join(objections))
        if split := self._book.split_holds(order.symbol):
            return Verdict(Answer.WAIT if order.reduces else Answer.DROP, split)
        return self._exit(order, left) if order.reduces else self._entry(order)

    def waits_for_second_bar(self, entry: Order) -> bool:
        """Whether an entry waits for the price collar's second bar, so that it can't have left."""
        bar = self._book.last.get(entry.symbol)
        return entry.collared and (bar is None or bar.time <= entry.bar_time)

    def is_over(self, order: Order) -> bool:
        """Whether an order can't fill any more, as its session is over."""
        close = close_of(order, self._book)
        return close is not None and self._clock.now() >= close + MINUTE

    # -- entries and exits -------------------------------------------------------------------------

    def _objections(self, order: Order) -> list[str]:
        blocks = self._book.blocking(reduces=order.reduces)
        vetoes = self._plugins.may_leave(order, self._book)
        said = [veto.reason for veto in vetoes]
        return [text for block in blocks if (text := block_text(block)) not in said] + said

    def _entry(self, entry: Order) -> Verdict:
        state = self._book.signals.get((entry.strategy, entry.symbol))
        if state is not None and state.target == 0:
            return Verdict(Answer.DROP, "its target is now flat")
        if entry.symbol not in self._enterable:
            return Verdict(Answer.DROP, f"{entry.symbol} is not among the symbols to trade")
        if without := self._without_price(entry.symbol):
            return Verdict(Answer.DROP, without)
        age, life = self._clock.now() - entry.created_at, self.max_bar_age
        if age >= (life + MINUTE if entry.collared else life):
            return Verdict(Answer.DROP, f"decided {_minutes(age)} ago, which is too long")
        if self.standing.degraded:
            return Verdict(Answer.WAIT, self.standing.degraded)
        return self._second_bar(entry) if entry.collared else GO

    def _without_price(self, symbol: str) -> str:
        if self._book.stale(symbol, self._clock.now()):
            return f"{symbol} has no price that is newer than 5 minutes"
        return self.standing.unpriced

    def _second_bar(self, entry: Order) -> Verdict:
        if self.waits_for_second_bar(entry):
            return Verdict(Answer.WAIT, "price collar: it waits for a second bar")
        if self._book.jumped_from(entry.symbol) is not None:
            return Verdict(Answer.DROP, "price collar: the second bar is outside it, too")
        return GO

    def _exit(self, exit_: Order, left: bool) -> Verdict:
        held = self._book.holding(exit_.strategy, exit_.symbol)
        if abs(exit_.open_qty) > -held * exit_.side.sign:
            return Verdict(Answer.DROP, f"only {held:f} are held")
        age = self._clock.now() - exit_.created_at
        if left and self._provable and age >= self.max_bar_age:
            return Verdict(Answer.DROP, f"decided {_minutes(age)} ago")
        until = self.standing.comparing.get(exit_.symbol)
        if until is not None and self._clock.now() < until:
            return Verdict(Answer.WAIT, "positions are being compared with the broker's")
        return GO

    # -- checks of entries, once -------------------------------------------------------------------

    def _last_minutes(self, entry: Order) -> Check:
        """No entry that can only fill in a later session."""
        least = timedelta(minutes=self._config.last_entry_minutes)
        calendar, decided = self._book.calendar, entry.bar_time + MINUTE
        if not least or not calendar.sessions:
            return Check("last_entry_minutes", True)
        session = calendar.session_at(decided)
        left = session.close - decided if session is not None else timedelta(0)
        passed, most = left >= least, self._config.last_entry_minutes
        why = "" if passed else f"last_entry_minutes {most}: it could only fill in a later session"
        return Check("last_entry_minutes", passed, _minutes(left), _minutes(least), why)

    def _unknown(self, entry: Order) -> Check:
        for other in self._book.working(entry.symbol):
            if other.status is Status.UNKNOWN:
                why = (
                    f"it is unknown whether the broker has {other.client_order_id}: {other.reason}"
                )
                return Check("unknown_order", False, other.client_order_id, reason=why)
        return Check("unknown_order", True)

    def _in_the_way(self, entry: Order) -> Check:
        """No entry beside its own position's exit, or that would meet any position's exit."""
        for other in self._book.working(entry.symbol):
            if other.strategy == entry.strategy and other.reduces:
                why = f"the exit {other.client_order_id} is still open"
            elif other.reduces and other.side is not entry.side and meet(entry, other):
                why = f"it would cross the exit {other.client_order_id}, which takes priority"
            else:
                continue
            return Check("open_exit", False, other.client_order_id, reason=why)
        for strategy, state in self._book.unsettled().get(entry.symbol, {}).items():
            held = self._book.holding(strategy, entry.symbol)
            if strategy != entry.strategy and state.target == 0 and held * entry.side.sign > 0:
                why = f"it would cross the exit that {strategy} waits for, which takes priority"
                return Check("open_exit", False, strategy, reason=why)
        return Check("open_exit", True)

    def _offsets(self, entry: Order) -> Check:
        """No entry against what another position holds: the account nets both, and neither could close."""
        for strategy, position in self._book.in_symbol(entry.symbol).items():
            if strategy != entry.strategy and position.qty * entry.side.sign < 0:
                held = f"{position.qty:f} {entry.symbol}"
                why = f"{strategy or 'no strategy'} holds {held}: close that first"
                return Check("offsetting", False, f"{position.qty:f}", reason=why)
        return Check("offsetting", True)


def block_text(block: Block) -> str:
    """Return a block in words, for an order's reason."""
    return f"halted: {block.reason}" if block.plugin == HALT else block.reason


def meet(one: Order, other: Order) -> bool:
    """Whether two orders of opposite sides could trade with each other, which a broker refuses."""
    if OrderType.MARKET in (one.type, other.type):
        return True
    assert one.limit_price is not None
    assert other.limit_price is not None
    return (one.limit_price - other.limit_price) * one.side.sign >= 0


def close_of(order: Order, book: Book) -> datetime | None:
    """Return the close of the session that a DAY order is for; None for another, or an unknown one."""
    if order.time_in_force is not TimeInForce.DAY:
        return None
    calendar, made = book.calendar, order.created_at
    session = calendar.session_at(made) or calendar.next_session(made)
    return session.close if session is not None else None


def _minutes(span: timedelta) -> str:
    return counted(round(span / MINUTE), "minute")
