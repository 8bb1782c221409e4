"""The broker against the real exchange over loopback: the same as in process, and nothing twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.order_terms import OrderType, RefusalCause, Side, Status, TimeInForce
from smabot.domain.records import Order, OrderUpdate
from smabot.errors import BrokerError, ConflictError, NotSent, UnknownOutcome
from smabot.hooks.ports import BrokerAccount, BrokerOrder
from smabot.settings.model import Config
from smabot_alpaca.broker import AlpacaBroker
from smabot_alpaca.connection import AlpacaConnection, connect
from smabot_alpaca.settings import AlpacaSettings

pytest.importorskip("smabot_exchange")

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
CLOSES = {"SPY": [100.0, 101.0, 102.0, 101.5] * 6, "IBM": [50.0, 49.9, 50.1, 50.3] * 6}
DEADLINE = 60.0


class Market:
    """An embedded exchange, and a broker at it."""

    def __init__(self, connection: AlpacaConnection) -> None:
        self.connection = connection
        self.broker = AlpacaBroker(connection)

    def play(self, minutes: int = 1) -> None:
        for _ in range(minutes):
            played = self.connection.rest.trading("POST", "/_exchange/play")
            self.connection.clock.advance_to(datetime.fromisoformat(played["time"]))

    def fault(self, kind: str, **fields: Any) -> None:
        self.connection.rest.trading("POST", "/_exchange/faults", json={"kind": kind, **fields})

    def struck(self) -> int:
        return sum(self.connection.rest.trading("GET", "/_exchange")["faults"].values())

    def everything(self) -> list[BrokerOrder]:
        return self.broker.orders(OPEN - timedelta(days=1))


@pytest.fixture
def tape(tmp_path: Path, tape_writer: Any) -> Path:
    path: Path = tape_writer(tmp_path / "tape.csv", CLOSES, volume=300)
    return path


@pytest.fixture
def market(tmp_path: Path, tape: Path) -> Iterator[Market]:
    config = Config(broker="alpaca", db=tmp_path / "wire.db", data=str(tape))
    market = Market(connect(config, AlpacaSettings(request_timeout=1.5), {}))
    yield market
    market.broker.close()


def settle(market: Market, order: Order) -> OrderUpdate:
    """What core does with an unanswered order: look it up, send it again under its id."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        try:
            seen = market.broker.order(order.client_order_id)
            if seen is not None:
                return seen.update()
            return market.broker.submit(order)
        except (UnknownOutcome, NotSent):
            time.sleep(0.05)
    raise AssertionError("nothing became of the order")


# -- the same as in process ------------------------------------------------------------------------


def test_over_the_wire_it_is_the_exchange_that_it_is_in_process(
    market: Market, tape: Path, tmp_path: Path, order: Any
) -> None:
    from smabot_exchange.exchange import Exchange
    from smabot_exchange.in_process import ExchangeBroker, SharedExchange

    exchange = Exchange(tmp_path / "process.db", str(tape))
    twin = ExchangeBroker(SharedExchange(exchange))
    told: list[list[Any]] = [[], []]

    def submit(name: str, **values: Any) -> None:
        for broker, answers in zip((market.broker, twin), told, strict=True):
            answers.append(broker.submit(order(name, **values)))

    def cancel(name: str) -> None:
        for broker in (market.broker, twin):
            broker.cancel(order(name))

    def look() -> None:
        for broker, answers in zip((market.broker, twin), told, strict=True):
            answers += [broker.orders(OPEN), broker.positions(), broker.account()]

    try:
        submit("a", qty=Decimal(70))
        submit("b", symbol="IBM", type=OrderType.LIMIT, limit_price=Decimal("49.95"))
        submit("c", symbol="NONE")
        submit("d", qty=Decimal(100_000))
        submit("e", side=Side.SELL, symbol="IBM", qty=Decimal("0.5"))
        submit("f", type=OrderType.LIMIT, limit_price=Decimal("99.999"))
        submit("g", type=OrderType.LIMIT, limit_price=Decimal("10"), time_in_force=TimeInForce.GTC)
        look()
        for minute in range(8):
            market.play()
            exchange.advance()
            look()
            if minute == 3:
                cancel("g")
                submit("h", side=Side.SELL, qty=Decimal(40), reduces=True)
                submit("a", qty=Decimal(70))
        cancel("a")
        look()
    finally:
        twin.close()
    for wire, process in zip(*told, strict=True):
        assert _comparable(wire) == _comparable(process)


