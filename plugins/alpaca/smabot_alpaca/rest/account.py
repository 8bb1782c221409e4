"""The account, its positions and the calendar, by REST.

https://docs.alpaca.markets/reference/getaccount-1, getallopenpositions, getcalendar-1
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any

from smabot.provider import (
    EXCHANGE_ZONE,
    BrokerAccount,
    BrokerError,
    BrokerPosition,
    Calendar,
    PartlyUnreadable,
    Session,
)
from smabot_alpaca.order_json import (
    UnreadableAnswer,
    broker_position,
    parse_decimal,
    required_text,
    text_field,
)
from smabot_alpaca.rest.answers import as_list, describe_unreadable, read_answer
from smabot_alpaca.rest.client import RestClient
from smabot_alpaca.rest.rate_limit import Urgency

BLOCK_FLAGS = ("account_blocked", "trading_blocked", "trade_suspended_by_user")


def read_account(rest: RestClient, number_field: str) -> BrokerAccount:
    """Return the account, called by what ``number_field`` holds. Raises BrokerError."""
    raw = rest.trading("GET", "/v2/account")
    return read_answer("the account", lambda: _account(raw, number_field))


def read_block_flags(rest: RestClient) -> str:
    """Return the flags that keep the account from trading now, or an empty string."""
    raw = rest.trading("GET", "/v2/account", urgency=Urgency.ENTRY)
    return read_answer("the account", lambda: block_flags(raw))


def block_flags(raw: Mapping[str, Any]) -> str:
    """Return the flags of an account that keep it from trading. Raises ValueError."""
    flags = {name: raw.get(name) for name in BLOCK_FLAGS}
    if odd := [name for name, on in flags.items() if not isinstance(on, bool | None)]:
        raise ValueError(f"{odd[0]} is neither true nor false")
    return ", ".join(name for name, on in flags.items() if on)


def read_positions(rest: RestClient) -> list[BrokerPosition]:
    """Return what the account holds. Raises PartlyUnreadable where some can't be read."""
    found: list[BrokerPosition] = []
    unreadable: dict[str, UnreadableAnswer] = {}
    for raw in as_list(rest.trading("GET", "/v2/positions")):
        try:
            found.append(broker_position(raw))
        except UnreadableAnswer as error:
            unreadable[text_field(raw, "symbol")] = error
    if unreadable:
        raise PartlyUnreadable(describe_unreadable("position", unreadable), found, list(unreadable))
    return found


def read_calendar(rest: RestClient, year: int) -> Calendar:
    """Return the sessions from the first of the year before ``year`` to the last of the year after."""
    params = {"start": f"{year - 1}-01-01", "end": f"{year + 1}-12-31"}
    raws = as_list(rest.trading("GET", "/v2/calendar", params))
    sessions = read_answer("the calendar", lambda: [_session(raw) for raw in raws])
    if not sessions:
        raise BrokerError("GET /v2/calendar: the broker knows no session")
    if len({session.date for session in sessions}) < len(sessions):
        raise UnreadableAnswer("the calendar can't be read: it has a date twice")
    return Calendar(sessions)


def _account(raw: Any, number_field: str) -> BrokerAccount:
    amounts = [parse_decimal(raw[name]) for name in ("cash", "equity", "buying_power")]
    if None in amounts:
        raise ValueError("an amount is missing")
    cash, equity, buying_power = (amount for amount in amounts if amount is not None)
    return BrokerAccount(
        required_text(raw, number_field), cash, equity, buying_power, block_flags(raw)
    )


def _session(raw: Any) -> Session:
    return _session_of(raw["date"], raw["open"], raw["close"])


@lru_cache(maxsize=1024)
def _session_of(shown: str, opens_at: str, closes_at: str) -> Session:
    day = date.fromisoformat(shown)
    if day.isoformat() != shown:
        raise ValueError(f"{shown!r} is not a date like 2026-03-02")

    def at(clock: str) -> datetime:
        local = time.fromisoformat(clock)
        if f"{local:%H:%M}" != clock:
            raise ValueError(f"{clock!r} is not New York's time of day")
        return datetime.combine(day, local, EXCHANGE_ZONE).astimezone(UTC)

    opens, closes = at(opens_at), at(closes_at)
    if opens >= closes:
        raise ValueError(f"the session of {day} closes before it opens")
    return Session(day, opens, closes)
