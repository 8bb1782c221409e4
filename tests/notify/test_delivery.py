"""Which alerts of a receiver are sent at once, later, gathered, held back: real HTTP, and a clock that is set."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.api import (
    ClosedSession,
    CommittedStep,
    Event,
    Fill,
    Order,
    OrderType,
    Run,
    Side,
    Status,
    TimeInForce,
    replace,
)
from smabot.domain.risk_answers import Check, checks_text
from smabot_notify.delivery import Delivery, NotDelivered
from smabot_notify.receiver import Receiver
from smabot_notify.sender import Sender
from smabot_notify.settings import NotifySettings

AT = datetime(2026, 3, 2, 15, 31, tzinfo=UTC)


@dataclass
class Desk:
    """A receiver's two deliveries, which can be killed: ``memories`` is what core would have kept."""

    url: str
    settings: NotifySettings
    now: float = 1_000_000.0
    memories: list[str] = field(default_factory=lambda: ["", ""])
    number: int = 0
    deliveries: list[Delivery] = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        receiver, sender = Receiver(self.url, 1), Sender("mybot", "LIVE")
        first = Delivery(receiver, self.settings, sender, lambda: self.now)
        routine = Delivery(receiver, self.settings, sender, lambda: self.now, first=first)
        self.deliveries = [first, routine]

    def tell(
        self,
        *rows: Any,
        again: bool = False,
        closed: Any = None,
        number: int = 0,
        died: Run | None = None,
    ) -> None:
        """Tell a step with some rows, the next one or that of a number."""
        self.number = number or self.number + 1
        of = {
            name: tuple(row for row in rows if isinstance(row, kind))
            for name, kind in (("events", Event), ("orders", Order), ("fills", Fill), ("runs", Run))
        }
        step = CommittedStep(self.number, again=again, closed=closed, died=died, **of)
        for place in range(2):
            self.memories[place] = self.deliveries[place].take(step, self.memories[place])

    def wait(self, minutes: float) -> None:
        self.now += minutes * 60
        for delivery in self.deliveries:
            delivery.watch()


def event(kind: str, subject: str = "", text: str = "why", *, grave: bool = True) -> Event:
    return Event(AT, kind, subject, text, grave)


def blocked(number: int, check: str = "max_exposure", *, exits: bool = False) -> Order:
    return Order(
        f"smabot-sma-SPY-20260302T{number:04}Z-1", "sma", "SPY", Side.SELL if exits else Side.BUY, Decimal(10),
        OrderType.MARKET, None, TimeInForce.DAY, AT, 1, exits, AT, Status.BLOCKED, reason="too much",
        checks=checks_text([Check("size", True), Check(check, False, reason="too much")]),
    )  # fmt: skip


def fill(number: int, cumulative: int = 10) -> Fill:
    return Fill(
        f"smabot-sma-SPY-20260302T{number:04}Z-1", Decimal(cumulative), "sma", "SPY", Side.BUY, Decimal(10),
        Decimal("500.5"), Decimal(0), AT, False,
    )  # fmt: skip


CLOSED = ClosedSession(
    date(2026, 3, 2), AT, Decimal("100012.3"), AT, Decimal("-12.3"), Decimal("6.1"), 12, 2, 1, 9,
    (("SPY", Decimal(10)),),
)  # fmt: skip


@pytest.fixture
def desk(inbox: Any) -> Callable[..., Desk]:
    def make(query: str = "", **settings: Any) -> Desk:
        return Desk(inbox.url + query, NotifySettings.model_validate(settings))

    return make


def test_a_message_says_bot_mode_what_when_and_its_key(desk: Any, inbox: Any) -> None:
    desk().tell(event("halt", "core", "holiday"), blocked(1), fill(2))
    assert [message[:3] for message in inbox.messages] == [
        ("mybot LIVE: halted", "Holiday. No new entries until `smabot resume`.\n2026-03-02 10:31 ET, no. 1.1", "failure"),
        ("mybot LIVE: entry blocked: buy 10 SPY", "Too much. See `smabot explain sma-SPY-20260302T0001Z-1`.\n2026-03-02 10:31 ET, no. 1.2", "info"),
        ("mybot LIVE: bought 10 SPY at 500.50", "Order sma-SPY-20260302T0002Z-1.\n2026-03-02 10:31 ET, no. 1.3", "info"),
    ]  # fmt: skip