def _comparable(answer: Any) -> Any:
    """That an order is on its way to the market is told on the wire alone; accounts have own ids."""
    if isinstance(answer, list):
        return [_comparable(each) for each in answer]
    if isinstance(answer, BrokerAccount):
        return replace(answer, account_id="")
    status = getattr(answer, "status", None)
    return replace(answer, status=Status.ACCEPTED) if status is Status.SUBMITTED else answer


# -- faults ----------------------------------------------------------------------------------------

UNANSWERED = [
    ("error", {"when": "before", "status": 504}),
    ("error", {"when": "after", "status": 504}),
    ("error", {"when": "after", "status": 500}),
    ("error", {"when": "after", "status": 502, "html": True}),
    ("reset", {"when": "before"}),
    ("reset", {"when": "after"}),
    ("hang", {"when": "before", "seconds": 2.5}),
    ("hang", {"when": "after", "seconds": 2.5}),
    ("rate_limit", {"reset_seconds": 0.2}),
]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        pytest.param(
            kind,
            fields,
            id="-".join(map(str, [kind, *fields.values()])),
            marks=[pytest.mark.slow] if kind == "hang" else [],
        )
        for kind, fields in UNANSWERED
    ],
)
def test_an_unanswered_order_becomes_one_order(
    market: Market, order: Any, kind: str, fields: dict[str, Any]
) -> None:
    market.fault(kind, method="POST", path="/v2/orders", times=1, **fields)
    sent = order()
    with pytest.raises(UnknownOutcome):
        market.broker.submit(sent)
    assert not settle(market, sent).status.terminal
    if fields.get("seconds"):
        time.sleep(fields["seconds"])  # the late request is carried out, and must be refused
    market.play(2)
    assert market.struck() == 1
    assert [seen.client_order_id for seen in market.everything()] == [sent.client_order_id]
    assert [(held.symbol, held.qty) for held in market.broker.positions()] == [("SPY", 10)]


def test_an_order_that_is_not_shown_for_a_while_is_never_a_second_one(
    market: Market, order: Any
) -> None:
    market.fault("error", when="after", method="POST", path="/v2/orders", times=1)
    market.fault("hidden", seconds=0.5)
    sent = order()
    with pytest.raises(UnknownOutcome):
        market.broker.submit(sent)
    assert market.broker.order(sent.client_order_id) is None
    with pytest.raises(UnknownOutcome, match="has arrived before"):
        market.broker.submit(sent)
    assert not settle(market, sent).status.terminal
    assert len(market.everything()) == 1


def test_a_refusal_because_of_ones_own_first_request_is_none(market: Market, order: Any) -> None:
    """The first sale holds the shares; sent again it finds none left."""
    market.broker.submit(order("entry"))
    market.play()
    sale = order("exit", side=Side.SELL, reduces=True)
    market.fault("reset", when="after", method="POST", path="/v2/orders", times=1)
    with pytest.raises(UnknownOutcome):
        market.broker.submit(sale)
    assert market.broker.submit(sale).status in (Status.SUBMITTED, Status.ACCEPTED)
    market.play()
    assert market.broker.positions() == []


def test_another_order_under_ones_id_is_a_conflict(market: Market, order: Any) -> None:
    market.broker.submit(order())
    with pytest.raises(ConflictError, match="another order under this id"):
        market.broker.submit(order(qty=Decimal(11)))


def test_a_status_that_nobody_knows_loses_no_list(market: Market, order: Any) -> None:
    market.broker.submit(order("a"))
    market.broker.submit(order("b", symbol="IBM"))
    market.fault("unknown_status", client_order_id="a", value="teleported")
    found = {seen.client_order_id: seen for seen in market.broker.orders()}
    assert set(found) == {"a", "b"}
    assert not found["a"].status.terminal


