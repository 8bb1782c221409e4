"""The account, its positions and the calendar, by REST.

https://docs.alpaca.markets/reference/getaccount-1, getallopenpositions, getcalendar-1
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
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
from smabot_alpaca.order_json import UnreadableAnswer, broker_position, parse_decimal, text_field
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
    return block_flags(rest.trading("GET", "/v2/account", urgency=Urgency.ENTRY))


def block_flags(raw: Mapping[str, Any]) -> str:
    """Return the flags of an account that keep it from trading."""
    return ", ".join(name for name in BLOCK_FLAGS if raw.get(name) is True)


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
    return Calendar(sessions)


def _account(raw: Any, number_field: str) -> BrokerAccount:
    amounts = [parse_decimal(raw[name]) for name in ("cash", "equity", "buying_power")]
    if None in amounts:
        raise ValueError("an amount is missing")
    cash, equity, buying_power = (amount for amount in amounts if amount is not None)
    return BrokerAccount(str(raw[number_field]), cash, equity, buying_power, block_flags(raw))


def _session(raw: Any) -> Session:
    def at(clock: str) -> datetime:
        local = datetime.fromisoformat(f"{raw['date']}T{clock}").replace(tzinfo=EXCHANGE_ZONE)
        return local.astimezone(UTC)

    opens = at(raw["open"])
    return Session(opens.astimezone(EXCHANGE_ZONE).date(), opens, at(raw["close"]))
