"""Alpaca's answers gone wrong: each reader says so, or returns what was written."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

pytest.importorskip("smabot_alpaca")

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from smabot.domain.calendar import EXCHANGE_ZONE
from smabot.domain.corporate_actions import ActionKind
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import Order
from smabot.errors import BrokerError, ConfigError, ConflictError, PartlyUnreadable
from smabot.settings.model import Config
from smabot_alpaca.broker import AlpacaBroker
from smabot_alpaca.connection import connect
from smabot_alpaca.order_json import UnreadableAnswer, broker_order, broker_position
from smabot_alpaca.rest.assets import check_symbols
from smabot_alpaca.rest.latest_prices import latest_prices
from smabot_alpaca.settings import AlpacaSettings

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
NAME = "smabot-sma-SPY-20260302T1700Z-1"
ORDER = {
    "id": "61e69015-8549-4bfd-b9c3-01e75843f47d", "client_order_id": NAME, "symbol": "SPY",
    "created_at": "2026-03-02T17:00:00.123456789Z", "submitted_at": "2026-03-02T17:00:00.123456789Z",
    "updated_at": "2026-03-02T17:00:01Z", "filled_at": "2026-03-02T17:00:01Z", "notional": None,
    "qty": "10", "filled_qty": "4", "filled_avg_price": "480.25", "order_class": "", "type": "limit",
    "side": "buy", "time_in_force": "day", "limit_price": "480.5", "status": "partially_filled",
}  # fmt: skip
SIDES = {
    "buy": Side.BUY, "buy_minus": Side.BUY, "sell": Side.SELL, "sell_plus": Side.SELL,
    "sell_short": Side.SELL, "sell_short_exempt": Side.SELL,
}  # fmt: skip
READ = [name for name in ORDER if name != "type"]
POSITION = {
    "symbol": "SPY", "qty": "-10", "side": "short", "avg_entry_price": "480.25",
    "qty_available": "-6", "current_price": "481.5", "asset_class": "us_equity",
}  # fmt: skip
ACCOUNT = {
    "id": "0b6b1e4c", "account_number": "PA1", "status": "ACTIVE", "cash": "98000.125", "equity": "100000.25",
    "buying_power": "392000.5", "account_blocked": False, "trading_blocked": False,
    "trade_suspended_by_user": False,
}  # fmt: skip
DAYS = [
    {"date": "2026-03-02", "open": "09:30", "close": "16:00", "session_open": "0400"},
    {"date": "2026-03-03", "open": "09:30", "close": "13:00", "session_open": "0400"},
]
ASSET = {"symbol": "SPY", "tradable": True, "status": "active"}
ACTIONS = {
    "corporate_actions": {
        "forward_splits": [
            {"id": "1", "symbol": "SPY", "new_rate": 3, "old_rate": 2, "ex_date": "2026-03-03", "process_date": "2026-03-03"}
        ],
        "stock_dividends": [{"id": "2", "symbol": "SPY", "rate": 0.05, "ex_date": "2026-03-04", "process_date": "2026-03-09"}],
        "name_changes": [{"id": "3", "old_symbol": "SPY", "new_symbol": "SPX", "process_date": "2026-03-05"}],
        "spin_offs": [{"id": "4", "source_symbol": "SPY", "new_symbol": "X", "ex_date": "2026-03-06"}],
    },
    "next_page_token": None,
}  # fmt: skip
TRADES = {"trades": {"SPY": {"p": 480.25, "t": "2026-03-02T16:59:59.5Z", "s": 100}}}

Explore = Callable[..., None]


class Wire(HTTPAdapter):
    """Answers every request with the same bytes; nothing leaves the machine."""

    status, content = 200, b""

    @classmethod
    def send(cls, request: PreparedRequest, **_: Any) -> Response:
        response = Response()
        response.request, response.status_code, response._content = request, cls.status, cls.content
        if request.path_url == "/_exchange":
            response.status_code, response._content = 404, b'{"message": "not found"}'
        response.headers["Content-Type"] = "application/json"
        return response


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(HTTPAdapter, "send", lambda _, request, **options: Wire.send(request))
    monkeypatch.setattr("smabot_alpaca.rest.client.REPEAT_AFTER", 0)
    broker = AlpacaBroker(
        connect(Config(broker="alpaca", url="http://127.0.0.1:9"), AlpacaSettings(), {})
    )
    yield broker
    broker.close()


def as_json(document: Any) -> bytes:
    return json.dumps(document, default=repr).encode()


def same(raw: Any, document: dict[str, Any], names: list[str]) -> bool:
    """Whether the fields that are read are as they should be, whatever else was changed."""
    return all(
        type(raw.get(name)) is type(document[name]) and raw.get(name) == document[name]
        for name in names
    )


def test_orders(explore: Explore, odd: Any, written: Any, one_line: Any) -> None:
    def check(data: Any) -> None:
        raw = data.draw(odd.mutated(ORDER))
        try:
            order = broker_order(raw)
        except UnreadableAnswer as error:
            assert one_line(error)
            assert not same(raw, ORDER, READ)
            return
        legs = raw.get("order_class") == "mleg"
        for field in ("qty", "filled_qty"):
            assert getattr(order, field) == (written(raw.get(field)) or 0)
        assert order.limit_price == written(raw.get("limit_price"))
        assert order.filled_avg_price == (
            written(raw.get("filled_avg_price")) if order.filled_qty else None
        )
        assert legs or order.side is SIDES[raw["side"]]
        assert legs or order.symbol == raw["symbol"]
        assert (order.client_order_id, order.broker_order_id) == (raw["client_order_id"], raw["id"])
        assert legs or raw["qty"] is not None or written(raw["notional"]) is not None
        assert 0 <= order.filled_qty <= (order.qty or order.filled_qty)
        if order.status is Status.FILLED:
            assert order.filled_qty == (order.qty or order.filled_qty) > 0
        for field in ("updated_at", "filled_at", "submitted_at"):
            told = (
                raw.get(field) if field != "submitted_at" else raw.get(field) or raw["created_at"]
            )
            if told is None:
                assert getattr(order, field) is None
            else:
                assert getattr(order, field) == datetime.fromisoformat(told)
                assert getattr(order, field).tzinfo is UTC

    explore(check)


def test_positions(explore: Explore, odd: Any, written: Any, one_line: Any) -> None:
    def check(data: Any) -> None:
        raw = data.draw(odd.mutated(POSITION))
        try:
            position = broker_position(raw)
        except UnreadableAnswer as error:
            assert one_line(error)
            assert not same(raw, POSITION, list(POSITION)[:-1])
            return
        sign = {"long": 1, "short": -1}[raw["side"]]
        assert position.symbol == raw["symbol"]
        assert abs(position.qty) == abs(written(raw["qty"]))
        assert position.qty * sign >= 0
        assert sign < 0 or written(raw["qty"]) >= 0
        assert position.avg_price == written(raw["avg_entry_price"])
        assert position.price == written(raw.get("current_price"))

    explore(check)


def test_bodies(explore: Explore, odd: Any, one_line: Any, broker: AlpacaBroker) -> None:
    """Whatever bytes come with whatever status: a BrokerError, or an answer of the right type."""
    order = Order(
        NAME, "sma", "SPY", Side.BUY, Decimal(10), OrderType.LIMIT, Decimal("480.5"), TimeInForce.DAY, NOON, 1,
        False, NOON,
    )  # fmt: skip
    refusal = {
        "code": 40310000,
        "message": "insufficient qty available",
        "available": "3",
        "symbol": "SPY",
    }
    calls: dict[str, tuple[Any, Callable[[], Any]]] = {
        "account": (ACCOUNT, broker.account),
        "positions": ([POSITION, {**POSITION, "symbol": "KO"}], broker.positions),
        "orders": ([ORDER, {**ORDER, "id": "2", "client_order_id": "b"}], lambda: broker.orders(NOON)),
        "order": (ORDER, lambda: broker.order(NAME)),
        "submit": (ORDER, lambda: broker.submit(order)),
        "refused": (refusal, lambda: broker.submit(order)),
        "blocked": ({**ACCOUNT, "message": "account is restricted"}, lambda: broker.submit(order)),
        "cancel": (refusal, lambda: broker.cancel(order)),
        "calendar": (DAYS, broker.calendar),
        "assets": ([ASSET], lambda: check_symbols(broker._rest, ["SPY"], "here", all_of_them=False)),
        "asset": (ASSET, lambda: check_symbols(broker._rest, ["SPY"], "here", all_of_them=False)),
        "actions": (ACTIONS, lambda: broker.corporate_actions({"SPY"}, NOON.date(), NOON.date())),
        "prices": (TRADES, lambda: latest_prices(broker._rest, "iex", ["SPY"], NOON)),
    }  # fmt: skip

    def check(data: Any) -> None:
        document, call = calls[data.draw(odd.choice(sorted(calls)))]
        body = as_json(data.draw(odd.mutated(document)))
        Wire.content = data.draw(odd.damaged(body))
        Wire.status = data.draw(odd.choice([200, 200, 200, 200, 403, 404, 422, 500]))
        try:
            call()
        except (BrokerError, ConfigError, ConflictError) as error:
            assert one_line(error)

    explore(check)


def test_too_deep_a_body_is_an_error_like_any_other(broker: AlpacaBroker) -> None:
    for status in (200, 403, 500):
        Wire.status, Wire.content = status, b"[" * 100_000
        with pytest.raises(BrokerError):
            broker.positions()


def test_a_refusal_of_several_lines_is_told_in_one(broker: AlpacaBroker, one_line: Any) -> None:
    Wire.status, Wire.content = 422, as_json({"message": "no\nand\tno", "why": "a\nb"})
    with pytest.raises(BrokerError, match="422 no and no") as caught:
        broker.positions()
    assert one_line(caught.value)


def test_accounts(explore: Explore, odd: Any, written: Any, broker: AlpacaBroker) -> None:
    def check(data: Any) -> None:
        raw = data.draw(odd.mutated(ACCOUNT))
        Wire.status, Wire.content = 200, as_json(raw)
        raw = json.loads(Wire.content)
        try:
            account = broker.account()
        except BrokerError:
            assert not same(
                raw, ACCOUNT, [name for name in ACCOUNT if name not in ("id", "status")]
            )
            return
        assert account.account_id == raw["account_number"]
        assert isinstance(account.account_id, str)
        for field in ("cash", "equity", "buying_power"):
            assert getattr(account, field) == written(raw[field])
        flags = [
            raw.get(name)
            for name in ("account_blocked", "trading_blocked", "trade_suspended_by_user")
        ]
        assert bool(account.blocked) == (True in flags)
        assert all(flag in (True, False, None) and flag != "" for flag in flags)

    explore(check)


def test_no_digit_of_a_number_is_lost(broker: AlpacaBroker) -> None:
    """JSON's numbers may be longer than a double."""
    Wire.status = 200
    Wire.content = b"""[{"symbol": "BTC", "qty": 0.1234567890123456789, "side": "long",
        "avg_entry_price": 12345678901234567.25, "qty_available": "0.1234567890123456789"}]"""
    (position,) = broker.positions()
    assert position.qty == position.available == Decimal("0.1234567890123456789")
    assert position.avg_price == Decimal("12345678901234567.25")


