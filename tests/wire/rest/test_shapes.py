"""Each answer has the fields and types that Alpaca's has: none missing, none more.

The tables are from the Trading API's and Market Data API's references (docs.alpaca.markets/reference)
and from public recordings of the paper API of 2026, after the pattern-day-trader fields left it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from smabot_exchange.matching.account import AccountTerms

DECIMAL = re.compile(r"-?\d+(\.\d+)?")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?-0[45]:00")
DATE = re.compile(r"\d{4}-\d\d-\d\d")
CLOCK = re.compile(r"\d\d:\d\d")
SESSION_CLOCK = re.compile(r"\d{4}")
ACTIVITY = re.compile(r"\d{17}::[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

ORDER = {
    "id": UUID,
    "client_order_id": str,
    "created_at": MOMENT,
    "updated_at": MOMENT,
    "submitted_at": MOMENT,
    "filled_at": (MOMENT, None),
    "expired_at": (MOMENT, None),
    "expires_at": (MOMENT, None),
    "canceled_at": (MOMENT, None),
    "failed_at": None,
    "replaced_at": (MOMENT, None),
    "replaced_by": (UUID, None),
    "replaces": (UUID, None),
    "asset_id": UUID,
    "symbol": str,
    "asset_class": ("us_equity",),
    "notional": (DECIMAL, None),
    "qty": (DECIMAL, None),
    "filled_qty": DECIMAL,
    "filled_avg_price": (DECIMAL, None),
    "order_class": ("", "bracket", "oco", "oto"),
    "order_type": ("market", "limit", "stop", "stop_limit", "trailing_stop"),
    "type": ("market", "limit", "stop", "stop_limit", "trailing_stop"),
    "side": ("buy", "sell"),
    "position_intent": ("buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"),
    "time_in_force": ("day", "gtc", "opg", "cls", "ioc", "fok"),
    "limit_price": (DECIMAL, None),
    "stop_price": (DECIMAL, None),
    "status": (
        "pending_new", "accepted", "held", "new", "partially_filled", "filled", "canceled",
        "expired", "replaced",
    ),
    "extended_hours": bool,
    "legs": (list, None),
    "trail_percent": (DECIMAL, None),
    "trail_price": (DECIMAL, None),
    "hwm": (DECIMAL, None),
    "subtag": None,
    "source": None,
}  # fmt: skip

POSITION = {
    "asset_id": UUID,
    "symbol": str,
    "exchange": str,
    "asset_class": ("us_equity",),
    "asset_marginable": bool,
    "qty": DECIMAL,
    "avg_entry_price": DECIMAL,
    "side": ("long", "short"),
    "market_value": DECIMAL,
    "cost_basis": DECIMAL,
    "unrealized_pl": DECIMAL,
    "unrealized_plpc": DECIMAL,
    "unrealized_intraday_pl": DECIMAL,
    "unrealized_intraday_plpc": DECIMAL,
    "current_price": DECIMAL,
    "lastday_price": DECIMAL,
    "change_today": DECIMAL,
    "qty_available": DECIMAL,
}

ACCOUNT = {
    "id": UUID,
    "admin_configurations": dict,
    "user_configurations": None,
    "account_number": str,
    "status": ("ACTIVE",),
    "crypto_status": ("INACTIVE",),
    "options_approved_level": int,
    "options_trading_level": int,
    "currency": ("USD",),
    "buying_power": DECIMAL,
    "regt_buying_power": DECIMAL,
    "effective_buying_power": DECIMAL,
    "non_marginable_buying_power": DECIMAL,
    "options_buying_power": DECIMAL,
    "cash": DECIMAL,
    "accrued_fees": DECIMAL,
    "portfolio_value": DECIMAL,
    "trading_blocked": bool,
    "transfers_blocked": bool,
    "account_blocked": bool,
    "created_at": MOMENT,
    "trade_suspended_by_user": bool,
    "multiplier": DECIMAL,
    "shorting_enabled": bool,
    "equity": DECIMAL,
    "last_equity": DECIMAL,
    "long_market_value": DECIMAL,
    "short_market_value": DECIMAL,
    "position_market_value": DECIMAL,
    "initial_margin": DECIMAL,
    "maintenance_margin": DECIMAL,
    "last_maintenance_margin": DECIMAL,
    "sma": DECIMAL,
    "balance_asof": DATE,
    "crypto_tier": int,
    "intraday_adjustments": DECIMAL,
    "pending_reg_taf_fees": DECIMAL,
}

CONFIGURATION = {
    "trade_confirm_email": ("all", "none"),
    "suspend_trade": bool,
    "no_shorting": bool,
    "fractional_trading": bool,
    "max_margin_multiplier": DECIMAL,
    "max_options_trading_level": (int, None),
    "ptp_no_exception_entry": bool,
    "disable_overnight_trading": bool,
}

ASSET = {
    "id": UUID,
    "class": ("us_equity",),
    "exchange": str,
    "symbol": str,
    "name": str,
    "status": ("active",),
    "tradable": bool,
    "marginable": bool,
    "maintenance_margin_requirement": int,
    "margin_requirement_long": DECIMAL,
    "margin_requirement_short": DECIMAL,
    "shortable": bool,
    "easy_to_borrow": bool,
    "borrow_status": ("easy_to_borrow",),
    "fractionable": bool,
    "attributes": list,
}

ACTIVITY_FIELDS = {
    "id": ACTIVITY,
    "activity_type": ("FILL",),
    "transaction_time": MOMENT,
    "type": ("fill", "partial_fill"),
    "price": DECIMAL,
    "qty": DECIMAL,
    "side": ("buy", "sell"),
    "symbol": str,
    "leaves_qty": DECIMAL,
    "order_id": UUID,
    "cum_qty": DECIMAL,
    "order_status": ("filled", "partially_filled"),
}

CLOCK_FIELDS = {"timestamp": LOCAL, "is_open": bool, "next_open": LOCAL, "next_close": LOCAL}

DAY = {
    "date": DATE,
    "open": CLOCK,
    "close": CLOCK,
    "session_open": SESSION_CLOCK,
    "session_close": SESSION_CLOCK,
    "settlement_date": DATE,
}

HISTORY = {
    "timestamp": list,
    "equity": list,
    "profit_loss": list,
    "profit_loss_pct": list,
    "base_value": float,
    "base_value_asof": DATE,
    "timeframe": ("1Min", "5Min", "15Min", "1H", "1D"),
}

NUMBER = (int, float)
BAR = {
    "t": MOMENT, "o": NUMBER, "h": NUMBER, "l": NUMBER, "c": NUMBER, "v": NUMBER,
    "n": (int, None), "vw": (int, float, None),
}  # fmt: skip
TRADE = {
    "t": MOMENT, "x": str, "p": NUMBER, "s": NUMBER, "c": list, "i": int, "z": str,
}  # fmt: skip
QUOTE = {
    "t": MOMENT, "ax": str, "ap": NUMBER, "as": NUMBER, "bx": str, "bp": NUMBER, "bs": NUMBER,
    "c": list, "z": str,
}  # fmt: skip


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind: a type, a pattern, a constant, or one of a tuple of these."""
    if isinstance(kind, tuple):
        return any(fits(value, one) for one in kind)
    if isinstance(kind, re.Pattern):
        return isinstance(value, str) and kind.fullmatch(value) is not None
    if kind is UUID:
        return isinstance(value, str) and str(UUID(value)) == value
    if isinstance(kind, type):
        return type(value) is kind
    return bool(value == kind and type(value) is type(kind))