def test_five_hundred_blocked_orders_are_one_message_and_a_number(desk: Any, inbox: Any) -> None:
    it = desk(repeat_minutes=10)
    for number in range(500):
        it.tell(blocked(number))
    assert len(inbox.messages) == 1
    it.wait(9.9)
    assert len(inbox.messages) == 1
    it.wait(0.2)
    assert len(inbox.messages) == 2
    assert "498 more like this since the last one." in inbox.messages[1].text
    assert inbox.messages[1].key == "500.1"
    it.wait(11)
    assert len(inbox.messages) == 2


def test_another_check_exits_and_another_order_are_other_matters(desk: Any, inbox: Any) -> None:
    it = desk()
    it.tell(blocked(1), blocked(2), blocked(3, "max_orders"), blocked(4, exits=True))
    it.tell(fill(1), fill(2), fill(2, 20))
    assert inbox.titles == [
        "exit blocked: sell 10 SPY", "entry blocked: buy 10 SPY", "entry blocked: buy 10 SPY",
        "bought 10 SPY at 500.50", "bought 10 SPY at 500.50",
    ]  # fmt: skip
    assert inbox.messages[0].kind == "failure"


@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_that_is_set_back_holds_no_alert_back(
    desk: Any, inbox: Any, restarted: bool
) -> None:
    """As that of a machine that began in the wrong year."""
    bot = desk(repeat_minutes=15, frozen_minutes=2)
    bot.tell(event("given_up", "one"), event("order_unanswered", "two", grave=False))
    told = len(inbox.messages)
    bot.now -= 400 * 86_400
    if restarted:
        bot.restart()
    bot.tell(event("given_up", "one", "it went on"))
    assert [message.text.splitlines()[0] for message in inbox.messages[told:]] == [
        "It went on. Check on the broker's page that it has ended."
    ]
    bot.wait(2)
    assert inbox.titles[told + 1 :] == ["outcome unknown: two"]


def test_a_floor_survives_a_restart(desk: Any, inbox: Any) -> None:
    it = desk()
    for number in range(5):
        it.tell(blocked(number))
        it.restart()
    assert len(inbox.messages) == 1
    it.tell(Run("r", 1, "0.1", "", "LIVE", AT))
    it.wait(16)
    assert "3 more like this" in inbox.messages[1].text


def test_a_state_that_changes_back_is_told_at_once(desk: Any, inbox: Any) -> None:
    it = desk()
    for kind in ("breaker_tripped", "breaker_reset", "breaker_tripped", "breaker_tripped"):
        it.tell(event(kind, "risk.circuit_breaker"))
    assert inbox.titles == ["circuit breaker tripped", "circuit breaker reset", "circuit breaker tripped"]  # fmt: skip


def test_a_stream_is_told_once_it_was_lost_for_long_and_then_when_it_is_back(
    desk: Any, inbox: Any
) -> None:
    it = desk(stream_minutes=5)
    it.tell(event("stream_lost"))
    it.wait(4)
    it.tell(event("stream_back", grave=False))
    it.wait(4)
    assert inbox.messages == []
    it.tell(event("stream_lost"))
    it.restart()
    it.tell(fill(1))
    it.wait(5)
    it.wait(5)
    it.tell(event("stream_back", grave=False))
    assert inbox.titles == ["bought 10 SPY at 500.50", "order updates are lost", "order updates are back"]  # fmt: skip
    assert [message.key for message in inbox.messages] == ["4.1", "3.1", "5.1"]


def test_a_new_run_forgets_the_lost_stream_of_the_one_before(desk: Any, inbox: Any) -> None:
    it = desk(stream_minutes=5)
    it.tell(event("stream_lost"))
    it.restart()
    it.tell(Run("r", 1, "0.1", "", "LIVE", AT, ready_ms=5.0))
    it.wait(6)
    assert inbox.titles == ["started"]


def test_an_order_of_unknown_outcome_is_told_unless_it_is_answered_soon(
    desk: Any, inbox: Any
) -> None:
    it = desk()
    order = "mybot-sma-SPY-20260302T1530Z-1"
    it.tell(
        event("order_unanswered", "other", grave=False),
        event("order_unanswered", order, grave=False),
    )
    it.tell(event("order_answered", "other", grave=False))
    it.wait(1.1)
    it.tell(event("order_answered", order, "it is filled", grave=False))
    assert inbox.titles == [f"outcome unknown: {order}", f"outcome known: {order}"]


