"""How corporate actions look as JSON, and the activities of an account that came of them.

https://docs.alpaca.markets/reference/corporateactions-1. CUSIPs are made up.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from smabot.provider import EXCHANGE_ZONE, ActionKind, CorporateAction
from smabot_exchange.data.corporate_actions import ListedAction
from smabot_exchange.json_forms.market_data_json import stamp
from smabot_exchange.matching.orders import asset_id, plain

FORWARD, REVERSE, NAME_CHANGE = "forward_split", "reverse_split", "name_change"
_SUB_TYPES = {FORWARD: "FSPLIT", REVERSE: "RSPLIT", NAME_CHANGE: "SCNC"}


def kind_of(action: CorporateAction) -> str:
    """Return what Alpaca calls it."""
    if action.kind is ActionKind.RENAME:
        return NAME_CHANGE
    return FORWARD if action.new_shares > action.old_shares else REVERSE


def by_kind(actions: Iterable[CorporateAction]) -> dict[str, list[dict[str, Any]]]:
    """Return actions in lists, as ``forward_splits``."""
    lists: dict[str, list[dict[str, Any]]] = {}
    for action in actions:
        lists.setdefault(f"{kind_of(action)}s", []).append(_action(action))
    return lists


def _action(action: CorporateAction) -> dict[str, Any]:
    """Return an action; all its dates are its ex-date, which the data alone have."""
    kind, day = kind_of(action), action.ex_date.isoformat()
    if kind == NAME_CHANGE:
        return {
            "id": action.action_id,
            "old_symbol": action.symbol,
            "old_cusip": _cusip(action.symbol),
            "new_symbol": action.new_symbol,
            "new_cusip": _cusip(action.new_symbol),
            "process_date": day,
        }
    cusip = _cusip(action.symbol)
    cusips = (
        {"cusip": cusip}
        if kind == FORWARD
        else {"old_cusip": cusip, "new_cusip": _cusip(f"{action.symbol} {day}")}
    )
    return {
        "id": action.action_id,
        "symbol": action.symbol,
        **cusips,
        "new_rate": _number(action.new_shares),
        "old_rate": _number(action.old_shares),
        "process_date": day,
        "ex_date": day,
        "record_date": day,
        "payable_date": day,
    }


def activities(listed: ListedAction, followed_at: datetime) -> list[dict[str, Any]]:
    """Return what an account has of an action: the old shares go, the new ones come."""
    action = listed.action
    local = followed_at.astimezone(EXCHANGE_ZONE)
    before, after = plain(listed.qty_before), plain(listed.qty_after)
    return [
        {
            "id": f"{local:%Y%m%d%H%M%S}000::{uuid5(UUID(action.action_id), what)}",
            "activity_type": "NC" if action.kind is ActionKind.RENAME else "SPLIT",
            "activity_sub_type": _SUB_TYPES[kind_of(action)],
            "date": f"{local:%Y-%m-%d}",
            "created_at": stamp(followed_at),
            "net_amount": "0",
            "description": f"{what}, From QTY:{before}, To QTY:{after}",
            "symbol": symbol,
            "qty": plain(qty),
            "status": "executed",
        }
        for what, symbol, qty in (
            ("REMOVE", action.symbol, -listed.qty_before),
            ("ADD", action.new_symbol or action.symbol, listed.qty_after),
        )
    ]


def _cusip(name: str) -> str:
    return asset_id(name).hex[:9].upper()


def _number(value: Decimal) -> float:
    return int(value) if value == value.to_integral_value() else float(value)
