"""The bot at an exchange that behaves otherwise, as a probe may have seen Alpaca behave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from smabot_exchange.as_seen.behaviours import AsSeen, OppositeAllowed
from smabot_exchange.as_seen.refusal_kinds import RefusalKind

pytestmark = pytest.mark.plugins

OTHER_WORDS = {
    kind: {"status": 422, "code": 40010001, "message": f"other words for {kind.value}"}
    for kind in RefusalKind
}
NO_INTENT = {"status": 422, "code": 42210000, "message": "position_intent is for options only"}
SAME_END: dict[str, dict[str, Any]] = {
    "orders look otherwise, lists lag behind, refusals have other words": {
        "first_status": "accepted", "stamps": "submitted first", "after_includes": True,
        "gtc_expires_at": "null", "day_expires_at": "null", "position_intent": "null",
        "trade_frames": "text", "announces_pending": True,
        "opposite_allowed": dict.fromkeys(OppositeAllowed.model_fields, True),
        "leg_replacement_refused": NO_INTENT, "listed_after_seconds": 0.1, "refusals": OTHER_WORDS,
    },
    "orders show no intent, and a status that nobody knows": {
        "first_status": "under_review", "position_intent": "absent",
    },
}  # fmt: skip
CUT = {"kind": "disconnect", "stream": "trade", "nth": 12}
CROWDED = (
    "unauthorized",
    pytest.param("first closed", marks=pytest.mark.slow),
    pytest.param("HTTP 429", marks=pytest.mark.slow),
)


@pytest.mark.parametrize("name", SAME_END)
def test_the_bot_trades_the_same(scene: Callable[..., Any], fair: Any, name: str) -> None:
    met = scene(as_seen=AsSeen(**SAME_END[name]))
    met.play()
    met.agree()
    assert met.dump() == fair.dump()


def positions(met: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = met.there("SELECT symbol, qty FROM positions ORDER BY symbol")
    return found


def test_an_order_that_is_not_found_yet_delays_an_exit_at_most(
    scene: Callable[..., Any], fair: Any
) -> None:
    """An exit waits for the end of an entry whose cancel was answered: a query finds it later."""
    met = scene(as_seen=AsSeen(visible_after_seconds=0.05))
    met.play()
    met.agree()
    names = "SELECT client_order_id, filled_qty FROM order_intents ORDER BY client_order_id"
    assert met.here(names) == fair.here(names)
    assert positions(met) == positions(fair)


def test_a_duplicate_in_other_words_is_still_the_order_that_arrived(
    scene: Callable[..., Any], fair: Any
) -> None:
    """The answer is lost, three queries don't find the order, and the bot sends it again."""
    lost = {"kind": "reset", "method": "POST", "path": "/v2/orders", "when": "after", "nth": 3}
    met = scene(
        lost,
        as_seen=AsSeen(
            visible_after_seconds=0.12,
            refusals={RefusalKind.DUPLICATE_ID: OTHER_WORDS[RefusalKind.DUPLICATE_ID]},  # type: ignore[dict-item]
        ),
    )
    met.play()
    met.agree()
    assert met.struck["reset"] == 1
    assert positions(met) == positions(fair)


@pytest.mark.parametrize("told", CROWDED)
def test_a_lost_stream_comes_back_whatever_a_second_connection_is_told(
    scene: Callable[..., Any], fair: Any, told: str
) -> None:
    met = scene(
        CUT,
        as_seen=AsSeen(second_trade_connection=told, second_data_connection="first closed"),  # type: ignore[arg-type]
    )
    met.play()
    met.agree()
    assert met.struck["disconnect"] == 1
    assert positions(met) == positions(fair)


def test_exits_are_refused_where_no_intent_is_taken(scene: Callable[..., Any]) -> None:
    """The bot keeps trying, and tells the broker's reason each time."""
    met = scene(as_seen=AsSeen(position_intent_refused=NO_INTENT))  # type: ignore[arg-type]
    met.play()
    met.agree()
    exits = met.here("SELECT status, reason FROM order_intents WHERE reduces = 1")
    assert len(exits) > 3
    assert set(exits) == {("rejected", "422 position_intent is for options only")}
    told = met.here("SELECT kind FROM events WHERE text LIKE '%position_intent is for options%'")
    assert ("refused_exit",) in told


def test_without_the_setting_they_are_taken(scene: Callable[..., Any], fair: Any) -> None:
    met = scene(
        as_seen=AsSeen(position_intent_refused=NO_INTENT),  # type: ignore[arg-type]
        alpaca={"send_position_intent": False},
    )
    met.play()
    met.agree()
    assert met.dump() == fair.dump()