def test_quiet_alerts_are_gathered_in_the_summary_and_off_ones_never_sent(
    desk: Any, inbox: Any
) -> None:
    it = desk(fill="quiet", order="off", halt="quiet")
    for number in range(25):
        it.tell(fill(number), blocked(number))
    it.restart()
    it.tell(closed=CLOSED)
    (message,) = inbox.messages
    assert message.title == "mybot LIVE: 2026-03-02: equity 100,012.30, -12.30"
    assert message.text.startswith(
        "Realized +6.10. 12 orders, 9 filled, 2 blocked, 1 refused.\nHolds 10 SPY.\nQuiet alerts:\n"
    )
    assert message.text.count("- bought 10 SPY at 500.50") == 20
    assert "- and 5 more" in message.text
    it.tell(closed=CLOSED)
    assert "Quiet" not in inbox.messages[1].text


def test_without_summaries_quiet_alerts_come_alone(desk: Any, inbox: Any) -> None:
    it = desk(fill="quiet", summary="off")
    it.tell(closed=CLOSED)
    assert inbox.messages == []
    it.tell(fill(1))
    it.tell(closed=CLOSED)
    assert [message.title for message in inbox.messages] == ["mybot LIVE: 2026-03-02: quiet alerts"]


def test_what_failed_is_told_again_from_that_message_on_and_says_so(desk: Any, inbox: Any) -> None:
    it = desk()
    inbox.refuses = True
    with pytest.raises(NotDelivered, match=r"^1\. json://… did not take alert 1\.1: "):
        it.tell(fill(1), fill(2))
    inbox.refuses = False
    it.tell(fill(1), fill(2), again=True, number=1)
    assert [(message.key, message.again) for message in inbox.messages] == [
        ("1.1", True), ("1.2", False),
    ]  # fmt: skip


def test_a_step_that_another_process_may_have_told_says_so(desk: Any, inbox: Any) -> None:
    it = desk()
    it.tell(fill(1), fill(2), again=True)
    it.tell(fill(3))
    assert [message.again for message in inbox.messages] == [True, True, False]


def test_what_waited_is_told_when_a_dead_receiver_is_back(desk: Any, inbox: Any) -> None:
    it = desk(stream_minutes=1)
    it.tell(event("stream_lost"))
    inbox.leave()
    it.wait(2)
    inbox.come_back()
    it.wait(0)
    assert inbox.messages == []
    it.wait(1)
    assert inbox.titles == ["order updates are lost"]


def test_what_waited_or_was_held_back_says_that_it_may_come_again(desk: Any, inbox: Any) -> None:
    """A kill after a message loses the note of it, which is kept with the next step."""
    it = desk(frozen_minutes=1, repeat_minutes=10)
    it.tell(event("order_unanswered", "one", grave=False))
    it.tell(event("given_up", "two"), event("given_up", "two"))
    it.wait(1)
    it.wait(10)
    told = [(message.key, message.again) for message in inbox.messages]
    assert told == [("2.1", False), ("1.1", False), ("2.2", False)]
    it.restart()
    it.tell(event("order_unanswered", "three", grave=False))
    it.wait(1)
    told = [(message.key, message.again) for message in inbox.messages[3:]]
    assert told == [("1.1", True), ("3.1", False), ("2.2", True)]


def test_the_end_of_what_waited_is_told_where_a_kill_lost_that_it_was_told(
    desk: Any, inbox: Any
) -> None:
    it = desk(frozen_minutes=1)
    it.tell(event("order_unanswered", "one", grave=False))
    it.wait(2)
    it.restart()
    it.tell(event("order_answered", "one", "it is filled", grave=False))
    assert inbox.titles == ["outcome unknown: one", "outcome known: one"]


def test_what_waited_and_failed_says_that_it_may_come_again(desk: Any, inbox: Any) -> None:
    it = desk(frozen_minutes=1)
    it.tell(event("order_unanswered", "one", grave=False))
    inbox.refuses = True
    it.wait(1)
    inbox.refuses = False
    it.tell(event("order_unanswered", "two", grave=False))
    it.wait(1)
    assert [(message.key, message.again) for message in inbox.messages] == [("1.1", True), ("2.1", False)]  # fmt: skip


def test_what_another_release_kept_costs_only_the_floor(desk: Any, inbox: Any) -> None:
    it = desk()
    it.memories = ['{"resting": 3}'] * 2
    it.tell(fill(1))
    assert len(inbox.messages) == 1


def test_telegram_gets_quiet_alerts_without_a_sound() -> None:
    receiver = Receiver("tgram://123456789:abcdefghijklmnopqrstuvwxyzABCDEFGHI/12315544", 1)
    assert receiver.has_silence
    assert "silent=yes" in receiver._silent.url()
    assert "silent=no" in receiver._loud.url()


