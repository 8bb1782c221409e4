"""Order ids as operators read and type them: without the bot's usual name, and in parts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from smabot.errors import UsageError, suggest

if TYPE_CHECKING:
    from smabot.domain.records import Order

IN_TEXT = re.compile(r"\bsmabot-(?=\S+-\d{8}T\d{4}Z-\d)")
PREFIX = "smabot-"
"""What ids begin with where the setting `bot` has its default."""

RECENT = 200
"""The newest orders, to suggest an id from."""

MOST_MATCHES = 50
NAMED = 4


def short_id(client_order_id: str) -> str:
    """Return an order's id as screens show it: ``sma-AAPL-20260302T1553Z-1``.

    An order of no strategy keeps its whole id: a text that begins with a dash would be an option.
    """
    short = client_order_id.removeprefix(PREFIX)
    return client_order_id if short.startswith("-") else short


def short_ids_in(text: str) -> str:
    """Return a text with the ids in it as screens show them."""
    return IN_TEXT.sub("", text)


def find_order(rows: Any, text: str) -> Order:
    """Return the order that a text means: its id, or its beginning or end where one order has it.

    Upper and lower case are the same. The bot's name, the strategy and the symbol may be left out from the
    left, and what follows from the right: ``AAPL-20260302T1553Z-1``, ``20260302T1553Z`` or
    ``sma-AAPL-20260302``. Costs by the number of symbols, not of orders.

    Raises UsageError, which names candidates, where no order or more than one has it.
    """
    from smabot.domain.records import Order

    text = text.strip()
    for exact in (text, PREFIX + text):
        if text and (order := rows.row(Order, exact)) is not None:
            found: Order = order
            return found
    newest = rows.rows(Order, newest_by="created_at", limit=RECENT)
    beginnings = {text, *_beginnings(text, _heads(rows, newest))} if text else set()
    matches = _beginning_with(rows, beginnings)
    whole = [order for name, order in matches.items() if name in beginnings]
    if len(whole) == 1 or len(matches) == 1:
        return (whole or list(matches.values()))[0]
    if matches:
        begins = tuple(beginnings)
        recent = [order for order in newest if order.client_order_id.startswith(begins)]
        latest_first = sorted(recent or matches.values(), key=lambda o: o.created_at, reverse=True)
        names = ", ".join(short_id(each.client_order_id) for each in latest_first[:NAMED])
        more = ", …" if len(matches) > NAMED else ""
        raise UsageError(
            f"more than one order has '{text}' in its id: give more of it: {names}{more}"
        )
    hint = suggest(short_id(text), (short_id(each.client_order_id) for each in newest))
    raise UsageError(f"there is no order '{text}'{hint}: `smabot orders` lists them")


def _heads(rows: Any, newest: Iterable[Order]) -> set[str]:
    """Return what ids begin with, up to the minute: bot, strategy and symbol of each holding."""
    from smabot.domain.records import Position, SignalState

    bots = {PREFIX.rstrip("-")}
    holdings = set()
    for order in newest:
        holdings.add((order.strategy, order.symbol))
        bot, names, minute = order.client_order_id.rpartition(f"-{order.strategy}-{order.symbol}-")
        if names and minute:
            bots.add(bot)
    for kind in (Position, SignalState):
        holdings.update((each.strategy, each.symbol) for each in rows.rows(kind))
    return {f"{bot}-{strategy}-{symbol}-" for bot in bots for strategy, symbol in holdings}


def _beginning_with(rows: Any, beginnings: Iterable[str]) -> dict[str, Order]:
    from smabot.domain.records import Order

    found: dict[str, Order] = {}
    for beginning in sorted(beginnings):
        room = MOST_MATCHES - len(found)
        near = rows.rows(Order, since=("client_order_id", beginning), limit=room)
        found |= {o.client_order_id: o for o in near if o.client_order_id.startswith(beginning)}
    return found


def _beginnings(text: str, heads: Iterable[str]) -> set[str]:
    """Return the beginnings of ids that a text may mean, given what ids begin with."""
    wanted = text.casefold()
    found = set()
    for head in heads:
        folded = head.casefold()
        parts = [0, *(at + 1 for at, letter in enumerate(folded) if letter == "-")]
        for part in parts:
            named = folded[part:]
            if wanted.startswith(named) and (named or wanted[:1].isdigit()):
                found.add(head + text[len(named) :].upper())
            elif named.startswith(wanted):
                found.add(head)
    return found
