"""A remote broker: orders leave from threads, each arrives once, and no step waits for long."""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.book import Book
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import Order, OrderUpdate
from smabot.engine.broker_access import Access
from smabot.engine.broker_connection import BrokerConnection
from smabot.engine.dispatcher import Request, ThreadedDispatcher
from smabot.engine.gate import GO, Answer, Standing, Verdict
from smabot.engine.outbox import Outbox, Sending
from smabot.engine.reconciling.broker_snapshot import BrokerSnapshot, SnapshotRequest
from smabot.engine.surroundings import Surroundings
from smabot.errors import BrokerError, ConflictError, NotSent, UnknownOutcome
from smabot.hooks.ports import BrokerAccount, BrokerOrder, BrokerPosition, RemoteBroker

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
SECONDS = 60.0


def order(name: str, *, reduces: bool = False) -> Order:
    side = Side.SELL if reduces else Side.BUY
    return Order(
        name, "sma", "SPY", side, Decimal(10), OrderType.MARKET, None, TimeInForce.DAY,
        NOW, 1, reduces, NOW,
    )  # fmt: skip


@dataclass
class Far:
    """A broker behind a line that can lose a request, or its answer, and that shows orders late.

    ``script`` says what befalls each POST: ``ok lost unanswered refused full``.
    """

    script: list[str] = field(default_factory=list)
    hidden_looks: int = 0
    stepped: bool = True
    visibility_delay: timedelta | None = None
    lookups: Sequence[float] = (0.01, 0.02, 0.03)
    name: str = "far"
    posts: list[str] = field(default_factory=list)
    landed: dict[str, Order] = field(default_factory=dict)
    looks: Counter[str] = field(default_factory=Counter)
    gate: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def submit(self, sent: Order) -> OrderUpdate:
        self.begun.set()
        assert self.gate.wait(SECONDS)
        fault = self.script.pop(0) if self.script else "ok"
        if fault == "full":
            raise NotSent("no room", 0.01)
        name = sent.client_order_id
        self.posts.append(name)
        if fault == "lost":
            raise UnknownOutcome("timeout")
        if fault == "refused":
            return OrderUpdate(name, Status.REJECTED, NOW, reason="403")
        assert name not in self.landed or self.landed[name] == sent
        self.landed[name] = sent
        if fault == "unanswered":
            raise UnknownOutcome("reset")
        return OrderUpdate(name, Status.ACCEPTED, NOW)

    def order(self, client_order_id: str) -> BrokerOrder | None:
        self.looks[client_order_id] += 1
        sent = self.landed.get(client_order_id)
        if sent is None or self.looks[client_order_id] <= self.hidden_looks:
            return None
        return BrokerOrder(
            client_order_id, "id", sent.symbol, sent.side, sent.qty, sent.type, None,
            sent.time_in_force, Status.ACCEPTED, Decimal(0), None, NOW, NOW,
        )  # fmt: skip

    def cancel(self, sent: Order) -> None:
        self.posts.append(f"cancel {sent.client_order_id}")

    def account(self) -> BrokerAccount:
        return BrokerAccount("1", Decimal(1), Decimal(1), Decimal(1))

    def calendar(self) -> Any:
        raise NotImplementedError

    def orders(self, since: datetime | None = None) -> list[BrokerOrder]:
        return [found for name in self.landed if (found := self.order(name))]

    def positions(self) -> list[BrokerPosition]:
        raise BrokerError("503")

    def close(self) -> None:
        return


class Clock:
    def now(self) -> datetime:
        return NOW


@dataclass
class Said:
    """An order at the broker of which only its news count."""

    told: OrderUpdate

    def update(self) -> OrderUpdate:
        return self.told


WAIT, DROP = Verdict(Answer.WAIT, "held"), Verdict(Answer.DROP, "too old")


class Gate:
    """Answers of an order, by its id, what it was told to; GO where nothing was told."""

    def __init__(self, verdicts: Mapping[str, Verdict], over: bool) -> None:
        self.verdicts = dict(verdicts)
        self.over = over

    def may_leave(self, order: Order, *, left: bool = False) -> Verdict:
        if order.cancel_requested_at is not None:
            return DROP
        return self.verdicts.get(order.client_order_id, GO)

    def is_over(self, order: Order) -> bool:
        return self.over


