"""Corporate actions by REST: what is read, what is left out and told, and what is an error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from smabot.domain.corporate_actions import ActionKind
from smabot.errors import BrokerError, KeyRefused
from smabot.hooks.optional_ports import ActionsBroker
from smabot.settings.model import Config
from smabot_alpaca.broker import AlpacaBroker
from smabot_alpaca.connection import connect
from smabot_alpaca.rest import corporate_actions as module
from smabot_alpaca.settings import AlpacaSettings

SINCE, UNTIL = date(2026, 3, 1), date(2026, 3, 31)
SPLIT = {
    "id": "a", "symbol": "SPY", "cusip": "1", "new_rate": 2, "old_rate": 1, "process_date": "2026-03-03",
    "ex_date": "2026-03-03", "record_date": "2026-03-02", "payable_date": "2026-03-02",
}  # fmt: skip


def page(token: str | None = None, **lists: list[Any]) -> dict[str, Any]:
    return {"corporate_actions": lists, "next_page_token": token}


@pytest.fixture
def told() -> Iterator[list[str]]:
    for log in (module._log_not_followed, module._log_unreadable, module._log_contradiction):
        log.cache_clear()
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message.record["message"])), level="WARNING")
    yield lines
    logger.remove(sink)


def test_it_announces_corporate_actions(broker: Any) -> None:
    assert isinstance(broker, ActionsBroker)


def test_each_kind_is_read_by_its_ex_date(script: Any, broker: Any, told: list[str]) -> None:
    script.then(
        script.answer(
            200,
            page(
                forward_splits=[SPLIT, {**SPLIT, "id": "b", "symbol": "IBM", "new_rate": 1.5, "ex_date": "2026-03-10"}],
                reverse_splits=[{**SPLIT, "id": "c", "symbol": "KO", "new_rate": 1, "old_rate": 10}],
                stock_dividends=[
                    {"id": "d", "symbol": "MSFT", "rate": 0.05, "ex_date": "2026-03-04", "process_date": "2026-03-20"}
                ],
                name_changes=[
                    {"id": "e", "old_symbol": "FB", "new_symbol": "META", "process_date": "2026-03-09"},
                    {"id": "f", "old_symbol": "FB", "new_symbol": "FB", "process_date": "2026-03-12"},
                ],
                cash_dividends=[{"id": "g", "symbol": "KO", "rate": 0.5}],
            ),
        )
    )  # fmt: skip
    found = broker.corporate_actions({"SPY", "IBM", "KO", "MSFT", "FB"}, SINCE, UNTIL)
    assert [
        (each.action_id, each.symbol, each.ex_date.day, each.new_shares, each.old_shares) for each in found
    ] == [
        ("c", "KO", 3, 1, 10), ("a", "SPY", 3, 2, 1), ("d", "MSFT", 4, Decimal("1.05"), 1),
        ("e", "FB", 9, 1, 1), ("b", "IBM", 10, Decimal("1.5"), 1),
    ]  # fmt: skip
    assert [each.kind for each in found].count(ActionKind.RENAME) == 1
    assert found[3].new_symbol == "META"
    assert told == []
    (asked,) = script.sent("GET")[-1:]
    assert asked.path == "/v1/corporate-actions"
    assert asked.query["symbols"] == "FB,IBM,KO,MSFT,SPY"
    assert (asked.query["start"], asked.query["end"]) == ("2026-02-22", "2026-05-30")


def test_rates_keep_every_digit(script: Any, broker: Any) -> None:
    body = json.dumps(page(forward_splits=[SPLIT])).replace(
        '"new_rate": 2', '"new_rate": 1.0000000000000000001'
    )
    script.then(script.answer(200, body.encode()))
    (split,) = broker.corporate_actions({"SPY"}, SINCE, UNTIL)
    assert split.new_shares == Decimal("1.0000000000000000001")


def test_all_pages_are_read(script: Any, broker: Any) -> None:
    script.then(
        script.answer(200, page("next", forward_splits=[SPLIT])),
        script.answer(200, page(None, reverse_splits=[{**SPLIT, "id": "b", "ex_date": "2026-03-04"}])),
    )  # fmt: skip
    assert [each.action_id for each in broker.corporate_actions({"SPY"}, SINCE, UNTIL)] == [
        "a",
        "b",
    ]
    assert script.sent("GET")[-1].query["page_token"] == "next"


def test_a_long_time_is_asked_for_in_parts(script: Any, broker: Any) -> None:
    script.otherwise = lambda _: script.answer(200, page())
    assert broker.corporate_actions({"SPY"}, date(2024, 1, 8), date(2026, 3, 1)) == []
    spans = [
        (each.query["start"], each.query["end"])
        for each in script.sent("GET")
        if each.path == module.PATH
    ]
    assert spans == [
        ("2024-01-01", "2024-12-30"), ("2024-12-31", "2025-12-30"), ("2025-12-31", "2026-04-30"),
    ]  # fmt: skip


def test_without_symbols_nothing_is_asked(script: Any, broker: Any) -> None:
    before = len(script.requests)
    assert broker.corporate_actions([], SINCE, UNTIL) == []
    assert len(script.requests) == before


def test_what_has_another_ex_date_or_symbol_is_left_out(script: Any, broker: Any) -> None:
    others = [
        {**SPLIT, "id": "b", "ex_date": "2026-02-28"}, {**SPLIT, "id": "c", "ex_date": "2026-04-01"},
        {**SPLIT, "id": "d", "symbol": "QQQ"},
    ]  # fmt: skip
    script.then(script.answer(200, page(forward_splits=[*others, SPLIT])))
    assert [each.action_id for each in broker.corporate_actions({"SPY"}, SINCE, UNTIL)] == ["a"]


@pytest.mark.parametrize(
    ("kind", "entry", "what"),
    [
        ("unit_splits", {"old_symbol": "SPY", "effective_date": "2026-03-05"}, "a split of units"),
        ("spin_offs", {"source_symbol": "SPY", "ex_date": "2026-03-05"}, "a spin-off"),
        ("stock_mergers", {"acquiree_symbol": "SPY", "effective_date": "2026-03-05"}, "a merger"),
        ("cash_mergers", {"acquiree_symbol": "SPY", "process_date": "2026-03-05"}, "a merger"),
    ],
)
def test_what_is_not_followed_is_told_once(
    script: Any, broker: Any, told: list[str], kind: str, entry: dict[str, Any], what: str
) -> None:
    script.otherwise = lambda _: script.answer(200, page(**{kind: [entry]}))
    for _ in range(2):
        assert broker.corporate_actions({"SPY"}, SINCE, UNTIL) == []
    (line,) = told
    assert line.startswith(f"SPY: {what} on 2026-03-05: the bot does not follow it")


@pytest.mark.parametrize(
    "wrong",
    [
        {"ex_date": "soon"}, {"ex_date": None}, {"new_rate": 0}, {"new_rate": -2}, {"new_rate": "NaN"},
        {"old_rate": None}, {"new_rate": 1}, {"new_rate": True}, {"new_rate": 1e30}, {"id": ""}, {"symbol": 5},
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_read_is_told_and_left_out(
    script: Any, broker: Any, told: list[str], wrong: dict[str, Any]
) -> None:
    bad = {**SPLIT, "id": "bad", **wrong}
    good = {**SPLIT, "ex_date": "2026-03-20"}
    script.then(script.answer(200, page(forward_splits=[bad, good])))
    assert [each.action_id for each in broker.corporate_actions({"SPY"}, SINCE, UNTIL)] == ["a"]
    (line,) = told
    assert "one of forward_splits" in line
    assert "left out" in line


def test_the_same_split_twice_is_one_and_two_different_ones_are_none(
    script: Any, broker: Any, told: list[str]
) -> None:
    again = {**SPLIT, "id": "b", "new_rate": 4, "old_rate": 2}
    other = {**SPLIT, "id": "c", "new_rate": 3}
    script.then(
        script.answer(200, page(forward_splits=[SPLIT, again])),
        script.answer(200, page(forward_splits=[SPLIT, other])),
    )
    assert [each.action_id for each in broker.corporate_actions({"SPY"}, SINCE, UNTIL)] == ["a"]
    assert told == []
    assert broker.corporate_actions({"SPY"}, SINCE, UNTIL) == []
    assert told == [
        "corporate actions that contradict each other are left out: 2:1 split of SPY on 2026-03-03; "
        "3:1 split of SPY on 2026-03-03"
    ]


@pytest.mark.parametrize(
    "body", [[], {}, {"corporate_actions": 5, "next_page_token": None}, page(5)]
)  # type: ignore[arg-type]
def test_a_page_that_cannot_be_read_is_an_error(script: Any, broker: Any, body: Any) -> None:
    script.then(script.answer(200, body))
    with pytest.raises(BrokerError, match="corporate actions can't be read"):
        broker.corporate_actions({"SPY"}, SINCE, UNTIL)


def test_a_page_that_comes_again_and_again_is_an_error(script: Any, broker: Any) -> None:
    script.otherwise = lambda _: script.answer(200, page("same"))
    with pytest.raises(BrokerError, match="the same page comes again"):
        broker.corporate_actions({"SPY"}, SINCE, UNTIL)


@pytest.mark.parametrize("message", ["forbidden.", "subscription does not permit querying this"])
def test_a_key_without_permission_is_told_so(script: Any, broker: Any, message: str) -> None:
    script.then(script.answer(403, {"message": message}))
    with pytest.raises(BrokerError, match="the key has no permission to read them") as refused:
        broker.corporate_actions({"SPY"}, SINCE, UNTIL)
    assert not isinstance(refused.value, KeyRefused)


def test_other_errors_are_those_of_every_call(script: Any, broker: Any) -> None:
    script.then(script.answer(401, {"message": "unauthorized."}))
    with pytest.raises(KeyRefused):
        broker.corporate_actions({"SPY"}, SINCE, UNTIL)
    script.then(script.answer(500, {"message": "?"}), script.answer(500, {"message": "?"}))
    with pytest.raises(BrokerError, match="500"):
        broker.corporate_actions({"SPY"}, SINCE, UNTIL)


def test_at_an_exchange_of_smabot(in_tmp: Path) -> None:
    data = "simulated:symbols=2,sessions=2,split=SPY@2026-03-03@3:2,split=AAPL@2026-03-03@1:10"
    broker = AlpacaBroker(connect(Config(broker="alpaca", data=data), AlpacaSettings(), {}))
    try:
        found = broker.corporate_actions({"SPY", "AAPL"}, SINCE, UNTIL)
        assert [(each.symbol, each.text) for each in found] == [
            ("AAPL", "1:10 split of AAPL on 2026-03-03"), ("SPY", "3:2 split of SPY on 2026-03-03"),
        ]  # fmt: skip
    finally:
        broker.close()


def test_an_order_says_which_one_it_replaced(script: Any, broker: Any) -> None:
    order = {
        "id": "new", "client_order_id": "c", "symbol": "SPY", "qty": "20", "filled_qty": "0", "side": "buy",
        "type": "limit", "limit_price": "50", "time_in_force": "gtc", "status": "new",
        "created_at": "2026-03-03T08:00:00Z", "submitted_at": None, "updated_at": "2026-03-03T08:00:00Z",
    }  # fmt: skip
    script.then(
        script.answer(200, {**order, "replaces": "old"}),
        script.answer(200, {**order, "replaces": None}),
        script.answer(200, {**order, "status": "replaced", "replaced_by": "next"}),
    )
    assert broker.order("c").replaces == "old"
    assert broker.order("c").replaces == ""
    assert "next" in broker.order("c").reason
