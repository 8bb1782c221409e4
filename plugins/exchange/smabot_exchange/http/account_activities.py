"""The account's activities in pages: fills, shares that corporate actions took and gave, and moved cash.

https://docs.alpaca.markets/reference/getaccountactivities-2. A split is two entries there, too: the old shares
go, the new ones come.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

from smabot.provider import EXCHANGE_ZONE
from smabot_exchange.exchange import Exchange
from smabot_exchange.http.answers import bad_parameter
from smabot_exchange.http.query import Query
from smabot_exchange.json_forms import action_json, trading_json

LONGEST_PAGE = 100
FILLS = "FILL"
GROUPS = {"TRANS": ("CSD", "CSW")}
"""Codes that stand for several."""
_CATEGORIES = ("", "trade_activity", "non_trade_activity")
_MOMENT = timedelta(seconds=1)
_INSTANT = timedelta(microseconds=1)
_BEFORE_FILLS = -(10**9)
_CASH = _BEFORE_FILLS // 2

Place = tuple[datetime, int]
"""Where an activity stands in the list: its time, and among those of that time corporate actions, moved cash, then
fills by their numbers."""


def activities(exchange: Exchange, query: Query, kind: str) -> list[dict[str, Any]]:
    """Return a page of activities; ``kind`` is the path's, empty for all.

    ``page_token`` is the id of the last one of the page before. Raises RequestRefused.
    """
    named = {each.upper() for each in query.names("activity_types")}
    category = query.choice("category", _CATEGORIES, "")
    if category and named:
        raise bad_parameter("only one of activity_types or category is allowed")

    def is_wanted(code: str) -> bool:
        if category and (code == FILLS) != (category == "trade_activity"):
            return False
        return all(not asked or _is_among(code, asked) for asked in (named, path_kind))

    path_kind = {kind.upper()} if kind else set()
    after, until = _span(query)
    limit = query.whole("page_size", LONGEST_PAGE, LONGEST_PAGE)
    oldest_first = query.choice("direction", ("asc", "desc"), "desc") == "asc"
    token = query.text("page_token")
    last = None if token is None else _place(exchange, token)
    found = [
        (place, shape)
        for place, shape in _entries(exchange)
        if is_wanted(shape["activity_type"])
        and (after is None or place[0] > after)
        and (until is None or place[0] < until)
        and (last is None or (place > last if oldest_first else place < last))
    ]
    if is_wanted(FILLS):
        number = None
        if last is not None and last[1] > 0:
            number = last[1]
        elif last is not None and oldest_first:
            after = max(after or last[0], last[0] + _INSTANT)
        elif last is not None:
            until = min(until or last[0], last[0])
        fills = exchange.activities(limit, number, oldest_first, after, until)
        found += [
            ((fill.time, fill.number), trading_json.activity(fill, exchange.order(fill.order_id)))
            for fill in fills
        ]
    found.sort(key=lambda each: each[0], reverse=not oldest_first)
    return [shape for _, shape in found[:limit]]


def _span(query: Query) -> tuple[datetime | None, datetime | None]:
    day = query.day("date")
    if day is None:
        return query.time("after"), query.time("until")
    midnight = datetime.combine(day, time(), EXCHANGE_ZONE).astimezone(UTC)
    following = datetime.combine(day + timedelta(1), time(), EXCHANGE_ZONE).astimezone(UTC)
    return midnight - _INSTANT, following


def _entries(exchange: Exchange) -> Iterator[tuple[Place, dict[str, Any]]]:
    number = _BEFORE_FILLS
    for listed in exchange.followed_actions():
        assert listed.followed_at is not None
        for shape in action_json.activities(listed, listed.followed_at):
            yield (listed.followed_at, number), shape
            number += 1
    for entry in exchange.cash_activities():
        shape = trading_json.cash_activity(entry, exchange.account_id)
        yield (entry.time, _CASH + entry.number), shape


def _is_among(code: str, asked: Collection[str]) -> bool:
    return any(code == each or code in GROUPS.get(each, ()) for each in asked)


def _place(exchange: Exchange, token: str) -> Place:
    """Return the place of the activity that an id names.

    A fill's id begins with its time, which finds it quickly. Raises RequestRefused when there is none.
    """
    try:
        local = datetime.strptime(token[:14], "%Y%m%d%H%M%S").replace(tzinfo=EXCHANGE_ZONE)
        around = local.astimezone(UTC)
        first, last = around - _MOMENT, around + _MOMENT
    except (ValueError, OverflowError):
        raise bad_parameter("invalid page_token") from None
    for fill in exchange.activities(None, None, True, first, last):
        if trading_json.activity_id(fill) == token:
            return fill.time, fill.number
    for place, shape in _entries(exchange):
        if shape["id"] == token:
            return place
    raise bad_parameter("invalid page_token")
