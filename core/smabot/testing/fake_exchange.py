"""A fake exchange in memory, over scripted bars: broker and feed of a bot in a test, without plugins.

It is honest and small: orders fill whole_shares, at the next bar of their symbol; nobody sells what the account
does not hold, or buys what it can't pay. Partial fills, faults and the wire are the embedded exchange's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from copy import copy
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby

from smabot.domain.calendar import Calendar, Session
from smabot.domain.corporate_actions import ActionKind, CorporateAction, whole_shares
from smabot.domain.frozen_classes import replace
from smabot.domain.order_terms import RefusalCause, Side, Status, TimeInForce
from smabot.domain.records import ZERO, Bar, Batch, Order, OrderUpdate, money
from smabot.errors import ConfigError, ConflictError
from smabot.hooks.account_activities import BrokerExecution, CashActivity
from smabot.hooks.ports import BrokerAccount, BrokerOrder, BrokerPosition, Progress
from smabot.hooks.recovery_answers import Reconciliation, Recovery
from smabot.hooks.specifications import hookimpl
from smabot.settings.model import Config
from smabot.testing.announced_splits import AnnouncedSplits
from smabot.testing.fake_activities import CashMove, FakeActivities


class FakeExchange:
    """A plugin that is broker and feed at once, and outlives the bots that are started on it.

    A market order fills at the open of its symbol's next bar. A limit order fills at that open where it
    is as good, else at its limit once a bar reaches it; a DAY order expires with its session, where
    ``sessions`` are given. The clock is the end of the last minute that was played, and ``shift`` later.
    """

    name = "fake"
    visibility_delay: timedelta | None = timedelta(0)
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        bars: Iterable[Bar],
        cash: Decimal = Decimal(100_000),
        sessions: Iterable[Session] = (),
        actions: Iterable[CorporateAction] = (),
        follows_after: timedelta = timedelta(0),
        cash_moves: Iterable[CashMove] = (),
    ) -> None:
        """``bars``: at least one, in any order; ``cash``: the account's at the start, US dollars.

        ``actions``: splits that it announces; the bars have them already. The account's shares follow so long
        after an ex-date begins, with the first bar of then; negative: before it. ``cash_moves``: what comes and
        goes without a trade.
        """
        ordered = sorted(bars, key=lambda bar: (bar.time, bar.symbol))
        self._minutes = [list(minute) for _, minute in groupby(ordered, key=lambda bar: bar.time)]
        self._played = 0
        self.shift = timedelta(0)
        """How far the clock is ahead of the bars: a test may let time pass without one."""
        self._now = ordered[0].time
        self._calendar = Calendar(sessions)
        self._activities = FakeActivities(cash, cash_moves)
        self._held: dict[str, tuple[Decimal, Decimal]] = {}
        self._prices: dict[str, Decimal] = {}
        self._orders: dict[str, BrokerOrder] = {}
        self._waiting: list[OrderUpdate] = []
        self._subscribed: frozenset[str] = frozenset()
        self._splits = AnnouncedSplits(tuple(actions), follows_after)

    def copy(self) -> FakeExchange:
        """Return an exchange of its own in the same state, over the same bars."""
        copied = copy(self)
        copied._splits, copied._activities = self._splits.copy(), self._activities.copy()
        copied._held, copied._prices = dict(self._held), dict(self._prices)
        copied._orders, copied._waiting = dict(self._orders), list(self._waiting)
        return copied

    # -- the plugin ----------------------------------------------------------------------------------

    @hookimpl
    def open_broker(self, config: Config) -> FakeExchange:
        return self

    @hookimpl
    def open_feed(self, config: Config) -> FakeExchange:
        """Reconnect: the new bot must query what an earlier bot did not receive."""
        self._waiting.clear()
        self._subscribed = frozenset()
        return self

    @hookimpl(trylast=True)
    def reconcile(self, recovery: Recovery) -> Reconciliation:
        """Tell what became of the bot's open orders. A plugin that really compares goes first."""
        seen = [self.order(order.client_order_id) for order in recovery.book.open_orders()]
        return Reconciliation(updates=tuple(order.update() for order in seen if order is not None))

    # -- the broker ----------------------------------------------------------------------------------

    def account(self) -> BrokerAccount:
        worth = sum((qty * self._prices[symbol] for symbol, (qty, _) in self._held.items()), ZERO)
        return BrokerAccount(
            "FAKE", self._activities.cash, self._activities.cash + worth, self._activities.cash
        )

    def calendar(self) -> Calendar:
        return self._calendar

    def submit(self, order: Order) -> OrderUpdate:
        """Take an order, or refuse it. The same one again gets the first one's present state.

        Raises ConflictError when another order has its id.
        """
        known = self._orders.get(order.client_order_id)
        if known is not None:
            if not known.is_for(order):
                raise ConflictError(f"another order has the id {order.client_order_id}")
            return known.update()
        if refused := self._refused(order):
            return refused
        number = str(len(self._orders) + 1)
        seen = BrokerOrder(
            order.client_order_id, number, order.symbol, order.side, order.qty, order.type,
            order.limit_price, order.time_in_force, Status.ACCEPTED, ZERO, None, self._now, self._now,
        )  # fmt: skip
        self._orders[order.client_order_id] = seen
        return seen.update()

    def cancel(self, order: Order) -> None:
        found = self._orders.get(order.client_order_id)
        if found is not None and not found.status.terminal:
            self._waiting.append(self._end(found, Status.CANCELED, self._now))

    def order(self, client_order_id: str) -> BrokerOrder | None:
        return self._orders.get(client_order_id)

    def orders(self, since: datetime | None = None) -> list[BrokerOrder]:
        orders = self._orders.values()
        return [o for o in orders if not o.status.terminal or (since and o.submitted_at >= since)]

    def positions(self) -> list[BrokerPosition]:
        return [
            BrokerPosition(each, qty, money(cost / qty)) for each, (qty, cost) in self._held.items()
        ]

    def cash_activities(self, since: date) -> list[CashActivity]:
        return self._activities.listed(self._now, since)

    def executions(self, since: datetime) -> list[BrokerExecution]:
        return self._activities.executions(since)

    def corporate_actions(
        self, symbols: Collection[str], since: date, until: date
    ) -> list[CorporateAction]:
        return self._splits.within(symbols, since, until)

    # -- the feed ------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return self._now + self.shift

    def tradable(self, symbols: Sequence[str]) -> tuple[str, ...]:
        known = {bar.symbol for minute in self._minutes for bar in minute}
        if unknown := sorted({*symbols} - known):
            raise ConfigError(f"no bars of {', '.join(unknown)}")
        return tuple(symbols) or tuple(sorted(known))

    def history(
        self, symbols: Collection[str], since: datetime | None, bars: int
    ) -> Iterator[list[Bar]]:
        wanted = [[b for b in m if b.symbol in symbols] for m in self._minutes[: self._played]]
        found = [m for m in wanted if m and (since is None or m[0].time > since)]
        return iter(found if since is not None else found[-bars:] if bars else [])

    def catch_up(self, time: datetime) -> None:
        while self._played < len(self._minutes) and self._minutes[self._played][0].end <= time:
            self._advance()

    def subscribe(self, symbols: Collection[str]) -> None:
        self._subscribed = frozenset(symbols)

    def next(self, timeout: float) -> Batch | None:
        """Return updates that wait, else the next minute; None after the last bar."""
        if self._waiting:
            updates, self._waiting = tuple(self._waiting), []
            return Batch(self._now, updates)
        if self._played == len(self._minutes):
            return None
        news, bars = self._advance()
        return Batch(self._now, tuple(news), tuple(b for b in bars if b.symbol in self._subscribed))

    def progress(self) -> Progress | None:
        return Progress(self._played, len(self._minutes))

    def close(self) -> None:
        """Close broker and feed; the exchange goes on."""

    # -- what happens --------------------------------------------------------------------------------

    def _advance(self) -> tuple[list[OrderUpdate], list[Bar]]:
        bars, news = self._minutes[self._played], []
        self._played += 1
        for split in self._splits.take_due(bars[0].time):
            self.split(split)
        before, self._now = self._now, bars[0].end
        self._activities.move_cash(before, self._now)
        for order in self.orders():
            close = self._close_of(order)
            bar = next((bar for bar in bars if bar.symbol == order.symbol), None)
            if close is not None and bars[0].time >= close:
                news.append(self._end(order, Status.EXPIRED, close))
            elif bar is not None and (price := _price(order, bar)) is not None:
                news.append(self._fill(order, price, bar.time))
        self._prices |= {bar.symbol: Decimal(repr(bar.close)) for bar in bars}
        return news, bars

    def announce(self, *actions: CorporateAction) -> None:
        """Announce these splits from now on; others are withdrawn, and not followed."""
        self._splits.announce(actions)

    def split(self, action: CorporateAction) -> None:
        """Split the account's shares now, or rename them; a fraction is paid in cash."""
        if action.symbol not in self._held:
            return
        qty, cost = self._held.pop(action.symbol)
        if action.kind is ActionKind.RENAME:
            self._held[action.new_symbol] = qty, cost
            self._prices.setdefault(action.new_symbol, self._prices[action.symbol])
            return
        new = action.new_qty(qty)
        if kept := whole_shares(new):
            self._held[action.symbol] = kept, cost * kept / new
        price = self._prices[action.symbol]
        if self._now <= action.effective_at:  # else it is by a new share
            price /= action.ratio
            self._prices[action.symbol] = price
        self._activities.cash += money((new - kept) * price)

    def _fill(self, order: BrokerOrder, price: Decimal, at: datetime) -> OrderUpdate:
        signed = order.qty * order.side.sign
        held, cost = self._held.pop(order.symbol, (ZERO, ZERO))
        cost += signed * price if signed > 0 else cost / held * signed
        if held + signed:
            self._held[order.symbol] = held + signed, cost
        self._activities.cash -= signed * price
        self._activities.add(
            BrokerExecution(
                f"{order.broker_order_id}-1", order.broker_order_id, order.symbol, order.side,
                order.qty, price, at,
            )
        )  # fmt: skip
        filled = replace(order, filled_qty=order.qty, filled_avg_price=price, filled_at=at)
        return self._end(filled, Status.FILLED, at)

    def _end(self, order: BrokerOrder, status: Status, at: datetime) -> OrderUpdate:
        ended = replace(order, status=status, updated_at=at)
        self._orders[order.client_order_id] = ended
        return ended.update()

    def _refused(self, order: Order) -> OrderUpdate | None:
        """Nothing is sold that is not held, or bought that can't be paid."""
        price = order.limit_price or self._prices.get(order.symbol, ZERO)
        selling = [o.qty for o in self.orders() if (o.symbol, o.side) == (order.symbol, Side.SELL)]
        held = self._held.get(order.symbol, (ZERO, ZERO))[0]
        cause, needed, free = RefusalCause.OTHER, order.qty * price, self._activities.cash
        if order.side is Side.SELL:
            cause = RefusalCause.AVAILABLE if held else RefusalCause.POSITION
            needed, free = order.qty, held - sum(selling)
        if needed <= free:
            return None
        return OrderUpdate(
            order.client_order_id, Status.REJECTED, self._now, symbol=order.symbol, cause=cause,
            reason=f"insufficient: {needed:f} needed, {free:f} there", available=free,
        )  # fmt: skip

    def _close_of(self, order: BrokerOrder) -> datetime | None:
        session = self._calendar.next_session(order.submitted_at)
        return session.close if session and order.time_in_force is TimeInForce.DAY else None


def _price(order: BrokerOrder, bar: Bar) -> Decimal | None:
    """Return at what price a bar fills an order; None: it does not."""
    limit, buys = order.limit_price, order.side is Side.BUY
    begin, best = Decimal(repr(bar.open)), Decimal(repr(bar.low if buys else bar.high))
    if limit is None:
        return begin
    if buys:
        return min(begin, limit) if best <= limit else None
    return max(begin, limit) if best >= limit else None