def check(value: Any, table: Mapping[str, Any]) -> None:
    assert sorted(value) == sorted(table)
    wrong = {name: value[name] for name, kind in table.items() if not fits(value[name], kind)}
    assert not wrong


def test_the_check_itself() -> None:
    check({"a": "1.5", "b": None}, {"a": DECIMAL, "b": (int, None)})
    for bad in ({"a": 1.5, "b": None}, {"a": "1.5"}, {"a": "1.5", "b": True}):
        with pytest.raises(AssertionError):
            check(bad, {"a": DECIMAL, "b": (int, None)})


@pytest.fixture
def margin(serve: Any) -> Any:
    """A margin account, at its first open."""
    closes = {"SPY": [100.0 + index for index in range(30)], "IBM": [50.0] * 30}
    return serve(closes, terms=AccountTerms(multiplier=2))


def test_orders_of_every_kind(margin: Any, call_at: Any) -> None:
    call = call_at(margin)
    buy = {"side": "buy", "qty": 2, "symbol": "SPY"}
    kinds: list[dict[str, Any]] = [
        {},
        {"qty": None, "notional": "150.5"},
        {"type": "limit", "limit_price": 90.5, "time_in_force": "gtc"},
        {"type": "stop", "stop_price": "180"},
        {"type": "stop_limit", "stop_price": "180", "limit_price": "181"},
        {"type": "trailing_stop", "trail_percent": "5"},
        {"type": "trailing_stop", "trail_price": "2"},
        {"type": "limit", "limit_price": 90.5, "extended_hours": True},
        {
            "order_class": "bracket",
            "take_profit": {"limit_price": 190},
            "stop_loss": {"stop_price": 80, "limit_price": 79},
        },
    ]
    for kind in kinds:
        order = call.order(**{**buy, **kind})
        check(order, ORDER)
        for leg in order["legs"] or []:
            check(leg, ORDER)
        check(call.get(f"/v2/orders/{order['id']}"), ORDER)
    margin.play(3)
    everything = call.get("/v2/orders", status="all", nested="true")
    assert len(everything) == len(kinds)
    for order in everything:
        check(order, ORDER)


