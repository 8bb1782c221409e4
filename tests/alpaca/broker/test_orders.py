"""Alpaca's orders, read: statuses, amounts, times."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from alpaca.trading.enums import OrderStatus
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot_alpaca import order_json as orders
from smabot_alpaca.order_json import UnreadableAnswer, broker_order

ENDS = {
    "filled": Status.FILLED,
    "canceled": Status.CANCELED,
    "replaced": Status.CANCELED,
    "expired": Status.EXPIRED,
    "rejected": Status.REJECTED,
}


@pytest.mark.parametrize("word", [status.value for status in OrderStatus])
def test_every_status_of_alpaca_has_one_here(told: Any, word: str) -> None:
    assert word in orders.STATUSES
    filled = "10" if word == "filled" else "0"
    status = broker_order(told(status=word, filled_qty=filled)).status
    if word in ENDS:
        assert status is ENDS[word]
    else:
        assert status in (Status.SUBMITTED, Status.ACCEPTED, Status.PARTIALLY_FILLED)


@pytest.mark.parametrize("word", [status.value for status in OrderStatus if status not in ENDS])
def test_what_is_open_and_has_fills_is_partially_filled(told: Any, word: str) -> None:
    order = broker_order(told(status=word, filled_qty="4", filled_avg_price="1.5"))
    assert (order.status, order.filled_qty) == (Status.PARTIALLY_FILLED, 4)


@pytest.mark.parametrize("word", ["calculated", "done_for_day", "pending_cancel", "stopped"])
def test_what_is_filled_to_the_last_share_is_filled(told: Any, word: str) -> None:
    order = broker_order(told(status=word, filled_qty="10", filled_avg_price="1.5"))
    assert order.status is Status.FILLED


@pytest.mark.parametrize("word", ["canceled", "expired", "replaced", "rejected"])
def test_an_end_keeps_the_part_that_was_filled(told: Any, word: str) -> None:
    order = broker_order(told(status=word, filled_qty="4", filled_avg_price="1.5"))
    assert order.status.terminal
    assert (order.filled_qty, order.filled_avg_price) == (4, Decimal("1.5"))


@pytest.mark.parametrize(
    ("fields", "fees"),
    [
        ({}, "0"),
        ({"commission": None}, "0"),
        ({"commission": "0.42"}, "0.42"),
        ({"commission": 1.25, "commission_type": "notional"}, "1.25"),
        ({"commission": "10", "commission_type": "bps"}, "0"),
    ],
)
def test_its_commission_are_its_fees(told: Any, fields: dict[str, Any], fees: str) -> None:
    order = broker_order(told(status="filled", filled_qty="10", filled_avg_price="1.5", **fields))
    assert order.fees == order.update().fees == Decimal(fees)


def test_an_unknown_status_is_open_and_told_once(told: Any) -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}")
    try:
        for _ in range(3):
            order = broker_order(told(status="tele{ported}"))
            assert order.status is Status.SUBMITTED
    finally:
        logger.remove(sink)
    assert len(lines) == 1
    assert "tele{ported}" in lines[0]


def test_the_reason_of_an_end_is_kept(told: Any) -> None:
    assert broker_order(told(status="replaced", replaced_by="abc")).reason == (
        "replaced by order abc"
    )
    assert broker_order(told(status="rejected")).reason == "rejected by the broker"
    assert broker_order(told(status="canceled")).reason == ""


def test_times_are_utc_and_cut_to_microseconds(told: Any) -> None:
    order = broker_order(
        told(
            submitted_at="2026-03-02T12:00:00.123456789-05:00",
            updated_at="2026-03-02T17:00:01Z",
            filled_at="2026-03-02T17:00:02.5Z",
        )
    )
    assert order.submitted_at == datetime(2026, 3, 2, 17, 0, 0, 123456, tzinfo=UTC)
    assert order.submitted_at.tzinfo is UTC
    assert order.updated_at == datetime(2026, 3, 2, 17, 0, 1, tzinfo=UTC)
    assert order.filled_at == datetime(2026, 3, 2, 17, 0, 2, 500000, tzinfo=UTC)


def test_kinds_that_this_bot_never_sends_are_read_all_the_same(told: Any) -> None:
    stop = broker_order(
        told(type="stop", stop_price="480", time_in_force="ioc", qty=None, notional="9")
    )
    assert (stop.type, stop.time_in_force, stop.qty) == (OrderType.MARKET, TimeInForce.DAY, 0)
    limit = broker_order(told(type="stop_limit", limit_price="479.5", time_in_force="gtc"))
    assert (limit.type, limit.limit_price) == (OrderType.LIMIT, Decimal("479.5"))
    assert broker_order(told(side="sell_short")).side is Side.SELL


@pytest.mark.parametrize(
    "damage",
    [
        {"status": None, "drop": "status"},
        {"drop": "client_order_id"},
        {"drop": "id"},
        {"submitted_at": "yesterday"},
        {"submitted_at": "2026-03-02T12:00:00"},
        {"qty": "many"},
        {"qty": None},
        {"qty": "-10"},
        {"side": "BUY"},
        {"side": None},
        {"symbol": None},
        {"drop": "filled_qty"},
        {"drop": "updated_at"},
        {"status": "filled"},
        {"filled_qty": "11"},
        {"filled_qty": "NaN"},
    ],
)
def test_an_order_without_what_every_order_has_is_not_guessed(
    told: Any, damage: dict[str, Any]
) -> None:
    damage = dict(damage)
    missing = damage.pop("drop", None)
    raw = told(**damage)
    if missing:
        del raw[missing]
    with pytest.raises(UnreadableAnswer, match="an order can't be read"):
        broker_order(raw)


@given(
    qty=st.decimals("0.000000001", "99999999", allow_nan=False, places=9),
    part=st.decimals("0", "1", places=3),
    price=st.decimals("0.0001", "999999", places=4),
)
def test_amounts_are_exact_as_text_and_as_alpacas_floats_are_written(
    qty: Decimal, part: Decimal, price: Decimal
) -> None:
    filled = (qty * part).quantize(Decimal("0.000000001"))
    raw = {
        "id": "1", "client_order_id": "a", "symbol": "SPY", "side": "buy", "status": "new",
        "time_in_force": "day", "created_at": "2026-03-02T17:00:00Z",
        "updated_at": "2026-03-02T17:00:00Z", "qty": f"{qty:f}",
        "filled_qty": f"{filled:f}", "filled_avg_price": f"{price:f}",
    }  # fmt: skip
    order = broker_order(raw)
    assert (order.qty, order.filled_qty) == (qty, filled)
    assert order.filled_avg_price == (price if filled else None)


def test_an_order_of_several_legs_is_of_no_symbol_and_loses_no_list(told: Any) -> None:
    """Alpaca's models call symbol, side and quantity of an options spread optional."""
    spread = told(order_class="mleg", legs=[])
    for name in ("symbol", "side", "asset_id", "asset_class"):
        del spread[name]
    assert broker_order(spread).symbol == ""
