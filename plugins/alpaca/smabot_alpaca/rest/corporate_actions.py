"""Splits, stock dividends and changes of name by REST.

``GET /v1/corporate-actions`` (https://docs.alpaca.markets/reference/corporateactions-1): ``start`` and ``end``
are process dates, which are a split's ex-date as a rule, and of a stock dividend may come weeks after it.
``limit`` counts over all kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

from loguru import logger

from smabot.provider import ActionKind, BrokerError, CorporateAction
from smabot_alpaca.order_json import UNREADABLE, UnreadableAnswer, parse_decimal, required_text
from smabot_alpaca.rest.bar_history import Get, in_batches
from smabot_alpaca.rest.client import RequestRefused
from smabot_alpaca.rest.data_pages import data_pages

PATH = "/v1/corporate-actions"
PAGE = 1_000
SPAN = timedelta(days=364)
"""So many days are asked for at once."""
BEFORE, AFTER = timedelta(days=7), timedelta(days=60)
"""How far a process date may lie before and after the ex-date."""
FORBIDDEN = 403
_MOST_SHARES = 1_000_000
_NOT_FOLLOWED = {
    "unit_splits": ("a split of units", "old_symbol"),
    "spin_offs": ("a spin-off", "source_symbol"),
    "cash_mergers": ("a merger", "acquiree_symbol"),
    "stock_mergers": ("a merger", "acquiree_symbol"),
    "stock_and_cash_mergers": ("a merger", "acquiree_symbol"),
}
"""What each is, and whose shares it changes."""
_DATES = ("ex_date", "effective_date", "process_date")


def corporate_actions(
    get: Get, symbols: Collection[str], since: date, until: date
) -> list[CorporateAction]:
    """Return what has an ex-date from ``since`` to ``until``, both included, by ex-date and symbol.

    An entry that can't be read is logged and left out; mergers and the like are logged alone. Raises BrokerError.
    """
    found: dict[str, CorporateAction] = {}
    for batch in in_batches(sorted(symbols)):
        for kind, raw in _entries(get, batch, since, until):
            action = _read(kind, raw, since, until)
            if action is not None and action.symbol in batch and since <= action.ex_date <= until:
                found[action.action_id] = action
    return _without_contradictions(found.values())


def _entries(
    get: Get, symbols: Sequence[str], since: date, until: date
) -> Iterator[tuple[str, Any]]:
    """Yield the entries of all pages with their kinds."""
    types = ["forward_split", "reverse_split", "stock_dividend", "name_change"]
    types += [kind.removesuffix("s") for kind in _NOT_FOLLOWED]
    start, end = since - BEFORE, until + AFTER
    while start <= end:
        last = min(start + SPAN, end)
        params = {
            "symbols": ",".join(symbols), "types": ",".join(types), "start": start.isoformat(),
            "end": last.isoformat(), "limit": PAGE, "sort": "asc",
        }  # fmt: skip
        yield from _pages(get, params)
        start = last + timedelta(days=1)


def _pages(get: Get, params: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for page in data_pages(partial(_ask, get), params, "corporate actions"):
        try:
            lists = page["corporate_actions"] or {}
            entries = [(str(kind), raw) for kind, list_ in lists.items() for raw in list_ or ()]
        except UNREADABLE as error:
            raise UnreadableAnswer(f"corporate actions can't be read: {error!r}") from None
        yield from entries


def _ask(get: Get, params: Mapping[str, Any]) -> Any:
    try:
        return get(PATH, params)
    except RequestRefused as refusal:
        if refusal.status == FORBIDDEN:
            raise BrokerError(
                f"corporate actions: the key has no permission to read them: {refusal.message}"
            ) from None
        raise


def _read(kind: str, raw: Any, since: date, until: date) -> CorporateAction | None:
    """Return what an entry says; None where nothing is to be followed."""
    try:
        if (other := _NOT_FOLLOWED.get(kind)) is not None:
            what, whose = other
            day = next(_day(raw, name) for name in _DATES if raw.get(name))
            if since <= day <= until:
                _log_not_followed(what, required_text(raw, whose), day)
            return None
        read = _READERS.get(kind)
        return None if read is None else read(raw)
    except (*UNREADABLE, StopIteration) as error:
        _log_unreadable(kind, _named(raw), f"{type(error).__name__} {error}"[:120])
        return None


def _split(raw: Mapping[str, Any]) -> CorporateAction:
    return _of_shares(raw, _shares(raw, "new_rate"), _shares(raw, "old_rate"))


def _stock_dividend(raw: Mapping[str, Any]) -> CorporateAction:
    return _of_shares(raw, 1 + _shares(raw, "rate"), Decimal(1))


def _of_shares(raw: Mapping[str, Any], new: Decimal, old: Decimal) -> CorporateAction:
    symbol, day = required_text(raw, "symbol"), _day(raw, "ex_date")
    if new == old:
        raise ValueError(f"as many new shares as old ones, {new:f}")
    identity = required_text(raw, "id")
    return CorporateAction(identity, symbol, ActionKind.SPLIT, day, new, old)


def _name_change(raw: Mapping[str, Any]) -> CorporateAction | None:
    symbol, new_symbol = required_text(raw, "old_symbol"), required_text(raw, "new_symbol")
    if symbol == new_symbol:  # the CUSIP changes alone
        return None
    identity, day = required_text(raw, "id"), _day(raw, "process_date")
    return CorporateAction(identity, symbol, ActionKind.RENAME, day, new_symbol=new_symbol)


_READERS: dict[str, Callable[[Mapping[str, Any]], CorporateAction | None]] = {
    "forward_splits": _split,
    "reverse_splits": _split,
    "stock_dividends": _stock_dividend,
    "name_changes": _name_change,
}


def _without_contradictions(actions: Collection[CorporateAction]) -> list[CorporateAction]:
    """Return actions, each once, without those of one symbol, date and kind that say different things."""
    by_day: dict[tuple[date, str, str], dict[tuple[Decimal, str], CorporateAction]] = {}
    for each in actions:
        terms = by_day.setdefault((each.ex_date, each.symbol, each.kind), {})
        terms.setdefault((each.ratio, each.new_symbol), each)
    for several in by_day.values():
        if len(several) > 1:
            _log_contradiction("; ".join(each.text for each in several.values()))
    single = [next(iter(terms.values())) for terms in by_day.values() if len(terms) == 1]
    return sorted(single, key=lambda each: (each.ex_date, each.symbol, each.kind))


def _shares(raw: Mapping[str, Any], name: str) -> Decimal:
    value = parse_decimal(raw[name])
    if value is None or not 0 < value <= _MOST_SHARES:
        raise ValueError(f"{name} {value} is no number of shares")
    return value


def _day(raw: Mapping[str, Any], name: str) -> date:
    return date.fromisoformat(required_text(raw, name))


def _named(raw: Any) -> str:
    names = (raw.get(name) for name in ("symbol", "old_symbol")) if isinstance(raw, Mapping) else ()
    return next((repr(name)[:40] for name in names if name), "without a symbol")


@lru_cache(maxsize=256)
def _log_not_followed(what: str, symbol: str, day: date) -> None:
    logger.warning("{}: {} on {}: the bot does not follow it: look at the position, then `smabot reconcile`", symbol, what, day)  # fmt: skip


@lru_cache(maxsize=256)
def _log_unreadable(kind: str, name: str, reason: str) -> None:
    logger.warning("corporate actions: one of {}, {}, can't be read and is left out: {}", kind, name, reason)  # fmt: skip


@lru_cache(maxsize=256)
def _log_contradiction(what: str) -> None:
    logger.warning("corporate actions that contradict each other are left out: {}", what)