def test_a_long_and_a_short_position(margin: Any, call_at: Any) -> None:
    call = call_at(margin)
    call.buy(3)
    call.sell(2, "IBM")
    margin.play(2)
    positions = call.get("/v2/positions")
    assert [position["side"] for position in positions] == ["short", "long"]
    for position in positions:
        check(position, POSITION)
        assert call.get(f"/v2/positions/{position['symbol']}") == position
        assert call.get(f"/v2/positions/{position['asset_id']}") == position


def test_the_account_and_its_configuration(margin: Any, call_at: Any) -> None:
    call = call_at(margin)
    check(call.get("/v2/account"), ACCOUNT)
    check(call.get("/v2/account/configurations"), CONFIGURATION)


def test_activities(serve: Any, call_at: Any) -> None:
    place = serve(volume=20)
    call = call_at(place)
    call.buy(3)
    place.play(4)
    fills = call.get("/v2/account/activities")
    assert [fill["type"] for fill in fills] == ["fill", "partial_fill"]
    for fill in fills:
        check(fill, ACTIVITY_FIELDS)


def test_the_portfolio_history(margin: Any, call_at: Any) -> None:
    call = call_at(margin)
    call.buy(3)
    margin.play(6)
    history = call.get("/v2/account/portfolio/history", timeframe="1Min")
    check(history, HISTORY)
    columns = [history[name] for name in ("equity", "profit_loss", "profit_loss_pct")]
    for column in columns:
        assert len(column) == len(history["timestamp"]) == 6
        assert all(type(value) is float for value in column)
    assert all(type(value) is int for value in history["timestamp"])


def test_assets_clock_and_calendar(call: Any) -> None:
    for asset in call.get("/v2/assets"):
        check(asset, ASSET)
        assert call.get(f"/v2/assets/{asset['id']}") == asset
    check(call.get("/v2/clock"), CLOCK_FIELDS)
    days = call.get("/v2/calendar")
    assert len(days) > 1
    for day in days:
        check(day, DAY)


def test_market_data(place: Any, call: Any) -> None:
    place.play(3)
    tables = {"bars": BAR, "trades": TRADE, "quotes": QUOTE}
    for kind, table in tables.items():
        more = {"timeframe": "1Min"} if kind == "bars" else {}
        many = call.get(f"/v2/stocks/{kind}", symbols="SPY,IBM", limit=4, **more)
        assert sorted(many) == sorted([kind, "next_page_token"])
        assert fits(many["next_page_token"], str)
        one = call.get(f"/v2/stocks/SPY/{kind}", **more)
        assert sorted(one) == sorted([kind, "next_page_token", "symbol"])
        latest = call.get(f"/v2/stocks/{kind}/latest", symbols="SPY,IBM")
        assert sorted(latest) == [kind]
        single = call.get(f"/v2/stocks/SPY/{kind}/latest")
        assert sorted(single) == sorted([kind[:-1], "symbol"])
        items = [*many[kind]["IBM"], *one[kind], *latest[kind].values(), single[kind[:-1]]]
        assert len(items) == 3 + 3 + 2 + 1
        for item in items:
            check(item, table)


def test_snapshots(place: Any, call: Any) -> None:
    place.play(3)
    several = call.get("/v2/stocks/snapshots", symbols="SPY,IBM")
    single = call.get("/v2/stocks/SPY/snapshot")
    assert single == {"symbol": "SPY", **several["SPY"]}
    for snapshot in several.values():
        check(snapshot.pop("latestTrade"), TRADE)
        check(snapshot.pop("latestQuote"), QUOTE)
        check(snapshot.pop("minuteBar"), BAR)
        check(snapshot.pop("dailyBar"), BAR)
        assert snapshot == {"prevDailyBar": None}


def test_times_are_whole_or_have_a_fraction(place: Any, call: Any, minute: Any) -> None:
    place.play(1)
    assert call.get("/v2/stocks/SPY/bars/latest")["bar"]["t"] == minute(0)
    trade = call.get("/v2/stocks/SPY/trades/latest")["trade"]
    assert trade["t"] == minute(0).replace(":00Z", ":59.999999Z")