class Post:
    """An outbox beside its book: orders are committed before they are added."""

    def __init__(
        self, far: Far, verdicts: Mapping[str, Verdict] | None = None, over: bool = False
    ) -> None:
        assert isinstance(far, RemoteBroker)
        self.book = Book()
        self.gate = Gate(verdicts or {}, over)
        gate: Any = self.gate
        self.access = Access(self.book, Clock(), lambda: NOW, 5, Standing())
        connection = BrokerConnection.to(far, Clock(), self.access, Surroundings())
        self.outbox = Outbox(connection, self.book, gate)

    def add(self, *orders: Order) -> None:
        for each in orders:
            self.book.apply(each)
            self.outbox.add(each)

    def take_up(self, *orders: Order) -> None:
        for each in orders:
            self.book.apply(each)
        self.outbox.adopt(orders)

    def flush(self) -> list[OrderUpdate]:
        answers = self.outbox.flush()
        for answer in answers:
            self.book.apply(answer)
        return answers

    def rounds(self) -> list[OrderUpdate]:
        """All steps until nothing is left to be told."""
        told: list[OrderUpdate] = []
        while answers := self.flush():
            told += answers
        return told

    def until(self, count: int) -> list[OrderUpdate]:
        answers: list[OrderUpdate] = []
        deadline = time.monotonic() + SECONDS
        while len(answers) < count and time.monotonic() < deadline:
            answers += self.flush()
        return answers


def told(answers: Sequence[OrderUpdate]) -> list[tuple[str, Status]]:
    return [(answer.client_order_id, answer.status) for answer in answers]


def test_cancels_go_before_exits_and_exits_before_entries() -> None:
    far = Far()
    post = Post(far)
    old = replace(order("old"), status=Status.ACCEPTED, cancel_requested_at=NOW)
    post.book.apply(old)
    post.add(order("entry"), order("exit", reduces=True))
    assert told(post.flush()) == [("exit", Status.ACCEPTED), ("entry", Status.ACCEPTED)]
    assert far.posts == ["cancel old", "exit", "entry"]


def test_an_answer_that_was_lost_is_found_by_its_id() -> None:
    far = Far(["unanswered"])
    post = Post(far)
    post.add(order("a"))
    assert told(post.rounds()) == [("a", Status.UNKNOWN), ("a", Status.ACCEPTED)]
    assert far.posts == ["a"]


def test_an_order_that_got_lost_is_looked_for_and_then_sent_again_under_its_id() -> None:
    far = Far(["lost", "lost", "ok"])
    post = Post(far)
    post.add(order("a"))
    assert ("a", Status.ACCEPTED) in told(post.rounds())
    assert far.posts == ["a", "a", "a"]
    assert far.looks["a"] == 2 * len(far.lookups)


def test_that_an_order_is_unanswered_is_told_once() -> None:
    far = Far(["lost", "lost", "unanswered"])
    post = Post(far)
    post.add(order("a"))
    assert told(post.rounds()) == [("a", Status.UNKNOWN), ("a", Status.ACCEPTED)]


def test_a_step_does_not_wait_for_ever_for_an_order_that_is_never_answered() -> None:
    """Three times it is sent again and looked for within a step of a stepped exchange."""
    far = Far(["lost"] * 99)
    post = Post(far)
    post.add(order("a"))
    assert told(post.rounds()) == [("a", Status.UNKNOWN)]
    assert far.posts == ["a"] * 4
    assert far.looks["a"] == 3 * len(far.lookups)


@pytest.mark.parametrize("failure", [NotSent("no room", 0.01), BrokerError("503")], ids=str)
def test_a_look_that_fails_is_made_again(failure: BrokerError) -> None:
    far = Far(["unanswered"])
    post = Post(far)
    look, failures = far.order, [failure]

    def order_(name: str) -> BrokerOrder | None:
        if failures:
            raise failures.pop()
        return look(name)

    far.order = order_  # type: ignore[method-assign]
    post.add(order("a"))
    assert told(post.rounds()) == [("a", Status.UNKNOWN), ("a", Status.ACCEPTED)]
    assert far.posts == ["a"]


