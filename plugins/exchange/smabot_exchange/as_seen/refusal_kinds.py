"""What the exchange refuses, by the words that it uses for it."""

from __future__ import annotations

import re
from enum import StrEnum


class RefusalKind(StrEnum):
    """Refusals whose status, code and words can be played back."""

    DUPLICATE_ID = "duplicate_id"
    LONG_ID = "long_id"
    SUB_PENNY = "sub_penny"
    FRACTIONAL_GTC = "fractional_gtc"
    EXTENDED_STOP = "extended_stop"
    BAD_FIELD = "bad_field"
    UNKNOWN_ASSET = "unknown_asset"
    UNKNOWN_POSITION = "unknown_position"
    UNKNOWN_ORDER = "unknown_order"
    UNKNOWN_CLIENT_ID = "unknown_client_id"
    ALREADY_ENDED = "already_ended"
    BAD_INTENT = "bad_intent"
    INTENT_MISMATCH = "intent_mismatch"
    WASH_TRADE = "wash_trade"
    SHORT_BESIDE_BUY = "short_beside_buy"
    LONG_BESIDE_SHORT = "long_beside_short"
    REPLACED_TOO_EARLY = "replaced_too_early"
    REPLACED_UNCHANGED = "replaced_unchanged"
    REPLACED_QTY = "replaced_qty"

    @classmethod
    def of(cls, message: str) -> RefusalKind | None:
        """Return which of them a message of the exchange tells; None: another one."""
        return next((kind for kind, words in _WORDS.items() if words.match(message)), None)


_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_WORDS = {
    RefusalKind.DUPLICATE_ID: re.compile("client_order_id must be unique"),
    RefusalKind.LONG_ID: re.compile("client_order_id must be no more than"),
    RefusalKind.SUB_PENNY: re.compile("invalid .*sub-penny increment"),
    RefusalKind.FRACTIONAL_GTC: re.compile("fractional orders must be DAY orders"),
    RefusalKind.EXTENDED_STOP: re.compile("extended hours order must be DAY or GTC limit"),
    RefusalKind.BAD_INTENT: re.compile("invalid position_intent"),
    RefusalKind.BAD_FIELD: re.compile("invalid time_in_force"),
    RefusalKind.UNKNOWN_ASSET: re.compile('asset ".*" not found'),
    RefusalKind.UNKNOWN_POSITION: re.compile("position does not exist"),
    RefusalKind.UNKNOWN_ORDER: re.compile(f"order not found for {_UUID}"),
    RefusalKind.UNKNOWN_CLIENT_ID: re.compile("order not found for "),
    RefusalKind.ALREADY_ENDED: re.compile("order is already in "),
    RefusalKind.INTENT_MISMATCH: re.compile("position intent mismatch"),
    RefusalKind.WASH_TRADE: re.compile("potential wash trade detected"),
    RefusalKind.SHORT_BESIDE_BUY: re.compile("cannot open a short sell while"),
    RefusalKind.LONG_BESIDE_SHORT: re.compile("cannot open a long buy while"),
    RefusalKind.REPLACED_TOO_EARLY: re.compile("unable to replace order, order isn't sent"),
    RefusalKind.REPLACED_UNCHANGED: re.compile("order parameters are not changed"),
    RefusalKind.REPLACED_QTY: re.compile("qty cannot be changed for advanced orders"),
}
"""How the exchange's messages begin; the first that matches counts."""