def test_a_cancel_that_sticks_leaves_the_order_open(market: Market, order: Any) -> None:
    limit = {"type": OrderType.LIMIT, "limit_price": Decimal(10)}
    market.broker.submit(order(**limit))
    market.fault("stuck_cancel")
    market.broker.cancel(order(**limit))
    seen = market.broker.order(order().client_order_id)
    assert seen is not None
    assert seen.status is Status.ACCEPTED


@pytest.mark.parametrize("kind", ["error", "reset"])
def test_one_broken_question_is_no_broken_answer(market: Market, order: Any, kind: str) -> None:
    market.broker.submit(order())
    market.fault(kind, method="GET", times=1)
    assert len(market.broker.orders()) == 1
    assert market.struck() == 1


@pytest.mark.parametrize("kind", ["error", "reset"])
def test_a_question_that_fails_is_never_an_empty_answer(
    market: Market, order: Any, kind: str
) -> None:
    market.broker.submit(order())
    market.fault(kind, method="GET", path="/v2/*")
    for question in (market.broker.orders, market.broker.positions, market.broker.account):
        with pytest.raises(BrokerError):
            question()


# -- many --------------------------------------------------------------------------------------------


def test_hundreds_of_orders_of_one_instant_are_all_found(market: Market, order: Any) -> None:
    names = {f"n{number:04}" for number in range(1, 1102)}
    for name in sorted(names):
        limit = {"type": OrderType.LIMIT, "limit_price": Decimal("1.00")}
        market.broker.submit(order(name, qty=Decimal(1), **limit))
    assert {seen.client_order_id for seen in market.everything()} == names
    assert {seen.client_order_id for seen in market.broker.orders()} == names


def test_the_servers_quota_is_kept_without_one_refusal(
    tmp_path: Path, tape: Path, broker_at: Any, order: Any
) -> None:
    from smabot_exchange.exchange import Exchange
    from smabot_exchange.http.auth import ApiKeys
    from smabot_exchange.http.rate_limit import RequestQuota
    from smabot_exchange.http.server import ServerThread, listen
    from smabot_exchange.http.venue import Venue

    exchange = Exchange(tmp_path / "quota.db", str(tape))
    serving = ServerThread(
        Venue(exchange, ApiKeys({"PKSMABOT": "smabot"}), RequestQuota(20, 3600)), listen()
    )
    serving.start()
    try:
        broker = broker_at(serving.url)
        for number in range(20):
            broker.submit(order(f"n{number}", qty=Decimal(1)))
        with pytest.raises(NotSent) as caught:
            broker.submit(order("one-too-many", qty=Decimal(1)))
        assert caught.value.wait > 1
        broker.close()
    finally:
        serving.stop()
        exchange.close()


def test_an_exchange_without_calls_of_its_own_is_taken_for_alpaca(
    tmp_path: Path, tape: Path, broker_at: Any, order: Any
) -> None:
    from smabot_exchange.exchange import Exchange
    from smabot_exchange.http.auth import ApiKeys
    from smabot_exchange.http.server import ServerThread, listen
    from smabot_exchange.http.venue import Venue

    exchange = Exchange(tmp_path / "hidden.db", str(tape))
    serving = ServerThread(
        Venue(exchange, ApiKeys({"PKSMABOT": "smabot"}), clock="paced", admin=False), listen()
    )
    serving.start()
    try:
        broker = broker_at(serving.url)
        assert (broker.name, broker.stepped) == ("alpaca", False)
        assert max(broker.lookups) == 15
        assert broker.submit(order()).status is Status.SUBMITTED
        sale = broker.submit(order("b", side=Side.SELL, symbol="IBM", reduces=True))
        assert (sale.status, sale.cause) == (Status.REJECTED, RefusalCause.POSITION)
        broker.close()
    finally:
        serving.stop()
        exchange.close()