def test_looks_that_find_no_room_do_not_count_as_misses() -> None:
    far = Far(["lost", "ok"])
    post = Post(far)
    look, full = far.order, [NotSent("no room", 0.01)] * 5

    def order_(name: str) -> BrokerOrder | None:
        if full:
            raise full.pop()
        return look(name)

    far.order = order_  # type: ignore[method-assign]
    post.add(order("a"))
    assert told(post.rounds()) == [("a", Status.UNKNOWN), ("a", Status.ACCEPTED)]
    assert far.looks["a"] == len(far.lookups)


def test_an_order_that_is_not_shown_is_told_to_be_frozen_once() -> None:
    far = Far(["unanswered"], hidden_looks=9)
    post = Post(far, {"a": DROP})
    post.take_up(replace(order("a"), status=Status.UNKNOWN))
    far.landed["a"] = order("a")
    assert told(post.until(2)) == [("a", Status.UNKNOWN), ("a", Status.ACCEPTED)]


def test_nothing_is_sent_again_before_a_step_has_seen_that_it_was_not_answered() -> None:
    """What it does to the breaker counts for the second sending."""
    far = Far(["lost"])
    post = Post(far)
    post.add(order("a"))
    assert told(post.flush()) == [("a", Status.UNKNOWN)]
    post.gate.verdicts["a"] = DROP
    assert told(post.flush()) == [("a", Status.UNKNOWN)]
    assert far.posts == ["a"]


def test_a_refusal_of_the_second_sending_is_final() -> None:
    far = Far(["lost", "refused"])
    post = Post(far)
    post.add(order("a"))
    assert ("a", Status.REJECTED) in told(post.rounds())
    assert post.flush() == []
    assert far.posts == ["a", "a"]


def test_no_room_is_no_news_and_sent_when_there_is() -> None:
    far = Far(["full", "full", "ok"])
    post = Post(far)
    post.add(order("a"))
    assert told(post.flush()) == [("a", Status.ACCEPTED)]
    assert far.posts == ["a"]


def test_an_entry_that_finds_no_room_until_it_is_stale_is_not_sent() -> None:
    far = Far(["full"] * 10**6)
    post = Post(replace(far, stepped=False))
    post.add(order("entry"), order("exit", reduces=True))
    assert post.flush() == []
    post.gate.verdicts["entry"] = DROP
    (answer,) = post.until(1)
    assert told([answer]) == [("entry", Status.BLOCKED)]
    assert "no room" in answer.reason
    far.script.clear()
    assert told(post.until(1)) == [("exit", Status.ACCEPTED)]
    assert far.posts == ["exit"]


def test_an_entry_that_finds_no_room_waits_when_something_holds_it_by_then() -> None:
    far = Far(["full"] * 10**6)
    post = Post(replace(far, stepped=False))
    post.add(order("entry"))
    assert post.flush() == []
    post.gate.verdicts["entry"] = WAIT
    assert [(a.status, a.reason) for a in post.until(1)] == [(Status.PENDING, "held")]
    far.script.clear()
    for _ in range(5):
        assert post.flush() == []
    assert far.posts == []
    post.gate.verdicts.clear()
    assert told(post.until(1)) == [("entry", Status.ACCEPTED)]


def test_an_order_past_its_use_is_frozen_not_sent_again_and_found_when_it_shows() -> None:
    far = Far(["unanswered"], hidden_looks=5)
    post = Post(far, {"a": DROP})
    post.take_up(replace(order("a"), status=Status.UNKNOWN))
    far.landed["a"] = order("a")
    first = post.until(1)
    assert told(first) == [("a", Status.UNKNOWN)]
    assert "SPY is frozen" in first[0].reason
    assert told(post.until(1)) == [("a", Status.ACCEPTED)]
    assert far.posts == []