GRAVE = {
    "breaker_tripped": "circuit breaker tripped", "limit_reached": "loss limit reached",
    "conflict": "conflict: SPY", "cancel_unanswered": "cancel unanswered: SPY",
    "key_refused": "the broker refuses the API key", "account_blocked": "the account may not trade",
    "split_awaited": "SPY: the broker has not followed a split", "renamed": "SPY has another name",
    "no_price": "SPY has no price", "given_up": "order given up: SPY", "command_expired": "a command expired",
    "calendar_ends": "the calendar ends soon", "dropped_bars": "bars were left out",
    "audit_differs": "the audit of SPY found differences",
    "block_ignored": "block ignored SPY", "halt": "halted", "anything_new": "anything new SPY",
}  # fmt: skip


def test_a_failure_that_says_what_to_do_says_it_once(desk: Any, inbox: Any) -> None:
    outcome = "1 conflict with the broker: nothing was changed; see `smabot reconcile` with the same flags"
    desk().tell(Run("r", 1, "0.1", "sma", "LIVE", AT, ended_at=AT, exit_code=6, outcome=outcome))
    (message,) = inbox.messages
    assert message.text.splitlines()[0] == f"{outcome}."


def test_a_failure_is_held_back_only_where_runs_end_in_a_loop(desk: Any, inbox: Any) -> None:
    told = desk()

    def fails(run: str, code: int, minutes: float) -> None:
        began = AT - timedelta(minutes=minutes)
        told.tell(
            Run(run, 1, "0.1", "sma", "LIVE", began, ended_at=AT, exit_code=code, outcome="why")
        )

    for run in ("a", "b", "c"):
        fails(run, 4, 0.1)
    fails("d", 6, 0.1)
    for run in ("e", "f"):
        fails(run, 4, 6)
    codes = [message.title[-1] for message in inbox.messages]
    assert codes == ["4", "6", "4", "4"]


def test_times_in_a_reason_are_those_of_new_york_as_the_last_line(desk: Any, inbox: Any) -> None:
    text = "its cancel of 15:30:05 UTC is unanswered since 2026-03-02 04:59 UTC"
    desk().tell(event("cancel_unanswered", "smabot-1", text))
    (message,) = inbox.messages
    assert message.text.startswith(
        "Its cancel of 10:30:05 ET is unanswered since 2026-03-01 23:59 ET. "
    )


def test_services_without_a_rate_of_their_own_take_a_message_a_second(mailbox: Any) -> None:
    receiver = Receiver(mailbox.url, 1)
    begun = time.monotonic()
    assert [receiver.send("title", "text") for _ in range(3)] == ["", "", ""]
    assert time.monotonic() - begun < 5, "apprise's default is 5.5 seconds between two"


@pytest.mark.parametrize("kind", GRAVE)
def test_each_grave_event_is_told_with_what_to_do(desk: Any, inbox: Any, kind: str) -> None:
    desk().tell(event(kind, "SPY"), event("no_order", "SPY", grave=False))
    (message,) = inbox.messages
    assert message.title == f"mybot LIVE: {GRAVE[kind]}"
    assert message.text.startswith("Why.")
    assert message.kind == "failure"


def test_a_kill_is_told_at_the_time_of_the_new_start(desk: Callable[..., Desk], inbox: Any) -> None:
    counter, later = desk(), AT + timedelta(minutes=2)
    first = Run("a", 1, "0.1", "", "LIVE", AT)
    second = Run("b", 2, "0.1", "", "LIVE", later)
    counter.tell(replace(first, ready_ms=900.0))
    counter.tell(second, died=first)
    counter.tell(replace(second, ready_ms=900.0))
    assert inbox.titles == ["started", "was killed", "started"]
    assert "10:33" in inbox.messages[1].text.splitlines()[-1]


