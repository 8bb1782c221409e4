"""Why the broker refused an order, where that decides what comes next; and orders that must not open."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.order_terms import RefusalCause, Side, Status
from smabot_alpaca.order_json import order_body

MISMATCH = "position intent mismatch, inferred: sell_to_open, specified: sell_to_close"
OVERSELL = "insufficient qty available for order (requested: 10, available: 4)"
WASH = "potential wash trade detected. use complex orders"


def refusal(code: int, message: str, **more: Any) -> dict[str, Any]:
    return {"code": code, "message": message, **more}


@pytest.mark.parametrize(
    ("status", "body", "cause", "available"),
    [
        (422, refusal(42210000, MISMATCH), RefusalCause.POSITION, None),
        (
            403,
            refusal(40310000, OVERSELL, available="4", existing_qty="10", symbol="SPY"),
            RefusalCause.AVAILABLE,
            Decimal(4),
        ),
        (403, refusal(40310000, OVERSELL, available=0.5), RefusalCause.AVAILABLE, Decimal("0.5")),
        (403, refusal(40310000, OVERSELL, available="?"), RefusalCause.AVAILABLE, None),
        (403, refusal(40310000, OVERSELL), RefusalCause.AVAILABLE, None),
        (403, refusal(40310000, WASH, existing_order_id="1"), RefusalCause.WASH, None),
        (403, refusal(40310000, "insufficient buying power"), RefusalCause.OTHER, None),
        (403, refusal(40310000, "account is not allowed to short"), RefusalCause.OTHER, None),
        (422, refusal(42210000, "sub-penny increment"), RefusalCause.OTHER, None),
        (422, refusal(40010001, "invalid position_intent specified"), RefusalCause.OTHER, None),
    ],
)
def test_a_refusals_cause_is_read_from_status_message_and_body(
    script: Any, broker: Any, order: Any, status: int, body: Any, cause: Any, available: Any
) -> None:
    script.then(script.answer(status, body))
    script.otherwise = lambda _: script.answer(200, {"account_blocked": False})
    update = broker.submit(order(side=Side.SELL, reduces=True))
    assert (update.status, update.symbol) == (Status.REJECTED, "SPY")
    assert (update.cause, update.available) == (cause, available)


@pytest.mark.parametrize(
    ("side", "reduces", "intent"),
    [
        (Side.SELL, True, "sell_to_close"),
        (Side.BUY, True, "buy_to_close"),
        (Side.SELL, False, None),
        (Side.BUY, False, None),
    ],
)
def test_an_order_that_reduces_says_so(
    script: Any, broker_at: Any, order: Any, told: Any, side: Side, reduces: bool, intent: Any
) -> None:
    for settings, sent in (({}, intent), ({"send_position_intent": False}, None)):
        script.then(script.answer(200, told(side=side.value)))
        broker_at(script.url, **settings).submit(order(side=side, reduces=reduces))
        assert script.requests[-1].body.get("position_intent") == sent
    assert "position_intent" not in order_body(order(side=side, reduces=reduces), intent=False)


def test_shares_that_no_order_holds_back(script: Any, broker: Any) -> None:
    def raw(symbol: str, qty: str, side: str, **more: Any) -> dict[str, Any]:
        return {"symbol": symbol, "qty": qty, "side": side, "avg_entry_price": "10", **more}

    script.then(
        script.answer(
            200,
            [
                raw("SPY", "10", "long", qty_available="4.5"),
                raw("IBM", "-3", "short", qty_available="-1"),
                raw("KO", "2", "long"),
            ],
        )
    )
    assert [(p.symbol, p.qty, p.available) for p in broker.positions()] == [
        ("SPY", 10, Decimal("4.5")), ("IBM", -3, -1), ("KO", 2, None),
    ]  # fmt: skip