def test_a_broker_that_is_there_again_is_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stepped exchange stands still until its answer: no minute passes."""
    far = Far(["lost"], lookups=(0.01, 3600.0))
    monkeypatch.setattr("smabot.engine.dispatcher.STEPPED_PATIENCE", 0.2)
    post = Post(far)
    post.add(order("a"))
    assert told(post.rounds()) == [("a", Status.UNKNOWN)]
    assert far.posts == ["a"]
    monkeypatch.setattr("smabot.engine.dispatcher.STEPPED_PATIENCE", SECONDS)
    post.outbox.query_status_now()
    assert told(post.rounds()) == [("a", Status.ACCEPTED)]
    assert far.posts == ["a", "a"]


def test_an_order_whose_day_is_over_is_given_up() -> None:
    far = Far()
    post = Post(far, {"a": DROP}, over=True)
    post.take_up(replace(order("a"), status=Status.UNKNOWN))
    (answer,) = post.until(1)
    assert told([answer]) == [("a", Status.ABANDONED)]
    assert answer.reason == "never arrived, and not sent again: too old"
    assert far.posts == []


def test_what_was_asked_before_its_day_was_over_proves_nothing_after_it() -> None:
    """The order may have arrived, and filled, since the question was put."""
    far = Far(hidden_looks=1)
    far.landed["a"] = order("a")
    post = Post(far, {"a": DROP})
    post.take_up(replace(order("a"), status=Status.UNKNOWN))
    post.gate.over = True
    assert told(post.until(2)) == [("a", Status.UNKNOWN), ("a", Status.ACCEPTED)]


def test_an_earlier_process_s_order_is_looked_up_before_it_is_sent() -> None:
    far = Far()
    far.landed["there"] = order("there")
    post = Post(far)
    post.take_up(order("there"), order("lost"))
    assert sorted(told(post.until(2))) == [("lost", Status.ACCEPTED), ("there", Status.ACCEPTED)]
    assert far.posts == ["lost"]


def test_another_order_under_our_id_ends_the_run() -> None:
    far = Far(["unanswered"])
    post = Post(far)
    post.take_up(order("a"))
    far.landed["a"] = replace(order("a"), qty=Decimal(99))
    with pytest.raises(ConflictError, match="payload_mismatch"):
        post.until(1)


def test_a_step_waits_only_a_moment_for_a_slow_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smabot.engine.dispatcher.PATIENCE", 0.05)
    far = Far(stepped=False)
    far.gate.clear()
    post = Post(far)
    post.add(order("a"))
    begun = time.monotonic()
    assert post.flush() == []
    assert time.monotonic() - begun < SECONDS / 2
    far.gate.set()
    assert told(post.until(1)) == [("a", Status.ACCEPTED)]


def test_entries_wait_while_something_holds_them_and_exits_do_not() -> None:
    far = Far()
    post = Post(far, {"entry": WAIT, "late": WAIT})
    post.add(order("entry"), order("late"), order("exit", reduces=True))
    assert sorted(told(post.rounds())) == [
        ("entry", Status.PENDING), ("exit", Status.ACCEPTED), ("late", Status.PENDING),
    ]  # fmt: skip
    post.gate.verdicts["late"] = DROP
    (blocked,) = post.flush()
    assert (blocked.client_order_id, blocked.status) == ("late", Status.BLOCKED)
    assert blocked.reason == "too old; it waited: held"
    post.gate.verdicts.clear()
    assert told(post.flush()) == [("entry", Status.ACCEPTED)]
    assert far.posts == ["exit", "entry"]


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smabot.engine.dispatcher.PATIENCE", 0.01)
    monkeypatch.setattr("smabot.engine.dispatcher.WORKERS", 1)


@pytest.mark.usefixtures("one_at_a_time")
def test_an_entry_that_waits_behind_others_is_not_sent_when_its_time_is_over() -> None:
    far = Far(stepped=False)
    far.gate.clear()
    post = Post(far)
    for each in (order("a"), order("b"), order("exit", reduces=True)):
        post.add(each)
        post.flush()
    post.gate.verdicts["b"] = DROP
    assert told(post.until(1)) == [("b", Status.BLOCKED)]
    far.gate.set()
    assert sorted(told(post.until(2))) == [("a", Status.ACCEPTED), ("exit", Status.ACCEPTED)]
    assert far.posts == ["a", "exit"]


@pytest.mark.usefixtures("one_at_a_time")
def test_what_was_granted_and_has_not_left_is_judged_again_in_a_new_epoch() -> None:
    far = Far(stepped=False)
    far.gate.clear()
    post = Post(far)
    for each in (order("a"), order("b"), order("exit", reduces=True)):
        post.add(each)
        post.flush()
    post.outbox.end_grants()
    post.gate.verdicts = {"a": DROP, "b": DROP}  # a has left: nothing can call it back
    assert told(post.until(1)) == [("b", Status.BLOCKED)]
    far.gate.set()
    assert sorted(told(post.until(2))) == [("a", Status.ACCEPTED), ("exit", Status.ACCEPTED)]
    assert far.posts == ["a", "exit"]


@pytest.mark.usefixtures("one_at_a_time")
def test_what_was_granted_does_not_leave_once_its_cancel_was_asked_for() -> None:
    """As where an exit in the symbol takes priority: no block and no target has changed."""
    far = Far(stepped=False)
    far.gate.clear()
    post = Post(far)
    for each in (order("a"), order("b")):
        post.add(each)
        post.flush()
    post.book.apply(replace(order("b"), cancel_requested_at=NOW))
    assert told(post.until(1)) == [("b", Status.BLOCKED)]
    far.gate.set()
    assert told(post.until(1)) == [("a", Status.ACCEPTED)]
    assert far.posts == ["a"]


def test_an_order_that_was_answered_is_not_sent_again_whatever_the_answer() -> None:
    """Here it says that the order is filled, and not at what price: it tells nothing yet."""
    far = Far()
    submit = far.submit

    def without_price(sent: Order) -> OrderUpdate:
        submit(sent)
        return OrderUpdate(sent.client_order_id, Status.FILLED, NOW, filled_qty=sent.qty)

    far.submit = without_price  # type: ignore[method-assign]
    post = Post(far)
    post.add(order("a"))
    for _ in range(3):
        post.flush()
    assert post.book.orders["a"].status is Status.PENDING
    assert far.posts == ["a"]


@pytest.mark.parametrize(
    ("fault", "verdict", "left"),
    [
        ("ok", GO, False),
        ("refused", GO, False),
        ("unanswered", GO, False),
        ("ok", DROP, False),
        ("ok", DROP, True),
        ("ok", GO, True),
    ],
    ids=["answered", "refused", "found", "blocked", "abandoned", "taken up"],
)
def test_nothing_is_kept_of_orders_that_are_done_with(
    request: pytest.FixtureRequest, fault: str, verdict: Verdict, left: bool
) -> None:
    far = Far([fault] * 20, lookups=(0.001,))
    names = [f"{request.node.name}-{number}" for number in range(20)]
    post = Post(far, dict.fromkeys(names, verdict), over=True)
    if left:
        post.take_up(*[replace(order(name), status=Status.UNKNOWN) for name in names])
    else:
        post.add(*map(order, names))
    post.rounds()
    for name in names:
        post.book.apply(OrderUpdate(name, Status.CANCELED, NOW))
    post.rounds()
    gc.collect()
    kept = [each for each in gc.get_objects() if type(each) is Sending]
    mine = [each for each in kept if each.order.client_order_id in names]
    assert len(mine) <= 1, "the thread that sent the last one may still know it"


@pytest.mark.usefixtures("one_at_a_time")
def test_settling_waits_for_what_is_being_sent_and_sends_nothing_more() -> None:
    far = Far(stepped=False)
    far.gate.clear()
    post = Post(far)
    post.add(order("a"), order("b"))
    post.flush()
    assert far.begun.wait(SECONDS)
    threading.Timer(0.05, far.gate.set).start()
    assert told(post.outbox.stop_sending(SECONDS)) == [("a", Status.ACCEPTED)]
    assert far.posts == ["a"]


def test_a_cancel_is_asked_for_until_its_order_has_ended() -> None:
    far = Far()
    post = Post(far)
    far.landed["a"] = order("a")
    post.book.apply(replace(order("a"), status=Status.ACCEPTED, cancel_requested_at=NOW))
    post.flush()
    post.flush()
    assert far.posts == ["cancel a"], "once a minute"
    post.outbox.query_status_now()
    post.flush()
    assert far.posts == ["cancel a"] * 2
    post.book.apply(OrderUpdate("a", Status.CANCELED, NOW))
    post.outbox.query_status_now()
    post.flush()
    assert far.posts == ["cancel a"] * 2


def test_what_waits_and_has_ended_meanwhile_is_not_sent() -> None:
    """Also where the book knows nothing of it any more."""
    far = Far()
    post = Post(far, {"a": WAIT, "b": WAIT})
    post.add(order("a"), order("b"))
    post.rounds()
    for name in "ab":
        post.book.apply(OrderUpdate(name, Status.CANCELED, NOW))
    post.book.drain()
    assert "a" not in post.book.orders
    post.gate.verdicts.clear()
    assert post.rounds() == []
    assert far.posts == []


def test_a_cancel_that_fails_is_asked_for_again_a_few_times() -> None:
    far = Far(lookups=(0.01, 0.02, 0.03))
    post = Post(far)
    far.landed["a"] = order("a")
    failing = far.cancel

    def fail(sent: Order) -> None:
        failing(sent)
        raise BrokerError("503")

    far.cancel = fail  # type: ignore[method-assign]
    post.book.apply(replace(order("a"), status=Status.ACCEPTED, cancel_requested_at=NOW))
    post.flush()
    assert far.posts == ["cancel a"] * 4


def test_the_broker_s_word_on_a_cancel_is_an_answer() -> None:
    far = Far()
    post = Post(far)
    far.landed["a"] = order("a")
    post.book.apply(replace(order("a"), status=Status.SUBMITTED, cancel_requested_at=NOW))
    assert told(post.flush()) == [("a", Status.ACCEPTED)]
    far.landed.clear()
    post.outbox.query_status_now()
    assert post.flush() == []


@pytest.mark.usefixtures("one_at_a_time")
def test_the_answer_to_a_cancel_is_taken_though_the_order_has_ended_by_then() -> None:
    """It may tell of shares that filled before the end, and the stream never did."""
    far = Far(stepped=False)
    far.gate.clear()
    post = Post(far)

    def late(sent: Order) -> None:
        assert far.gate.wait(SECONDS)
        price = Decimal(100)
        update = OrderUpdate(
            "a", Status.CANCELED, NOW, filled_qty=Decimal(4), filled_avg_price=price
        )
        far.order = lambda name: Said(update)  # type: ignore[method-assign,assignment,return-value]

    far.cancel = late  # type: ignore[method-assign]
    post.book.apply(replace(order("a"), status=Status.ACCEPTED, cancel_requested_at=NOW))
    assert post.flush() == []
    post.book.apply(OrderUpdate("a", Status.CANCELED, NOW))
    far.gate.set()
    (answer,) = post.until(1)
    assert (answer.client_order_id, answer.filled_qty) == ("a", 4)
    assert post.book.net("SPY") == 4


def test_a_cancel_of_what_is_not_known_to_be_there_waits() -> None:
    far = Far()
    post = Post(far)
    post.book.apply(replace(order("a"), status=Status.UNKNOWN, cancel_requested_at=NOW))
    post.flush()
    assert far.posts == []


def test_what_a_request_raises_is_raised_where_it_is_collected() -> None:
    def fail() -> OrderUpdate:
        raise ZeroDivisionError

    dispatcher = ThreadedDispatcher(stepped=True)
    dispatcher.put(Request((0,), fail, lambda outcome: ()))
    with pytest.raises(ZeroDivisionError):
        dispatcher.collect()


def test_answers_fetched_beforehand_are_given_again_with_their_failures() -> None:
    far = Far()
    far.landed["a"] = order("a")
    answers = BrokerSnapshot(far, NOW, ["a", "gone"])
    far.landed.clear()
    assert [seen.client_order_id for seen in answers.orders()] == ["a"]
    assert answers.order("gone") is None
    assert answers.account().account_id == "1"
    assert answers.name == "far"
    with pytest.raises(BrokerError, match="503"):
        answers.positions()
    with pytest.raises(BrokerError, match="not asked for"):
        answers.order("b")


def test_an_inquiry_is_beside_the_deciding_thread() -> None:
    far = Far()
    inquiry = SnapshotRequest(far, Surroundings().query("snapshot"))
    assert not inquiry.under_way
    inquiry.begin(NOW, [])
    deadline = time.monotonic() + SECONDS
    while (found := inquiry.take()) is None and time.monotonic() < deadline:
        assert inquiry.under_way
    assert found is not None
    assert found.orders() == []
    assert not inquiry.under_way


def test_what_an_inquiry_raises_is_raised_where_it_is_taken() -> None:
    far = Far()
    far.account = lambda: 1 / 0  # type: ignore[assignment,return-value]
    inquiry = SnapshotRequest(far, Surroundings().query("snapshot"))
    inquiry.begin(NOW, [])
    deadline = time.monotonic() + SECONDS
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - it takes a while
        while inquiry.take() is None and time.monotonic() < deadline:
            time.sleep(0.001)
    assert not inquiry.under_way