class Restarts:
    """A bot whose runs begin and end, at the times of the desk's clock."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.runs = 0
        self.newest: Run | None = None

    def at(self) -> datetime:
        return AT + timedelta(seconds=self.desk.now - 1_000_000)

    def start(self, *, killed: bool = False) -> None:
        self.runs += 1
        run = Run(f"r{self.runs}", 1, "0.1", "", "LIVE", self.at())
        self.desk.restart()
        self.desk.tell(run, died=self.newest if killed else None)
        self.newest = replace(run, ready_ms=900.0)
        self.desk.tell(self.newest)

    def end(self, code: int) -> None:
        assert self.newest is not None
        outcome = "why" if code else "stopped"
        self.desk.tell(replace(self.newest, ended_at=self.at(), exit_code=code, outcome=outcome))


@pytest.fixture
def restarts(desk: Callable[..., Desk]) -> Restarts:
    return Restarts(desk(repeat_minutes=15))


def test_a_start_after_a_kill_or_a_failure_is_not_held_back(restarts: Any, inbox: Any) -> None:
    restarts.start()
    restarts.desk.wait(1)
    restarts.start(killed=True)
    restarts.desk.wait(1)
    restarts.end(4)
    restarts.start()
    restarts.desk.wait(1)
    restarts.end(6)
    restarts.start()
    assert inbox.titles == [
        "started", "was killed", "started", "FAILED with exit code 4", "started",
        "FAILED with exit code 6", "started",
    ]  # fmt: skip
    assert not any("more like this" in message.text for message in inbox.messages)


def test_kills_and_failures_of_runs_that_lasted_are_all_told_and_their_starts(
    restarts: Any, inbox: Any
) -> None:
    restarts.start()
    for _ in range(2):
        restarts.desk.wait(6)
        restarts.start(killed=True)
        restarts.desk.wait(6)
        restarts.end(4)
        restarts.start()
    cycle = ["was killed", "started", "FAILED with exit code 4", "started"]
    assert inbox.titles == ["started", *cycle, *cycle]


@pytest.mark.parametrize(
    ("settings", "kinds"), [({}, 2), ({"failure": "off"}, 1), ({"failure": "quiet"}, 1)]
)
@pytest.mark.parametrize("codes", [[None], [4], [None, 4]])
def test_a_bot_that_restarts_in_a_loop_sends_a_message_for_each_end_and_a_count(
    desk: Any, inbox: Any, codes: list[int | None], settings: dict[str, str], kinds: int
) -> None:
    """``codes``: exit codes in turn, None for a kill."""
    loop = Restarts(desk(repeat_minutes=15, **settings))
    loop.start()
    for number in range(60):
        loop.desk.wait(0.1)
        code = codes[number % len(codes)]
        if code is not None:
            loop.end(code)
        loop.start(killed=code is None)
    assert len(inbox.messages) == 1 + kinds * len(codes)
    loop.desk.wait(20)
    counted = inbox.messages[1 + kinds * len(codes) :]
    assert len(counted) == kinds * len(codes)
    more = 60 // len(codes) - 2
    assert all(f"{more} more like this since the last one." in each.text for each in counted)


def test_a_start_after_a_stop_is_told_as_ever(restarts: Any, inbox: Any) -> None:
    restarts.start()
    restarts.start(killed=True)
    restarts.end(0)
    restarts.start()
    restarts.end(0)
    restarts.start()
    assert inbox.titles == [
        "started", "was killed", "started", "stopped", "started", "stopped", "started",
    ]  # fmt: skip


def test_every_grave_kind_of_core_has_words_of_its_own() -> None:
    from pathlib import Path

    from smabot.cli.event_kinds import EVENT_KINDS
    from smabot_notify.event_alerts import UNTOLD, WORDINGS

    assert set(WORDINGS) <= EVENT_KINDS
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    page = page.partition("| kind | grave |")[2].partition("\n\n")[0]
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    grave = {
        (row[2] if "`" in row[2] else row[1]).split("`")[1]
        for row in rows
        if len(row) == 5 and row[2].strip()
    }
    assert grave & EVENT_KINDS <= {*WORDINGS, *UNTOLD, "block_ignored"}
    assert len(grave & EVENT_KINDS) > 10


@pytest.mark.parametrize(
    ("run", "title", "advice"),
    [
        ({"ready_ms": 1500.0}, "started", "Ready in 1.5 s"),
        ({"ended_at": AT, "exit_code": 0, "outcome": "stopped"}, "stopped", "stay as they are"),
        ({"ended_at": AT, "exit_code": 130, "outcome": "stopped"}, "stopped", "stay as they are"),
        ({"ended_at": AT, "exit_code": 6, "outcome": "SPY: 1 here"}, "FAILED with exit code 6", "smabot reconcile"),
        ({"ended_at": AT, "exit_code": 1, "outcome": "failed"}, "FAILED with exit code 1", "smabot runs last"),
    ],
)  # fmt: skip
def test_a_run_is_told_by_how_it_began_and_ended(
    desk: Any, inbox: Any, run: dict[str, Any], title: str, advice: str
) -> None:
    desk().tell(Run("r", 1, "0.1", "sma", "LIVE", AT, **run))
    assert inbox.titles == [title]
    assert advice in inbox.messages[0].text
