"""What the rules leave on the record: blocks, events, and the counts they judge by."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from smabot.domain.bot_records import Block, Event
from smabot.domain.order_terms import RefusalCause, Side, Status
from smabot_risk.breaker_state import describe_breaker
from smabot_risk.settings import CircuitBreakerSettings, DailyLimitsSettings

MONDAY = date(2026, 3, 2)
MINUTE = timedelta(minutes=1)
FAILURES = {"max_failures": 2, "max_session_drawdown": 0, "max_peak_drawdown": 0}
SESSION = {"max_failures": 0, "max_session_drawdown": "0.05", "max_peak_drawdown": 0}
NOTHING = {name: 0 for name in DailyLimitsSettings.model_fields if name.startswith("max_")}


def events(bot: Any) -> list[tuple[str, str, bool]]:
    found = [row for row in bot.kept.values() if isinstance(row, Event)]
    return [(e.kind, e.text, e.grave) for e in sorted(found, key=lambda event: event.time)]


def blocks(bot: Any) -> list[Block]:
    return [row for row in bot.kept.values() if isinstance(row, Block)]


def fall(bot: Any, to: float) -> None:
    bot.price("SPY", 100.0)
    bot.fill(bot.submit(qty=500))
    bot.price("SPY", to)


def refuse(bot: Any, order: Any) -> None:
    bot.take(order, Status.REJECTED, reason="no")


# -- the breaker -------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [0, 30])
@pytest.mark.parametrize("scope", ["entries", "all"])
def test_a_trip_is_a_row_of_blocks_and_a_grave_event(desk: Any, scope: str, minutes: int) -> None:
    bot = desk(breaker={**SESSION, "block": scope, "cool_down_minutes": minutes})
    fall(bot, 90.0)
    (block,) = blocks(bot)
    until = bot.now + minutes * MINUTE if minutes else None
    assert (block.plugin, block.scope, block.since, block.until) == (
        "risk.circuit_breaker", scope, bot.now, until,
    )  # fmt: skip
    assert (
        block.reason == f"circuit breaker {describe_breaker(bot.state)}; see `smabot breaker reset`"
    )
    assert events(bot) == [("breaker_tripped", bot.state.reason, True)]
    bot.price("SPY", 80.0)
    assert len(events(bot)) == 1


def test_a_reset_lifts_the_block_and_is_an_event(desk: Any) -> None:
    bot = desk(breaker=SESSION)
    fall(bot, 90.0)
    tripped = describe_breaker(bot.state)
    bot.at(bot.now + MINUTE)
    bot.command("breaker reset")
    assert [block.until for block in blocks(bot)] == [bot.now]
    assert events(bot)[-1] == ("breaker_reset", f"by the operator; was: {tripped}", False)
    assert (bot.state.session_equity, bot.state.peak_equity) == (95_000, 95_000)
    assert bot.state.session_date == MONDAY


def test_a_cool_down_lifts_it_and_is_an_event(desk: Any) -> None:
    bot = desk(breaker={**SESSION, "cool_down_minutes": 2})
    fall(bot, 90.0)
    since = bot.now
    bot.price("SPY", 91.0)
    assert bot.state.tripped
    bot.price("SPY", 92.0)
    assert not bot.state.tripped
    assert [block.until for block in blocks(bot)] == [since + 2 * MINUTE]
    assert events(bot)[-1] == (
        "breaker_reset",
        "armed again: its cool-down of 2 min is over",
        False,
    )


def test_another_scope_takes_the_place_of_the_one_before(desk: Any) -> None:
    bot = desk(breaker=SESSION)
    fall(bot, 90.0)
    bot.settings = (bot.settings[0].model_copy(update={"block": "all"}), bot.settings[1])
    bot.restart()
    assert {block.scope: block.until for block in blocks(bot)} == {"entries": bot.now, "all": None}


def test_a_start_puts_the_block_there_again(desk: Any) -> None:
    bot = desk(breaker=SESSION)
    fall(bot, 90.0)
    bot.kept = {key: row for key, row in bot.kept.items() if not isinstance(row, Block)}
    bot.restart()
    (block,) = blocks(bot)
    assert (block.since, block.until) == (bot.state.tripped_at, None)


def test_a_decision_that_fails_again_and_again_has_failed_once(desk: Any) -> None:
    bot = desk(breaker={**FAILURES, "max_failures": 9})
    first = bot.submit()
    refuse(bot, first)
    again = replace(first, client_order_id=f"{first.client_order_id.rpartition('-')[0]}-2")
    bot.book.apply(again)
    refuse(bot, again)
    assert bot.state.failure_count == 1
    refuse(bot, bot.submit())
    assert bot.state.failure_count == 2
    assert len(bot.state.failed_orders.split()) == 2


@pytest.mark.parametrize(("symbols", "tripped"), [(("SPY",), False), (("SPY", "IBM"), True)])
def test_the_refused_exits_of_one_symbol_alone_trip_nothing(
    desk: Any, symbols: tuple[str, ...], tripped: bool
) -> None:
    bot = desk(breaker={**FAILURES, "max_failures": len(symbols)})
    for symbol in symbols:
        bot.price(symbol, 100.0)
        bot.fill(bot.submit(symbol))
    for symbol in symbols:
        for _ in range(3):
            refuse(bot, bot.submit(symbol, Side.SELL))
    assert bot.state.failure_count == len(symbols)
    assert bot.state.failed_orders == " ".join(f"exit:{symbol}" for symbol in symbols)
    assert bot.state.tripped is tripped


def test_an_exit_that_nobody_answers_is_a_failure_of_its_own(desk: Any) -> None:
    bot = desk(breaker={**FAILURES, "max_failures": 1})
    bot.price("SPY", 100.0)
    bot.fill(bot.submit("SPY"))
    bot.take(bot.submit("SPY", Side.SELL), Status.UNKNOWN)
    assert bot.state.tripped
    assert "the last one unknown: no reason given" in bot.state.reason


def test_a_refusal_that_the_account_explains_is_none(desk: Any) -> None:
    bot = desk(breaker={**FAILURES, "max_failures": 1})
    order = bot.submit()
    refused = replace(order, status=Status.REJECTED, cause=RefusalCause.POSITION)
    bot.breaker.on_order(refused, bot.book)
    bot.commit()
    assert (bot.state.failure_count, bot.state.tripped) == (0, False)


def test_only_the_newest_hundred_failures_are_named(desk: Any) -> None:
    bot = desk(breaker={**FAILURES, "max_failures": 0})
    names = [bot.submit().client_order_id for _ in range(102)]
    for name in names:
        refuse(bot, bot.book.order(name))
    named = bot.state.failed_orders.split()
    assert bot.state.failure_count == 102
    assert named == [name.rpartition("-")[0] for name in names[2:]]


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 failures"), (1, "1 failure"), (2, "2 failures")]
)
def test_it_says_how_many_failures_there_are(desk: Any, count: int, words: str) -> None:
    bot = desk(breaker={**FAILURES, "max_failures": 9})
    for _ in range(count):
        refuse(bot, bot.submit())
    assert bot.breaker.describe(bot.book) == ("breaker", f"armed, {words}")


def test_an_order_that_is_named_in_one_word_is_a_failure_by_that(desk: Any) -> None:
    bot = desk(breaker={**FAILURES, "max_failures": 9})
    for name in ("one", "two", "one"):
        unknown = replace(bot.submit(), client_order_id=name, status=Status.UNKNOWN)
        bot.breaker.on_order(unknown, bot.book)
    bot.commit()
    assert (bot.state.failure_count, bot.state.failed_orders) == (2, "one two")


def test_a_later_session_begins_anew_and_an_earlier_one_never(desk: Any) -> None:
    bot = desk(breaker=SESSION)
    fall(bot, 98.0)
    order = bot.submit("SPY", Side.SELL, 100)
    tuesday = datetime(2026, 3, 3, 15, tzinfo=UTC)
    bot.at(tuesday)
    bot.restart()
    bot.price("SPY", 97.0)
    assert (bot.state.session_date, bot.state.session_equity) == (date(2026, 3, 3), 99_000)
    bot.fill(order, "97", datetime(2026, 3, 2, 20, tzinfo=UTC))
    assert (bot.state.session_date, bot.state.session_equity) == (date(2026, 3, 3), 99_000)


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (CircuitBreakerSettings, {"max_failures": -1}),
        (CircuitBreakerSettings, {"max_session_drawdown": "-0.01"}),
        (CircuitBreakerSettings, {"max_session_drawdown": 1}),
        (CircuitBreakerSettings, {"max_peak_drawdown": "-0.01"}),
        (CircuitBreakerSettings, {"max_peak_drawdown": 1}),
        (CircuitBreakerSettings, {"cool_down_minutes": -1}),
        *((DailyLimitsSettings, {name: -1}) for name in NOTHING),
        (DailyLimitsSettings, {"max_loss_fraction": 1}),
    ],
    ids=str,
)
def test_a_setting_out_of_its_bounds_is_refused(model: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model(**settings)
    (name,) = settings
    assert getattr(model(**{name: 0}), name) == 0


# -- the daily limits --------------------------------------------------------------------------------


def limited(desk: Any, **limits: Any) -> Any:
    bot = desk(limits={**NOTHING, **limits})
    bot.price("SPY", 100.0)
    return bot


@pytest.mark.parametrize(
    ("limits", "qty", "limit", "reason"),
    [
        ({"max_order_qty": 10}, 10, None, ""),
        ({"max_order_qty": 10}, 11, None, "max_order_qty 10: 11 shares"),
        ({"max_order_notional": 1000}, 10, None, ""),
        ({"max_order_notional": 1000}, 11, None, "max_order_notional 1,000.00: 1,100.00"),
        ({"max_order_notional": 1000}, 10, "100.01", "max_order_notional 1,000.00: 1,000.10"),
        ({"max_order_notional": 1000}, 11, "90", ""),
    ],
)
def test_an_entry_s_size(
    desk: Any, limits: dict[str, int], qty: int, limit: str | None, reason: str
) -> None:
    bot = limited(desk, **limits)
    order = bot.submit(qty=qty, limit=Decimal(limit) if limit else None)
    assert (order.status is Status.PENDING, order.reason) == (not reason, reason)


def test_an_exit_is_as_large_as_what_is_held(desk: Any) -> None:
    bot = limited(desk, max_order_qty=10, max_order_notional=1000, block="all")
    for _ in range(2):
        bot.fill(bot.submit(qty=10))
    assert bot.submit(side=Side.SELL, qty=20).status is Status.PENDING


def test_without_a_price_what_an_order_is_worth_is_unknown(desk: Any) -> None:
    bot = desk(limits={**NOTHING, "max_order_qty": 5, "max_order_notional": 1000})
    assert bot.submit("IBM", qty=9).reason == (
        "max_order_qty 5: 9 shares; max_order_notional 1,000.00: no price of IBM to check it by"
    )
    bot = desk(limits={**NOTHING, "max_exposure": 1000, "max_exposure_per_symbol": 500})
    assert bot.submit("IBM").reason == (
        "max_exposure 1,000.00: no price of IBM to check it by; "
        "max_exposure_per_symbol 500.00: no price of IBM to check it by"
    )


def test_an_order_that_has_filled_in_part_is_a_trade_and_waits_no_more(desk: Any) -> None:
    bot = limited(desk, max_trades=3)
    bot.take(bot.submit(), Status.PARTIALLY_FILLED, 3)
    assert bot.submit("IBM").status is Status.PENDING
    assert bot.submit("F").status is Status.PENDING
    assert bot.submit("GE").reason == "max_trades 3: 1 filled and 2 open orders on 2026-03-02"


@pytest.mark.parametrize("scope", ["entries", "all"])
@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_loss": 1000}, "max_loss 1,000.00: lost 1,000.00 of 100,000.00 on 2026-03-02"),
        (
            {"max_loss_fraction": "0.01"},
            "max_loss_fraction 1.00%: lost 1,000.00 of 100,000.00 on 2026-03-02",
        ),
        (
            {"max_loss": 1001, "max_loss_fraction": "0.01"},
            "max_loss_fraction 1.00%: lost 1,000.00 of 100,000.00 on 2026-03-02",
        ),
    ],
    ids=str,
)
def test_a_loss_that_reaches_its_limit_blocks_until_the_date_ends(
    desk: Any, limits: dict[str, Any], reason: str, scope: str
) -> None:
    bot = limited(desk, **limits, block=scope)
    bot.fill(bot.submit(qty=500))
    bot.price("SPY", 98.01)
    assert (blocks(bot), events(bot)) == ([], [])
    bot.price("SPY", 98.0)
    (block,) = blocks(bot)
    midnight = datetime(2026, 3, 3, 5, tzinfo=UTC)
    assert block == Block("risk.daily_limits", scope, reason, bot.now, midnight)
    assert events(bot) == [("limit_reached", reason, True)]
    bot.price("SPY", 90.0)
    assert blocks(bot) == [block]
    assert len(events(bot)) == 1
    assert bot.submit("IBM").reason == reason


@pytest.mark.parametrize("limits", [{"max_loss": 1}, {"max_loss_fraction": "0.00001"}], ids=str)
def test_a_dollar_is_a_limit_too(desk: Any, limits: dict[str, Any]) -> None:
    bot = limited(desk, **limits)
    bot.fill(bot.submit(qty=1))
    bot.price("SPY", 99.01)
    assert blocks(bot) == []
    bot.price("SPY", 99.0)
    assert len(blocks(bot)) == 1


def test_the_next_date_s_loss_is_blocked_anew(desk: Any) -> None:
    bot = limited(desk, max_loss=1000)
    bot.fill(bot.submit(qty=500))
    bot.price("SPY", 98.0)
    bot.at(datetime(2026, 3, 3, 15, tzinfo=UTC))
    bot.restart()
    bot.price("SPY", 97.0)
    assert bot.submit("IBM").status is Status.PENDING
    bot.price("SPY", 96.0)
    (block,) = blocks(bot)
    assert (block.since, block.until) == (bot.now, datetime(2026, 3, 4, 5, tzinfo=UTC))
    assert block.reason == "max_loss 1,000.00: lost 1,000.00 of 99,000.00 on 2026-03-03"
    assert len(events(bot)) == 2


def test_a_gain_reaches_no_limit(desk: Any) -> None:
    bot = limited(desk, max_loss_fraction="0.01", max_loss=1)
    bot.fill(bot.submit(qty=500))
    bot.price("SPY", 110.0)
    assert blocks(bot) == []
    assert bot.submit("IBM").status is Status.PENDING
    assert bot.limits.describe(bot.book)[1] == "1 orders filled today, loss 0.00 of 1.00"


def test_each_check_is_told_with_its_measure(desk: Any) -> None:
    bot = limited(
        desk, max_order_qty=20, max_order_notional=2000, max_orders=5, max_orders_per_symbol=4,
        max_trades=3, max_loss=1000, max_loss_fraction="0.1", max_exposure=9000,
        max_exposure_per_symbol=8000,
    )  # fmt: skip
    bot.fill(bot.submit(qty=10))
    bot.price("SPY", 99.0)
    order = bot.submit(qty=10)
    assert order.status is Status.PENDING
    bot.take(order, Status.CANCELED)
    checks = bot.limits.before_submit(order, bot.book)
    assert [(c.name, c.passed, c.value, c.limit) for c in checks] == [
        ("max_order_qty", True, "10", "20"),
        ("max_order_notional", True, "990.00", "2,000.00"),
        ("max_orders", True, "2", "5"),
        ("max_orders_per_symbol", True, "2", "4"),
        ("max_trades", True, "1", "3"),
        ("max_loss", True, "10.00", "1,000.00"),
        ("max_loss_fraction", True, "10.00", "10.00%"),
        ("max_exposure", True, "1,980.00", "9,000.00"),
        ("max_exposure_per_symbol", True, "1,980.00", "8,000.00"),
    ]


def test_a_gain_is_no_loss_below_zero(desk: Any) -> None:
    bot = limited(desk, max_loss=1000, max_loss_fraction="0.1")
    bot.fill(bot.submit(qty=10))
    bot.price("SPY", 103.83)
    order = bot.submit(qty=10)
    checks = {check.name: check.value for check in bot.limits.before_submit(order, bot.book)}
    assert (checks["max_loss"], checks["max_loss_fraction"]) == ("0.00", "0.00")
