"""The pages of an answer of the data API: each names the next one by a token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from smabot.provider import BrokerError
from smabot_alpaca.order_json import UnreadableAnswer

Ask = Callable[[Mapping[str, Any]], Any]
"""Asks for a page, by the query's parameters."""


def data_pages(ask: Ask, params: Mapping[str, Any], what: str) -> Iterator[Any]:
    """Yield the pages, as they came. ``what`` they hold, for the error.

    Raises BrokerError, also where a page names one that was there before.
    """
    query: Mapping[str, Any] = params
    seen: set[str] = set()
    while True:
        page = ask(query)
        following = _following(page, what)
        yield page
        if not following:
            return
        if following in seen:
            raise BrokerError(f"{what}: the same page comes again and again")
        seen.add(following)
        query = {**params, "page_token": following}


def _following(page: Any, what: str) -> str | None:
    try:
        following = page["next_page_token"]
        if following is None or isinstance(following, str):
            return following
        raise TypeError("the token of the next page is no text")
    except (KeyError, TypeError) as error:
        raise UnreadableAnswer(f"{what} can't be read: {error}") from error
