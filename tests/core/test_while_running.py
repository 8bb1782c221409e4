"""What a running bot makes of the news: points of equity, comparisons, strangers' orders, its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.bot_records import Command, Event
from smabot.domain.order_terms import OrderType, RefusalCause, Side, Status, TimeInForce
from smabot.domain.records import (
    Bar,
    BarRevision,
    Batch,
    EquityPoint,
    Fill,
    Order,
    OrderUpdate,
    Position,
    Signal,
    SignalState,
)
from smabot.engine.loop import Engine
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.errors import BrokerError, PluginError, UnknownOutcome
from smabot.hooks.ports import BrokerPosition
from smabot.hooks.specifications import Conflict, Reconciliation, hookimpl
from smabot.testing.fake_bot import FakeBot
from smabot.testing.fake_exchange import FakeExchange

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
D = Decimal
LONG, FLAT = 1, 0


def minute(number: float) -> datetime:
    return OPEN + number * MINUTE


class Exchange(FakeExchange):
    """What is sent may be lost."""

    lost = False

    def __init__(self, bars: list[Bar]) -> None:
        super().__init__(bars)
        self.sent: list[str] = []

    def submit(self, order: Order) -> OrderUpdate:
        self.sent.append(order.client_order_id)
        if self.lost:
            raise UnknownOutcome("lost")
        return super().submit(order)


class Plugin:
    """A strategy by a script, which notes what it is told, and compares as it is told to."""

    def __init__(self, wants: dict[int, int]) -> None:
        self._wants = {minute(number): target for number, target in wants.items()}
        self.told: list[tuple[str, Any]] = []
        self.compared: list[datetime] = []
        self.answer: Callable[[], Reconciliation | None] = Reconciliation
        self.fails = ""

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        if self.fails == "on_bar":
            raise KeyError("on_bar")
        target = self._wants.get(bar.time)
        if target is None or bar.symbol != "SPY":
            return None
        return Signal.long(bar) if target else Signal.flat(bar)

    @hookimpl
    def before_submit(self) -> None:
        if self.fails == "before_submit":
            raise KeyError("before_submit")

    @hookimpl
    def on_order(self, order: Order) -> None:
        self.told.append(("order", order.status))

    @hookimpl
    def on_fill(self, fill: Fill) -> None:
        self.told.append(("fill", fill.qty))

    @hookimpl
    def on_equity(self, point: EquityPoint) -> None:
        self.told.append(("equity", point))

    @hookimpl
    def on_command(self) -> str:
        raise KeyError("on_command")

    @hookimpl
    def reconcile(self, recovery: Any) -> Reconciliation | None:
        self.compared.append(recovery.clock.now())
        return self.answer()

    def of(self, kind: str) -> list[Any]:
        return [what for each, what in self.told if each == kind]


class Bot:
    def __init__(self, engine: Engine, exchange: Exchange, plugin: Plugin, bot: FakeBot) -> None:
        self.engine, self.book = engine, engine.book
        self.exchange, self.plugin, self.rows = exchange, plugin, bot.rows

    def play(self, minutes: int) -> None:
        for _ in range(minutes):
            batch = self.exchange.next(0)
            assert batch is not None
            self.engine.take(batch)

    def at(self, seconds: float) -> None:
        """A step without news, so many seconds after the last bar."""
        self.exchange.shift = seconds * SECOND
        self.engine.take(Batch(self.exchange.now()))

    def update(self, name: str, status: Status, **changes: Any) -> None:
        told = OrderUpdate(name, status, self.exchange.now(), **{"symbol": "SPY", **changes})
        self.engine.take(Batch(self.exchange.now(), updates=(told,)))

    def events(self) -> list[tuple[str, str, bool]]:
        found = sorted(self.rows(Event), key=lambda event: event.time)
        return [(event.kind, event.subject, event.grave) for event in found]

    def order(self) -> Order:
        (order,) = self.rows(Order)
        return order


Make = Callable[..., Any]


@pytest.fixture
def running() -> Make:
    @contextmanager
    def running(
        wants: dict[int, int] | None = None, symbols: str = "SPY", count: int = 40, **settings: Any
    ) -> Iterator[Bot]:
        bars = [
            Bar(symbol, minute(n), 100.0 + n, 100.5 + n, 99.5 + n, 100.0 + n, 1000)
            for n in range(count)
            for symbol in ("SPY", "IBM")
        ]
        exchange, plugin = Exchange(bars), Plugin(wants or {})
        bot = FakeBot(exchange, s=lambda: plugin)
        with bot.started(symbols=tuple(symbols.split()), **settings) as engine:
            yield Bot(engine, exchange, plugin, bot)

    return running


# -- points of equity --------------------------------------------------------------------------------


def test_the_curve_has_a_point_for_each_so_many_minutes_and_watchers_see_each(
    running: Make,
) -> None:
    with running({2: LONG}, equity_every_minutes=5) as bot:
        bot.play(16)
        assert [p.time for p in bot.rows(EquityPoint)] == [
            minute(1), minute(3), minute(5), minute(10), minute(15),
        ]  # fmt: skip
        assert {p.time for p in bot.plugin.of("equity")} == {minute(n) for n in range(1, 17)}
        last = bot.rows(EquityPoint)[-1]
        assert (last.cash, last.positions_value) == (D("98970.0"), D("1140.0"))
        assert last.equity == last.cash + last.positions_value


def test_a_minute_that_ends_when_a_fill_came_replaces_its_point(running: Make) -> None:
    """However thin the curve: the point of a time is the newest of that time."""
    with running({2: LONG}, equity_every_minutes=5) as bot:
        bot.play(3)
        (order,) = bot.book.open_orders()
        bot.update(
            order.client_order_id, Status.FILLED, filled_qty=D(10), filled_avg_price=D(100),
            filled_at=minute(4),
        )  # fmt: skip
        before = bot.rows(EquityPoint)[-1]
        bar = Bar("SPY", minute(3), 100.0, 150.0, 100.0, 150.0, 1000)
        bot.engine.take(Batch(minute(4), bars=(bar,)))
        after = bot.rows(EquityPoint)[-1]
        assert before.time == after.time == minute(4)
        assert (before.positions_value, after.positions_value) == (1000, D("1500.0"))


def test_a_bar_that_comes_late_is_marked_after_what_was_marked_before(running: Make) -> None:
    with running({2: LONG}) as bot:
        bot.play(3)
        (order,) = bot.book.open_orders()
        late = minute(4) + SECOND
        bot.update(
            order.client_order_id, Status.FILLED, filled_qty=D(10), filled_avg_price=D(100),
            filled_at=late,
        )  # fmt: skip
        bar = Bar("SPY", minute(3), 100.0, 110.0, 100.0, 110.0, 1000)
        bot.engine.take(Batch(minute(4), bars=(bar,)))
        points = {p.time: p.positions_value for p in bot.rows(EquityPoint)}
        assert points[late] == 1100
        assert minute(4) not in points
        assert bot.book.point is not None
        assert bot.book.point.time == late


def test_fills_of_a_step_make_one_point_at_the_last_of_them(running: Make) -> None:
    with running({2: LONG}) as bot:
        bot.play(3)
        (order,) = bot.book.open_orders()
        seen = len(bot.plugin.of("equity"))
        updates = [
            OrderUpdate(
                order.client_order_id, Status.PARTIALLY_FILLED, minute(3), filled_qty=D(qty),
                filled_avg_price=D(100), filled_at=minute(3) + at * SECOND, symbol="SPY",
            )
            for qty, at in ((3, 5), (7, 2))
        ]  # fmt: skip
        bot.engine.take(Batch(minute(3) + 9 * SECOND, updates=tuple(updates)))
        points = bot.plugin.of("equity")[seen:]
        assert [(p.time, p.cash) for p in points] == [(minute(3) + 5 * SECOND, D(99_300))]
        assert bot.plugin.of("fill") == [3, 4]


# -- when it compares --------------------------------------------------------------------------------


def test_it_compares_by_a_timer(running: Make) -> None:
    with running(reconcile_every_minutes=5) as bot:
        begun = len(bot.plugin.compared)
        bot.play(11)
        assert bot.plugin.compared[begun:] == [minute(5), minute(10)]


def test_it_compares_at_once_when_the_connection_is_back(running: Make) -> None:
    with running() as bot:
        bot.play(2)
        begun = len(bot.plugin.compared)
        bot.engine.take(Batch(minute(2), resync=True))
        bot.play(3)
        assert bot.plugin.compared[begun:] == [minute(2)]
        assert bot.engine.comparison.why_degraded == ""


def test_a_broker_that_does_not_answer_is_asked_again_and_entries_wait(running: Make) -> None:
    def fails() -> Reconciliation:
        raise BrokerError("503")

    with running({2: LONG}, max_bar_age_minutes=5) as bot:
        bot.play(2)
        bot.plugin.answer = fails
        bot.engine.take(Batch(minute(2), resync=True))
        assert "503" in bot.engine.comparison.why_degraded
        begun = len(bot.plugin.compared)
        for seconds in (9, 10, 19, 20):
            bot.at(seconds)
        times = [time - minute(2) for time in bot.plugin.compared[begun:]]
        assert times == [10 * SECOND, 20 * SECOND]
        bot.exchange.shift = timedelta(0)
        bot.play(1)
        assert bot.exchange.sent == []
        assert "503" in bot.order().reason
        bot.plugin.answer = Reconciliation
        bot.at(60)
        assert bot.engine.comparison.why_degraded == ""
        bot.at(61)
        assert len(bot.exchange.sent) == 1


def test_news_of_the_broker_are_applied(running: Make) -> None:
    with running({2: LONG}) as bot:
        bot.play(3)
        (order,) = bot.book.open_orders()
        told = OrderUpdate(order.client_order_id, Status.CANCELED, minute(3), reason="by hand")
        bot.plugin.answer = lambda: Reconciliation(updates=(told,))
        bot.engine.take(Batch(minute(3), resync=True))
        assert (bot.order().status, bot.order().reason) == (Status.CANCELED, "by hand")


CONFLICTS = (
    Conflict("position_mismatch", "SPY", "10 shares", "4 shares", "mend it"),
    Conflict("unknown_locally", "x", "never written", "accepted", "mend it"),
)


def test_a_conflict_is_on_the_record_and_nothing_leaves_after_it(running: Make) -> None:
    with running({2: LONG}) as bot:
        bot.play(2)
        bot.plugin.answer = lambda: Reconciliation(conflicts=CONFLICTS)
        with pytest.raises(ReconciliationConflict) as caught:
            bot.engine.take(Batch(minute(2), resync=True))
        assert caught.value.conflicts == CONFLICTS
        found = {(e.kind, e.subject, e.text, e.grave) for e in bot.rows(Event)}
        assert found == {
            ("conflict", "SPY", "position_mismatch: 10 shares here, 4 shares there", True),
            ("conflict", "x", "unknown_locally: never written here, accepted there", True),
        }
        batch = bot.exchange.next(0)
        assert batch is not None
        bot.engine.process(batch)
        assert bot.exchange.sent == []
        assert (bot.order().status, bot.order().reason) == (
            Status.PENDING, "conflict: position_mismatch SPY",
        )  # fmt: skip


class Remote(Exchange):
    """Tells its positions when it is let to; what was asked for meanwhile is counted."""

    stepped = False
    lookups = (0.01,)

    def __init__(self, bars: list[Bar]) -> None:
        super().__init__(bars)
        self.may_answer = threading.Event()
        self.asked = 0

    def positions(self) -> list[BrokerPosition]:
        self.asked += 1
        assert self.may_answer.wait(60)
        return super().positions()


@pytest.mark.parametrize("meanwhile", ["nothing", "a fill", "a lost connection", "a stranger"])
def test_an_answer_that_is_outdated_when_it_comes_is_asked_for_again(meanwhile: str) -> None:
    bars = [Bar("SPY", minute(n), 100.0, 100.0, 100.0, 100.0, 1000) for n in range(20)]
    exchange, plugin = Remote(bars), Plugin({2: LONG})
    exchange.may_answer.set()
    bot = FakeBot(exchange, s=lambda: plugin)
    with bot.started(reconcile_every_minutes=99) as engine:
        running = Bot(engine, exchange, plugin, bot)
        running.play(3)
        (order,) = engine.book.open_orders()
        begun, asked = len(plugin.compared), exchange.asked
        exchange.may_answer.clear()
        engine.take(Batch(minute(3), resync=True))
        assert engine.comparison.due
        assert "connection" in engine.comparison.why_degraded
        if meanwhile == "a fill":
            running.update(
                order.client_order_id, Status.FILLED, filled_qty=D(10), filled_avg_price=D(1)
            )
        elif meanwhile == "a lost connection":
            engine.take(Batch(minute(3), resync=True))
        elif meanwhile == "a stranger":
            running.update("hand-1", Status.ACCEPTED)
        exchange.may_answer.set()
        until = time.monotonic() + 60
        while engine.comparison.due and time.monotonic() < until:
            running.at(1)
            time.sleep(0.001)
        assert not engine.comparison.due
        assert engine.comparison.why_degraded == ""
        assert exchange.asked - asked == (1 if meanwhile == "nothing" else 2)
        assert len(plugin.compared) - begun == 1


# -- what happens from outside -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbol", "told"), [("SPY", True), ("IBM", True), ("QQQ", False)], ids=str
)
def test_an_order_of_somebody_else_is_an_event_where_it_concerns_us(
    running: Make, symbol: str, told: bool
) -> None:
    """SPY is traded, IBM only held, QQQ neither."""
    with running() as bot:
        bot.book.apply(Position("old", "IBM", D(5), D(500), D(100), D(0), OPEN))
        bot.play(1)
        begun = len(bot.plugin.compared)
        bot.update("hand-1", Status.FILLED, symbol=symbol, filled_qty=D(3))
        assert bot.events() == ([("external_activity", symbol, False)] if told else [])
        assert len(bot.plugin.compared) - begun == told


def test_strange_orders_in_a_row_ask_for_one_comparison(running: Make) -> None:
    with running() as bot:
        bot.play(1)
        begun = len(bot.plugin.compared)
        for seconds in (0, 2, 4.9, 5, 7):
            bot.exchange.shift = seconds * SECOND
            bot.update("hand-1", Status.ACCEPTED)
        times = [time - minute(1) for time in bot.plugin.compared[begun:]]
        assert times == [timedelta(0), 5 * SECOND]


def test_an_exit_waits_for_the_comparison_and_no_longer(running: Make) -> None:
    with running({1: LONG, 4: FLAT}, reconcile_every_minutes=99) as bot:
        bot.play(4)

        def fails() -> Reconciliation:
            raise BrokerError("503")

        bot.plugin.answer = fails
        bot.exchange.shift = 55 * SECOND
        bot.update("hand-1", Status.ACCEPTED)
        bot.exchange.shift = timedelta(0)
        bot.play(1)
        assert len(bot.exchange.sent) == 1
        bot.at(4)
        assert len(bot.exchange.sent) == 1
        bot.at(5)
        assert len(bot.exchange.sent) == 2


@pytest.mark.parametrize("told", [True, False])
def test_an_order_under_our_name_that_we_did_not_write_is_a_conflict(
    running: Make, told: bool
) -> None:
    """Unless the comparison knows it by then."""
    name = "smabot-s-SPY-20260302T1430Z-9"
    with running() as bot:
        bot.play(1)
        if told:
            news = OrderUpdate(name, Status.ACCEPTED, minute(1))
            bot.plugin.answer = lambda: Reconciliation(updates=(news,))
            bot.update(name, Status.ACCEPTED)
            return
        with pytest.raises(ReconciliationConflict) as caught:
            bot.update(name, Status.ACCEPTED)
        assert caught.value.conflicts[0].what == name


def test_an_order_of_ours_that_is_known_by_then_is_none(running: Make) -> None:
    name = "smabot-s-SPY-20260302T1430Z-9"
    known = Order(
        name, "s", "SPY", Side.BUY, D(1), OrderType.MARKET, None, TimeInForce.DAY, OPEN, 9, False,
        OPEN, Status.ACCEPTED,
    )  # fmt: skip
    with running() as bot:
        bot.play(1)

        def learns() -> Reconciliation:
            bot.book.apply(known)
            return Reconciliation()

        bot.plugin.answer = learns
        bot.update(name, Status.ACCEPTED)


@pytest.mark.parametrize(
    ("cause", "compares"), [(RefusalCause.POSITION, True), (RefusalCause.OTHER, False)]
)
def test_a_refused_exit_is_an_event_and_compared_where_the_account_contradicts(
    running: Make, cause: RefusalCause, compares: bool
) -> None:
    with running({1: LONG, 4: FLAT}, reconcile_every_minutes=99) as bot:
        bot.play(5)
        (exit_,) = bot.book.open_orders()
        begun = len(bot.plugin.compared)
        bot.update(exit_.client_order_id, Status.REJECTED, reason="no shares", cause=cause)
        refused = 2 if compares else 1  # the next attempt is, too, in the same minute
        assert bot.events() == [("refused_exit", "SPY", True)] * refused
        assert min(bot.rows(Event), key=lambda event: event.time).text == "no shares"
        assert (len(bot.plugin.compared) > begun) is compares


@pytest.mark.parametrize("shares", ["1", "0.5"])
def test_a_fill_without_a_price_is_asked_about(running: Make, shares: str) -> None:
    with running({1: LONG}, reconcile_every_minutes=99) as bot:
        bot.play(2)
        (entry,) = bot.book.open_orders()
        begun = len(bot.plugin.compared)
        told = OrderUpdate(entry.client_order_id, Status.PARTIALLY_FILLED, minute(2))
        bot.plugin.answer = lambda: Reconciliation(updates=(told,))
        bot.update(entry.client_order_id, Status.PARTIALLY_FILLED, filled_qty=D(shares))
        assert len(bot.plugin.compared) - begun == 1
        assert bot.book.net("SPY") == 0


def test_a_refused_entry_is_no_event(running: Make) -> None:
    with running({1: LONG}) as bot:
        bot.play(2)
        (entry,) = bot.book.open_orders()
        bot.update(entry.client_order_id, Status.REJECTED, cause=RefusalCause.POSITION)
        assert bot.events() == []


def test_a_fill_of_an_order_that_was_given_up_stops_the_bot(running: Make) -> None:
    with running({1: LONG}) as bot:
        bot.play(2)
        (entry,) = bot.book.open_orders()
        ended = replace(entry, status=Status.EXPIRED, given_up_at=minute(2))
        bot.book.apply(ended)
        with pytest.raises(ReconciliationConflict) as caught:
            bot.update(entry.client_order_id, Status.FILLED, filled_qty=D(4), filled_avg_price=D(9))
        (conflict,) = caught.value.conflicts
        assert (conflict.kind, conflict.here, conflict.there) == (
            "filled_after_its_end", "ended by the bot with 0 filled", "filled 4",
        )  # fmt: skip
        assert bot.events() == [("conflict", entry.client_order_id, True)]
        assert bot.rows(Position) == []


def test_lost_order_updates_and_their_return_are_events(running: Make) -> None:
    with running() as bot:
        bot.play(1)
        for doubt in ("", "down", "down", "still down", "", ""):
            bot.exchange.shift += SECOND
            bot.engine.take(Batch(bot.exchange.now(), doubt=doubt))
        assert bot.events() == [("stream_lost", "", True), ("stream_back", "", False)]


def test_a_bar_that_came_again_is_kept_beside_the_first(running: Make) -> None:
    with running() as bot:
        bot.play(2)
        again = Bar("SPY", minute(1), 1.0, 2.0, 0.5, 1.5, 10)
        bot.engine.take(Batch(minute(2) + SECOND, revisions=(again,)))
        (revision,) = bot.rows(BarRevision)
        assert (revision.time, revision.seen_at, revision.close) == (
            minute(1), minute(2) + SECOND, 1.5,
        )  # fmt: skip
        assert bot.book.price("SPY") == 101


# -- what plugins are told ---------------------------------------------------------------------------


def test_plugins_see_each_status_once_and_each_fill(running: Make) -> None:
    with running({1: LONG}) as bot:
        bot.play(4)
        (order,) = bot.rows(Order)
        bot.update(order.client_order_id, Status.FILLED, filled_qty=D(10), filled_avg_price=D(102))
        assert bot.plugin.of("order") == [Status.PENDING, Status.ACCEPTED, Status.FILLED]
        assert bot.plugin.of("fill") == [10]


def test_time_never_goes_back(running: Make) -> None:
    with running() as bot:
        bot.play(3)
        bot.engine.take(Batch(minute(1)))
        assert bot.book.now == minute(3)


def test_who_watches_is_told_what_was_committed(running: Make) -> None:
    told: list[tuple[list[Any], list[Bar]]] = []
    with running({1: LONG}) as bot:
        bot.engine._commit._watch = lambda rows, bars: told.append((rows, bars))
        bot.play(2)
        bot.engine.take(Batch(minute(2)))
        assert [len(bars) for _, bars in told] == [1, 1, 0]
        kinds = {type(row) for row in told[1][0]}
        assert {Signal, SignalState, Order, EquityPoint} <= kinds
        assert [type(row) for row in told[2][0]] == [Order]


# -- how it ends -------------------------------------------------------------------------------------


def test_a_plugin_that_fails_at_a_bar_ends_the_run_and_the_step_is_not_kept(running: Make) -> None:
    with running({1: LONG}) as bot:
        bot.play(1)
        bot.plugin.fails = "on_bar"
        with pytest.raises(PluginError, match="'s' raised in on_bar"):
            bot.engine.run()
        assert bot.rows(Order) == []
        assert [p.time for p in bot.rows(EquityPoint)] == [minute(1)]


def test_a_plugin_that_fails_at_an_order_blocks_it_and_ends_the_run(running: Make) -> None:
    with running({1: LONG}) as bot:
        bot.play(1)
        bot.plugin.fails = "before_submit"
        with pytest.raises(PluginError, match="'s' raised in before_submit"):
            bot.engine.run()
        assert bot.order().status is Status.BLOCKED
        assert "before_submit" in bot.order().reason
        assert bot.exchange.sent == []


def test_a_plugin_that_fails_at_a_command_ends_the_run_with_the_answer_kept(running: Make) -> None:
    with running() as bot:
        bot.play(1)
        bot.engine._commit._journal.send(Command("1", "count", "", OPEN))
        with pytest.raises(PluginError, match="'s' raised in on_command"):
            bot.engine.run()
        (command,) = bot.rows(Command)
        assert command.applied_at == minute(2)
        assert "on_command" in command.answer


def test_after_a_failure_nothing_that_was_granted_leaves(running: Make) -> None:
    with running({1: LONG}) as bot:
        bot.play(1)
        outbox = bot.engine._outbox
        bot.plugin.fails = "on_bar"
        with pytest.raises(PluginError):
            bot.engine.run()
        late = Order(
            "late", "s", "SPY", Side.BUY, D(1), OrderType.MARKET, None, TimeInForce.DAY,
            minute(1), 1, False, minute(2),
        )  # fmt: skip
        bot.book.apply(late)
        outbox.add(late)
        outbox.flush()
        assert bot.exchange.sent == []


@pytest.mark.parametrize("stop", [False, True])
def test_a_run_ends_with_the_data_or_when_it_is_told_to(running: Make, stop: bool) -> None:
    with running(count=5) as bot:
        if stop:
            bot.engine.stopping.set()
        assert bot.engine.run() == ("stopped" if stop else "ended")
        assert len(bot.rows(EquityPoint)) == (0 if stop else 5)


@pytest.mark.parametrize("until", [3, 5])
def test_it_ends_when_its_time_has_come(running: Make, until: int) -> None:
    with running(until=minute(until)) as bot:
        assert bot.engine.run() == "until"
        assert bot.exchange.now() == minute(until)
