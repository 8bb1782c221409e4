"""Account activities over loopback: whole pages, late ones, and the same to alpaca-py's own client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from alpaca.trading.client import TradingClient

from smabot.domain.cash_movements import CashKind
from smabot.errors import BrokerError
from smabot.settings.model import Config
from smabot_alpaca.broker import AlpacaBroker
from smabot_alpaca.connection import AlpacaConnection, connect
from smabot_alpaca.settings import AlpacaSettings

pytest.importorskip("smabot_exchange")

D = Decimal
DAY = date(2026, 3, 2)
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
CLOSES = {"SPY": [100.0, 101.0, 102.0, 101.5] * 6}


@pytest.fixture
def connection(tmp_path: Path, tape_writer: Any) -> Iterator[AlpacaConnection]:
    tape = tape_writer(tmp_path / "tape.csv", CLOSES, volume=300)
    config = Config(broker="alpaca", db=tmp_path / "wire.db", data=str(tape))
    connection = connect(config, AlpacaSettings(), {})
    AlpacaBroker(connection)
    yield connection
    connection.rest.close()


@pytest.fixture
def broker(connection: AlpacaConnection) -> Iterator[AlpacaBroker]:
    broker = AlpacaBroker(connection)
    yield broker
    broker.close()


def play(connection: AlpacaConnection, minutes: int = 1) -> None:
    for _ in range(minutes):
        connection.rest.trading("POST", "/_exchange/play")


def move(connection: AlpacaConnection, amount: str, **fields: Any) -> None:
    connection.rest.trading("POST", "/_exchange/cash", json={"amount": amount, **fields})


def test_more_movements_than_a_page_come_once_each_in_order(
    connection: AlpacaConnection, broker: AlpacaBroker
) -> None:
    for number in range(1, 231):
        move(connection, str(number))
    found = broker.cash_activities(DAY)
    assert [each.amount for each in found] == [D(number) for number in range(1, 231)]
    assert len({each.activity_id for each in found}) == 230
    assert broker.cash_activities(date(2026, 3, 3)) == []


def test_an_activity_may_come_later_than_its_cash(
    connection: AlpacaConnection, broker: AlpacaBroker
) -> None:
    before = broker.account().cash
    move(connection, "-1.25", activity_type="FEE", description="REG fee", listed_after=2)
    move(connection, "3", activity_type="DIV", symbol="SPY")
    move(connection, "4", listed=False)
    assert broker.account().cash == before + D("5.75")
    assert [each.kind for each in broker.cash_activities(DAY)] == [CashKind.DIVIDEND]
    play(connection, 2)
    fee, dividend = broker.cash_activities(DAY)
    assert (fee.kind, fee.amount, fee.description) == (CashKind.FEE, D("-1.25"), "REG fee")
    assert (dividend.symbol, dividend.booked_on) == ("SPY", DAY)


def test_executions_are_all_that_an_order_filled(
    connection: AlpacaConnection, broker: AlpacaBroker
) -> None:
    connection.rest.trading(
        "POST",
        "/_exchange/orders",
        json={"symbol": "SPY", "qty": 100, "client_order_id": "other-1"},
    )
    play(connection, 8)
    found = broker.executions(OPEN)
    assert len(found) > 1
    (order,) = broker.orders(OPEN)
    assert {each.broker_order_id for each in found} == {order.broker_order_id}
    assert sum(each.qty for each in found) == order.filled_qty == 100
    value = sum(each.qty * each.price for each in found)
    assert order.filled_avg_price is not None
    assert abs(value - order.filled_qty * order.filled_avg_price) < D("0.01")


def test_alpaca_py_reads_fills_and_movements_in_pages_of_any_size(
    connection: AlpacaConnection, broker: AlpacaBroker
) -> None:
    for minute in range(4):
        move(connection, str(minute + 1), activity_type="INT")
        connection.rest.trading("POST", "/_exchange/orders", json={"symbol": "SPY", "qty": 2})
        play(connection)
    play(connection)
    key = connection.credentials
    client = TradingClient(
        key.key_id.get_secret_value(), key.secret_key.get_secret_value(), raw_data=True,
        url_override=connection.endpoints.trading,
    )  # fmt: skip
    whole: Any = client.get("/account/activities", {"direction": "asc"})
    assert [each["activity_type"] for each in whole].count("INT") == 4
    assert [each["activity_type"] for each in whole].count("FILL") == 4
    for direction in ("asc", "desc"):
        for size in (1, 3, 8):
            seen, token = list[str](), {}
            while True:
                query = {"direction": direction, "page_size": size, **token}
                page: Any = client.get("/account/activities", query)
                seen += [each["id"] for each in page]
                if len(page) < size:
                    break
                token = {"page_token": page[-1]["id"]}
            ids = [each["id"] for each in whole]
            assert seen == (ids if direction == "asc" else ids[::-1]), (direction, size)
    interest: Any = client.get("/account/activities/INT")
    assert {each["activity_type"] for each in interest} == {"INT"}
    transfers: Any = client.get("/account/activities", {"activity_types": "TRANS"})
    assert transfers == []


def test_an_activity_that_can_not_be_read_is_an_error(script: Any, broker_at: Any) -> None:
    script.then(script.answer(200, [{"id": "1::a", "activity_type": "DIV", "net_amount": "x"}]))
    with pytest.raises(BrokerError, match="an activity can't be read"):
        broker_at(script.url).cash_activities(DAY)