def test_calendars(explore: Explore, odd: Any, broker: AlpacaBroker) -> None:
    def check(data: Any) -> None:
        raw = data.draw(odd.mutated(DAYS))
        Wire.status, Wire.content = 200, as_json(raw)
        try:
            sessions = broker.calendar().sessions
        except BrokerError:
            assert as_json(raw) != as_json(DAYS)
            return
        finally:
            broker._connection.calendar = type(broker._connection.calendar)()
        assert len(sessions) == len(raw)
        for session, day in zip(sessions, sorted(raw, key=lambda d: d["date"]), strict=True):
            assert session.open < session.close
            local = session.open.astimezone(EXCHANGE_ZONE), session.close.astimezone(EXCHANGE_ZONE)
            assert [f"{time:%H:%M}" for time in local] == [
                str(day[name])[:5] for name in ("open", "close")
            ]
            assert session.date.isoformat() == day["date"] == local[0].date().isoformat()

    explore(check)


def test_assets(explore: Explore, odd: Any, broker: AlpacaBroker) -> None:
    def check(data: Any) -> None:
        raw = data.draw(odd.mutated([ASSET]))
        Wire.status, Wire.content = 200, as_json(raw)
        try:
            assert check_symbols(broker._rest, ["SPY"], "here", all_of_them=False) == ("SPY",)
        except (BrokerError, ConfigError):
            assert as_json(raw) != as_json([ASSET])
            return
        last = [asset for asset in raw if asset["symbol"] == "SPY"][-1]
        assert (last["tradable"], last["status"]) == (True, "active")
        assert last["tradable"] is True

    explore(check)


