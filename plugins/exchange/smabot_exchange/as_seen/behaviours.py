"""The behaviours that can be played back. Each field is one, its default what the exchange does by itself,
and one place of the exchange reads it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from smabot.provider import Settings
from smabot_exchange.as_seen.refusal_kinds import RefusalKind

A_MINUTE = 60.0
"""Seconds."""


class SeenRefusal(Settings):
    """A refusal as a client gets it. ``code`` is None where there was none; ``fields`` are the names of
    what the body has beside code and message."""

    status: int = Field(ge=400, le=499)
    code: int | None = None
    message: str
    fields: tuple[str, ...] = ()


class OppositeAllowed(Settings):
    """New orders that are accepted beside a resting one of the other side, against the rule."""

    stop_sell_against_limit_buy: bool = False
    limit_buy_against_stop_sell: bool = False
    stop_buy_against_limit_sell: bool = False
    limit_sell_against_stop_buy: bool = False
    limit_sell_against_limit_buy: bool = False
    limit_buy_against_limit_sell: bool = False

    @property
    def pairs(self) -> list[str]:
        return [name for name in type(self).model_fields if getattr(self, name)]


class AsSeen(Settings):
    """What the exchange does otherwise."""

    first_status: str = "pending_new"
    """The status in the answer to a new order in a session."""
    visible_after_seconds: float = Field(0.0, ge=0, le=A_MINUTE)
    """So long after its answer a new order is not found by its id."""
    listed_after_seconds: float = Field(0.0, ge=0, le=A_MINUTE)
    """So long after its answer a new order is in no list."""
    stamps: Literal["created first", "submitted first"] = "created first"
    """Whether ``submitted_at`` may lie before ``created_at``."""
    after_includes: bool = False
    """Whether ``after`` of a list includes an order that was submitted at that time."""
    gtc_expires_at: Literal["shown", "null"] = "shown"
    day_expires_at: Literal["shown", "null"] = "shown"
    position_intent: Literal["shown", "null", "absent"] = "shown"
    """What an order shows of its intent."""
    position_intent_refused: SeenRefusal | None = None
    """How each order is refused that names its intent."""
    leg_replacement_refused: SeenRefusal | None = None
    """How the replacement of an exit is refused whose entry has not filled."""
    opposite_allowed: OppositeAllowed = Field(default_factory=OppositeAllowed)
    refusals: dict[RefusalKind, SeenRefusal] = Field(default_factory=dict)
    """How else something is refused that the exchange refuses, too."""
    trade_frames: Literal["binary", "text"] = "binary"
    second_trade_connection: Literal["authorized", "unauthorized", "HTTP 429", "first closed"] = (
        "authorized"
    )
    """What becomes of the second connection of a key to the trade stream."""
    second_data_connection: Literal["refused", "first closed"] = "refused"
    announces_pending: bool = False
    """Whether the trade stream sends ``pending_new`` before ``new``."""

    def refusal(self, status: int, body: dict[str, object]) -> tuple[int, dict[str, object]]:
        """Return status and body of a refusal of the exchange as they were seen."""
        if not self.refusals:
            return status, body
        kind = RefusalKind.of(str(body.get("message")))
        seen = self.refusals.get(kind) if kind is not None else None
        return (status, body) if seen is None else (seen.status, body_as_seen(seen, body))

    @property
    def changed(self) -> list[str]:
        """Return the names of the behaviours that are not the exchange's own."""
        groups = {"refusals": self.refusals, "opposite_allowed": self.opposite_allowed.pairs}
        alone = self.model_fields_set - groups.keys()
        return sorted(
            [*alone, *(f"{name}.{each}" for name, group in groups.items() for each in group)]
        )


def body_as_seen(seen: SeenRefusal, body: dict[str, object]) -> dict[str, object]:
    """Return the body of a refusal: what else it says is the exchange's own, as far as it was seen."""
    code = {} if seen.code is None else {"code": seen.code}
    return {**code, "message": seen.message, **{name: body.get(name, "") for name in seen.fields}}
