"""The table of `smabot.engine.gate`, asked of a bot that stands still at a minute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.book import Book
from smabot.domain.bot_records import Block
from smabot.domain.calendar import Session
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import Bar, Order, Position, SignalState
from smabot.domain.risk_answers import Check, Veto
from smabot.engine.gate import Answer, meet
from smabot.engine.loop import Engine
from smabot.hooks.specifications import hookimpl
from smabot.testing.fake_bot import FakeBot
from smabot.testing.fake_exchange import FakeExchange

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
NOW = OPEN + 3 * MINUTE
LAST_BAR = OPEN + 2 * MINUTE
D = Decimal
GO, WAIT, DROP = Answer.GO, Answer.WAIT, Answer.DROP
BUY, SELL = Side.BUY, Side.SELL


class Rule:
    """Says what it is told to say."""

    def __init__(self) -> None:
        self.veto = ""
        self.checks: list[Check] | Veto | None = None

    @hookimpl
    def may_leave(self, order: Order) -> Veto | None:
        return Veto(self.veto) if self.veto else None

    @hookimpl
    def before_submit(self, order: Order) -> list[Check] | Veto | None:
        return self.checks


class Bot:
    """A bot at 14:33 over SPY and IBM; nothing is held, nothing wanted."""

    def __init__(self, engine: Engine, exchange: FakeExchange, rule: Rule) -> None:
        self.book: Book = engine.book
        self.gate = engine.gate
        self.exchange = exchange
        self.rule = rule

    def apply(self, *records: Any) -> None:
        for record in records:
            self.book.apply(record)

    def leaves(self, order: Order, **given: Any) -> tuple[Answer, str]:
        verdict = self.gate.may_leave(order, **given)
        return verdict.answer, verdict.why

    def failed(self, order: Order) -> dict[str, str]:
        """What is wrong with a new order, by its checks."""
        return {c.name: c.reason for c in self.gate.admit(order) if not c.passed}


Make = Callable[..., Any]


@pytest.fixture
def bot_at() -> Make:
    @contextmanager
    def bot_at(
        closes: tuple[float, ...] = (100.0, 100.0, 100.0, 100.0, 100.0),
        sessions: tuple[Session, ...] = (),
        **settings: Any,
    ) -> Iterator[Bot]:
        bars = [
            Bar(symbol, OPEN + n * MINUTE, close, close, close, close, 1000)
            for n, close in enumerate(closes)
            for symbol in ("SPY", "IBM")
        ]
        exchange, rule = FakeExchange(bars, sessions=sessions), Rule()
        with FakeBot(exchange, rule=lambda: rule).started(**settings) as engine:
            for _ in range(3):
                batch = exchange.next(0)
                assert batch is not None
                engine.take(batch)
            yield Bot(engine, exchange, rule)

    return bot_at


@pytest.fixture
def bot(bot_at: Make) -> Iterator[Bot]:
    with bot_at() as bot:
        yield bot


def entry(**changes: Any) -> Order:
    made = Order(
        "entry", "s", "SPY", BUY, D(10), OrderType.MARKET, None, TimeInForce.DAY, LAST_BAR, 1,
        False, NOW,
    )  # fmt: skip
    return replace(made, **changes)


def exit_(**changes: Any) -> Order:
    return entry(**{"client_order_id": "exit", "side": SELL, "reduces": True, **changes})


def held(qty: int, strategy: str = "s", symbol: str = "SPY") -> Position:
    return Position(strategy, symbol, D(qty), D(abs(qty) * 100), D(100), D(0), OPEN)


def wants(target: int, strategy: str = "s", symbol: str = "SPY") -> SignalState:
    return SignalState(strategy, symbol, "X", target, LAST_BAR)


# -- may it leave? -----------------------------------------------------------------------------------


def test_what_nothing_objects_to_leaves(bot: Bot) -> None:
    bot.apply(held(10))
    for left in (False, True):
        assert bot.leaves(entry(), left=left) == (GO, "")
        assert bot.leaves(exit_(), left=left) == (GO, "")


def test_in_a_conflict_all_waits(bot: Bot) -> None:
    bot.apply(held(10))
    bot.gate.standing.conflict = "conflict: x"
    for order in (entry(), exit_(), entry(cancel_requested_at=NOW)):
        assert bot.leaves(order) == (WAIT, "conflict: x")


def test_what_is_to_be_canceled_is_dropped(bot: Bot) -> None:
    bot.apply(held(10))
    for order in (entry(), exit_()):
        asked = replace(order, cancel_requested_at=NOW, cancel_reason="too late")
        assert bot.leaves(asked) == (DROP, "too late")


@pytest.mark.parametrize("reduces", [False, True])
@pytest.mark.parametrize(
    ("block", "entries", "exits"),
    [
        (Block("rule", "entries", "lost", OPEN), True, False),
        (Block("rule", "all", "lost", OPEN), True, True),
        (Block("rule", "entries", "lost", OPEN, NOW), False, False),
        (Block("rule", "entries", "lost", OPEN, NOW + SECOND), True, False),
        (Block("rule", "all", "lost", OPEN, NOW), False, False),
    ],
)
def test_blocks_drop_orders_of_their_scope(
    bot: Bot, block: Block, entries: bool, exits: bool, reduces: bool
) -> None:
    bot.apply(held(10), block)
    blocked = exits if reduces else entries
    assert bot.leaves(exit_() if reduces else entry()) == ((DROP, "lost") if blocked else (GO, ""))


def test_all_objections_are_told_and_each_once(bot: Bot) -> None:
    bot.apply(Block("core", "entries", "news", OPEN), Block("rule", "entries", "lost", OPEN))
    bot.rule.veto = "lost"
    assert bot.leaves(entry()) == (DROP, "halted: news; lost")
    bot.rule.veto = "rain"
    assert bot.leaves(entry()) == (DROP, "halted: news; lost; rain")


def test_a_veto_drops_exits_too(bot: Bot) -> None:
    bot.apply(held(10))
    bot.rule.veto = "rain"
    assert bot.leaves(exit_()) == (DROP, "rain")


@pytest.mark.parametrize(
    ("state", "answer"),
    [(wants(0), DROP), (wants(1), GO), (wants(0, "t"), GO), (wants(0, "s", "IBM"), GO)],
)
def test_an_entry_whose_target_is_flat_by_now_is_dropped(
    bot: Bot, state: SignalState, answer: Answer
) -> None:
    bot.apply(state)
    assert bot.leaves(entry())[0] is answer


@pytest.mark.parametrize("minutes", [1, 3])
def test_an_entry_lives_as_long_as_a_bar(bot_at: Make, minutes: int) -> None:
    with bot_at(max_bar_age_minutes=minutes) as bot:
        old = entry(created_at=NOW - minutes * MINUTE)
        s = "s" if minutes > 1 else ""
        assert bot.leaves(old) == (DROP, f"decided {minutes} minute{s} ago, which is too long")
        assert bot.leaves(replace(old, created_at=old.created_at + SECOND)) == (GO, "")


def test_only_a_symbol_of_the_run_is_entered_and_any_is_left(bot_at: Make) -> None:
    with bot_at(symbols=("SPY",)) as bot:
        bot.apply(held(10, symbol="IBM"))
        assert bot.leaves(entry(symbol="IBM")) == (DROP, "IBM is not among the symbols to trade")
        assert bot.leaves(exit_(symbol="IBM")) == (GO, "")


def test_no_entry_leaves_while_anything_held_has_no_price(bot: Bot) -> None:
    bot.apply(held(10))
    bot.gate.standing.unpriced = "IBM has no price"
    assert bot.leaves(entry()) == (DROP, "IBM has no price")
    assert bot.leaves(exit_()) == (GO, "")


@pytest.mark.parametrize(("seconds", "answer"), [(299, GO), (300, DROP)])
def test_no_entry_leaves_in_a_symbol_whose_price_is_old(
    bot_at: Make, seconds: int, answer: Answer
) -> None:
    session = Session(OPEN.date(), OPEN, OPEN + 60 * MINUTE)
    with bot_at(sessions=(session,), max_bar_age_minutes=30) as bot:
        bot.exchange.shift = seconds * SECOND
        assert bot.leaves(entry())[0] is answer


def test_an_entry_waits_until_what_is_held_is_confirmed(bot: Bot) -> None:
    bot.apply(held(10))
    bot.gate.standing.unconfirmed = "no stream"
    answer, why = bot.leaves(entry())
    assert (answer, why) == (WAIT, "no stream")
    assert bot.leaves(entry(created_at=NOW - MINUTE))[0] is DROP
    assert bot.leaves(exit_()) == (GO, "")


@pytest.mark.parametrize(
    ("closes", "bar_time", "answer"),
    [
        ((100, 100, 120, 120), LAST_BAR, WAIT),
        ((100, 120, 120, 120), OPEN + MINUTE, GO),
        ((100, 120, 140, 140), OPEN + MINUTE, DROP),
    ],
    ids=["no second bar yet", "inside", "outside too"],
)
def test_an_entry_outside_the_price_collar_waits_for_a_second_bar(
    bot_at: Make, closes: tuple[float, ...], bar_time: datetime, answer: Answer
) -> None:
    with bot_at(closes) as bot:
        collared = entry(collared=True, bar_time=bar_time, created_at=bar_time + MINUTE)
        found, why = bot.leaves(collared)
        assert (found, "price collar" in why) == (answer, answer is not GO)


def test_it_lives_a_minute_longer_for_it(bot: Bot) -> None:
    old = entry(collared=True, bar_time=OPEN, created_at=NOW - 2 * MINUTE)
    assert bot.leaves(old) == (DROP, "decided 2 minutes ago, which is too long")
    assert bot.leaves(replace(old, created_at=old.created_at + SECOND)) == (GO, "")


@pytest.mark.parametrize(
    ("qty", "order", "answer"),
    [
        (10, exit_(), GO),
        (9, exit_(), DROP),
        (0, exit_(), DROP),
        (6, exit_(filled_qty=D(4)), GO),
        (-10, exit_(side=BUY), GO),
        (-9, exit_(side=BUY), DROP),
        (10, exit_(side=BUY), DROP),
        (-10, exit_(), DROP),
    ],
)
def test_an_exit_never_sells_more_than_is_held(
    bot: Bot, qty: int, order: Order, answer: Answer
) -> None:
    bot.apply(held(qty), held(50, "t"))
    assert bot.leaves(order) == ((DROP, f"only {qty} are held") if answer is DROP else (GO, ""))


def test_only_an_exit_that_may_have_left_gets_old(bot: Bot) -> None:
    """Where a miss proves that it did not arrive, another attempt takes its place."""
    bot.apply(held(10))
    old = exit_(created_at=NOW - MINUTE)
    assert bot.leaves(old) == (GO, "")
    assert bot.leaves(old, left=True) == (DROP, "decided 1 minute ago")
    assert bot.leaves(replace(old, created_at=old.created_at + SECOND), left=True) == (GO, "")


def test_an_exit_whose_loss_can_not_be_proven_never_gets_old(
    bot_at: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeExchange, "visibility_delay", None)
    with bot_at() as bot:
        bot.apply(held(10))
        assert bot.leaves(exit_(created_at=NOW - 9 * MINUTE), left=True) == (GO, "")


def test_an_exit_waits_while_its_symbol_is_compared(bot: Bot) -> None:
    bot.apply(held(10), held(10, "s", "IBM"))
    bot.gate.standing.comparing["SPY"] = NOW + 10 * SECOND
    assert bot.leaves(exit_())[0] is WAIT
    assert bot.leaves(exit_(symbol="IBM"))[0] is GO
    assert bot.leaves(entry())[0] is GO
    bot.exchange.shift = 10 * SECOND
    assert bot.leaves(exit_())[0] is GO


# -- is it over? -------------------------------------------------------------------------------------

SESSION = Session(OPEN.date(), OPEN - MINUTE, OPEN + 10 * MINUTE)
NEXT = Session(OPEN.date() + timedelta(days=1), OPEN + timedelta(days=1), OPEN + timedelta(days=2))


@pytest.mark.parametrize(
    ("order", "after", "over"),
    [
        (entry(), 10, False),
        (entry(), 11, True),
        (entry(time_in_force=TimeInForce.GTC), 99, False),
        (entry(created_at=OPEN - 5 * MINUTE), 11, True),
        (entry(created_at=OPEN + 20 * MINUTE), 11, False),
        (entry(created_at=OPEN + timedelta(days=9)), 99, False),
    ],
    ids=["until its close", "after it", "GTC", "made before the open", "for tomorrow", "unknown"],
)
def test_a_day_order_is_over_a_minute_after_its_close(
    bot_at: Make, order: Order, after: int, over: bool
) -> None:
    with bot_at(sessions=(SESSION, NEXT)) as bot:
        bot.exchange.shift = OPEN + after * MINUTE - NOW
        assert bot.gate.is_over(order) is over


# -- may it be made? ---------------------------------------------------------------------------------


def test_each_check_is_told_also_those_that_passed(bot: Bot) -> None:
    bot.apply(held(10))
    assert [(c.name, c.passed) for c in bot.gate.admit(entry())] == [
        ("may_leave", True), ("last_entry_minutes", True), ("unknown_order", True),
        ("open_exit", True), ("offsetting", True),
    ]  # fmt: skip
    assert [(c.name, c.passed) for c in bot.gate.admit(exit_())] == [("may_leave", True)]


def test_what_waits_is_made_and_what_is_dropped_is_not(bot: Bot) -> None:
    bot.gate.standing.unconfirmed = "no stream"
    assert bot.failed(entry()) == {}
    assert bot.failed(entry(created_at=NOW - MINUTE)) == {
        "may_leave": "decided 1 minute ago, which is too long"
    }


def test_plugins_are_asked_of_entries_and_exits(bot: Bot) -> None:
    bot.apply(held(10))
    bot.rule.checks = [Check("size", False, "10", "5", "too many"), Check("other", True)]
    assert bot.failed(entry()) == bot.failed(exit_()) == {"size": "too many"}
    bot.rule.checks = Veto("no")
    assert bot.failed(exit_()) == {"before_submit": "no"}


@pytest.mark.parametrize(
    ("least", "closes_after", "passed", "value"),
    [
        (1, 4, True, "1 minute"),
        (2, 4, False, "1 minute"),
        (2, 5, True, "2 minutes"),
        (0, 3, True, ""),
        (1, 3, False, "0 minutes"),
    ],
)
def test_no_entry_in_the_last_minutes_of_a_session(
    bot_at: Make, least: int, closes_after: int, passed: bool, value: str
) -> None:
    """Counted from the end of the bar that decides, at 14:33."""
    session = Session(OPEN.date(), OPEN, OPEN + closes_after * MINUTE)
    with bot_at(sessions=(session,), last_entry_minutes=least) as bot:
        (check,) = [c for c in bot.gate.admit(entry()) if c.name == "last_entry_minutes"]
        assert (check.passed, check.value) == (passed, value)
        if not passed:
            assert check.reason.startswith(f"last_entry_minutes {least}: ")


@pytest.mark.parametrize(
    ("status", "symbol", "passed"),
    [
        (Status.UNKNOWN, "SPY", False),
        (Status.UNKNOWN, "IBM", True),
        (Status.PENDING, "SPY", True),
        (Status.ACCEPTED, "SPY", True),
    ],
)
def test_no_entry_while_nobody_knows_of_another_order_of_the_symbol(
    bot: Bot, status: Status, symbol: str, passed: bool
) -> None:
    bot.apply(entry(client_order_id="u", strategy="t", symbol=symbol, status=status, reason="lost"))
    why = "it is unknown whether the broker has u: lost"
    assert bot.failed(entry()) == ({} if passed else {"unknown_order": why})


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (exit_(), "the exit exit is still open"),
        (exit_(type=OrderType.LIMIT, limit_price=D(300)), "the exit exit is still open"),
        (exit_(strategy="t"), "it would cross the exit exit, which takes priority"),
        (exit_(strategy="t", side=BUY), ""),
        (exit_(strategy="t", symbol="IBM"), ""),
        (entry(client_order_id="e", strategy="t"), ""),
        (entry(client_order_id="e"), ""),
    ],
)
def test_no_entry_against_an_open_exit(bot: Bot, other: Order, reason: str) -> None:
    bot.apply(replace(other, status=Status.ACCEPTED))
    assert bot.failed(entry()) == ({"open_exit": reason} if reason else {})


@pytest.mark.parametrize(
    ("state", "position", "side", "passed"),
    [
        (wants(0, "t"), held(10, "t"), BUY, False),
        (wants(0, "t"), held(10, "t"), SELL, True),
        (wants(1, "t"), held(10, "t"), BUY, True),
        (wants(0, "t"), held(0, "t"), BUY, True),
        (wants(0, "t", "IBM"), held(10, "t", "IBM"), BUY, True),
    ],
)
def test_no_entry_against_an_exit_that_another_strategy_waits_for(
    bot: Bot, state: SignalState, position: Position, side: Side, passed: bool
) -> None:
    bot.apply(position, state)
    failed = bot.failed(entry(side=side))
    assert ("open_exit" in failed) is not passed
    if not passed:
        assert "the exit that t waits for" in failed["open_exit"]


@pytest.mark.parametrize(
    ("position", "side", "reason"),
    [
        (held(-5, "t"), BUY, "t holds -5 SPY: close that first"),
        (held(5, "t"), SELL, "t holds 5 SPY: close that first"),
        (held(-5, ""), BUY, "no strategy holds -5 SPY: close that first"),
        (held(5, "t"), BUY, ""),
        (held(0, "t"), BUY, ""),
        (held(-5, "s"), BUY, ""),
        (held(-5, "t", "IBM"), BUY, ""),
    ],
)
def test_no_entry_against_what_another_position_holds(
    bot: Bot, position: Position, side: Side, reason: str
) -> None:
    bot.apply(position)
    assert bot.failed(entry(side=side)) == ({"offsetting": reason} if reason else {})


@pytest.mark.parametrize(
    ("buys_at", "sells_at", "meets"),
    [
        (None, None, True),
        (None, "101", True),
        ("99", None, True),
        ("100", "100", True),
        ("100", "99", True),
        ("100", "100.01", False),
    ],
)
def test_orders_of_two_sides_meet_where_their_prices_do(
    buys_at: str | None, sells_at: str | None, meets: bool
) -> None:
    def limited(order: Order, limit: str | None) -> Order:
        return replace(order, type=OrderType.LIMIT, limit_price=D(limit)) if limit else order

    buy, sell = limited(entry(), buys_at), limited(exit_(), sells_at)
    assert meet(buy, sell) is meet(sell, buy) is meets