def test_latest_prices(explore: Explore, odd: Any, written: Any, broker: AlpacaBroker) -> None:
    def check(data: Any) -> None:
        raw = data.draw(odd.mutated(TRADES))
        Wire.status, Wire.content = 200, as_json(raw)
        try:
            marks = latest_prices(broker._rest, "iex", ["SPY"], NOON)
        except BrokerError as error:
            assert not isinstance(error, PartlyUnreadable)
            assert as_json(raw) != as_json(TRADES)
            return
        for mark in marks:
            assert mark.price == written(raw["trades"][mark.symbol]["p"]) > 0

    explore(check)


def test_corporate_actions(
    explore: Explore, odd: Any, written: Any, one_line: Any, broker: AlpacaBroker
) -> None:
    """An entry gone wrong is left out, the others are read; a page gone wrong is an error."""

    def check(data: Any) -> None:
        Wire.status, Wire.content = 200, as_json(data.draw(odd.mutated(ACTIONS)))
        raw = json.loads(Wire.content)
        try:
            found = broker.corporate_actions({"SPY"}, date(2026, 3, 1), date(2026, 3, 31))
        except BrokerError as error:
            assert one_line(error)
            return
        lists = raw["corporate_actions"] or {}
        for action in found:
            assert action.symbol == "SPY"
            assert date(2026, 3, 1) <= action.ex_date <= date(2026, 3, 31)
            assert action.new_shares > 0 < action.old_shares
            entries = [
                entry
                for entries in lists.values()
                for entry in entries or ()
                if isinstance(entry, dict) and entry.get("id") == action.action_id
            ]
            assert entries
            if action.kind is ActionKind.SPLIT and "old_rate" in entries[0]:
                assert action.old_shares == written(entries[0]["old_rate"])

    explore(check)
