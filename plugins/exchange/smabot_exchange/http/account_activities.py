"""Pages of the account's activities: fills, and cash that moved without a trade.

https://docs.alpaca.markets/reference/getaccountactivities-2
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from smabot.provider import EXCHANGE_ZONE
from smabot_exchange.exchange import Exchange
from smabot_exchange.http.answers import bad_parameter
from smabot_exchange.http.query import Query
from smabot_exchange.json_forms import trading_json
from smabot_exchange.ledger.changes import CashActivityEntry
from smabot_exchange.matching.orders import Execution

LONGEST_PAGE = 100
FILL = "FILL"
GROUPS = {"TRANS": ("CSD", "CSW")}
"""Codes that stand for several."""
_MOMENT = timedelta(seconds=1)
Activity = Execution | CashActivityEntry


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which activities, in which order, and which part of them."""

    fills: bool
    cash: bool
    kinds: frozenset[str]
    """Codes of moved cash; none: all."""
    oldest_first: bool
    after: datetime | None
    until: datetime | None
    size: int
    token: str | None


def activity_page(exchange: Exchange, query: Query, path_kind: str) -> list[dict[str, Any]]:
    """Return a page of activities; ``page_token`` is the id of the last one of the page before.

    ``path_kind`` is the code in the path, or empty. Raises RequestRefused.
    """
    wanted = _wanted(query, path_kind)
    last = None if wanted.token is None else _named(exchange, wanted.token)
    found: list[Activity] = []
    if wanted.cash:
        found += _cash(exchange, wanted, last)
    if wanted.fills:
        found += _fills(exchange, wanted, last)
    found.sort(key=_place, reverse=not wanted.oldest_first)
    return [
        trading_json.activity(each, exchange.order(each.order_id))
        if isinstance(each, Execution)
        else trading_json.cash_activity(each, exchange.account_id)
        for each in found[: wanted.size]
    ]


def _wanted(query: Query, path_kind: str) -> _Wanted:
    kinds = {kind.upper() for kind in query.names("activity_types")}
    category = query.choice("category", ("trade_activity", "non_trade_activity", ""), "")
    if category and kinds:
        raise bad_parameter("only one of activity_types or category is allowed")
    if path_kind:
        kinds = {path_kind.upper()} & kinds if kinds else {path_kind.upper()}
        nothing = not kinds
    else:
        nothing = False
    fills = (not kinds or FILL in kinds) and category != "non_trade_activity" and not nothing
    codes = {code for kind in kinds - {FILL} for code in GROUPS.get(kind, (kind,))}
    cash = (not kinds or bool(codes)) and category != "trade_activity" and not nothing
    after, until = query.time("after"), query.time("until")
    day = query.day("date")
    if day is not None:
        midnight = datetime.combine(day, time(), EXCHANGE_ZONE)
        after = midnight.astimezone(UTC) - timedelta(microseconds=1)
        until = datetime.combine(day + timedelta(1), time(), EXCHANGE_ZONE).astimezone(UTC)
    return _Wanted(
        fills, cash, frozenset(codes), query.choice("direction", ("asc", "desc"), "desc") == "asc",
        after, until, query.whole("page_size", LONGEST_PAGE, LONGEST_PAGE), query.text("page_token"),
    )  # fmt: skip


def _cash(exchange: Exchange, wanted: _Wanted, last: Activity | None) -> list[CashActivityEntry]:
    return [
        each
        for each in exchange.cash_activities()
        if (not wanted.kinds or each.note.kind in wanted.kinds)
        and (wanted.after is None or each.time > wanted.after)
        and (wanted.until is None or each.time < wanted.until)
        and (last is None or _is_beyond(each, last, wanted))
    ]


def _fills(exchange: Exchange, wanted: _Wanted, last: Activity | None) -> Sequence[Execution]:
    after, until, number = wanted.after, wanted.until, None
    if isinstance(last, Execution):
        number = last.number
    elif last is not None and wanted.oldest_first:
        before = last.time - _MOMENT
        after = before if after is None else max(after, before)
    elif last is not None:
        until = last.time if until is None else min(until, last.time)
    found = exchange.activities(wanted.size, number, wanted.oldest_first, after, until)
    return [each for each in found if last is None or _is_beyond(each, last, wanted)]


def _is_beyond(each: Activity, last: Activity, wanted: _Wanted) -> bool:
    here, there = _place(each), _place(last)
    return here > there if wanted.oldest_first else here < there


def _place(each: Activity) -> tuple[datetime, int, int]:
    """Return an activity's place: by time, moved cash before fills, then in their order."""
    return each.time, int(isinstance(each, Execution)), each.number


def _named(exchange: Exchange, token: str) -> Activity:
    """Return the activity that an id names. Raises RequestRefused when there is none.

    The id's first part is its time, which finds it quickly.
    """
    try:
        local = datetime.strptime(token[:14], "%Y%m%d%H%M%S").replace(tzinfo=EXCHANGE_ZONE)
        around = local.astimezone(UTC)
        first, last = around - _MOMENT, around + _MOMENT
    except (ValueError, OverflowError):
        raise bad_parameter("invalid page_token") from None
    for fill in exchange.activities(None, None, True, first, last):
        if trading_json.activity_id(fill) == token:
            return fill
    for entry in exchange.cash_activities():
        if trading_json.cash_activity_id(entry, exchange.account_id) == token:
            return entry
    raise bad_parameter("invalid page_token")
