"""The plugin's settings: table ``[default.plugin.alpaca]``."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field, field_validator

from smabot.provider import Secret, Settings


class AlpacaSettings(Settings):
    """How Alpaca is reached. Times in seconds."""

    key_id: Secret | None = None
    """The API key's id; better in ``.secrets.toml`` or in ``APCA_API_KEY_ID`` than here."""
    secret_key: Secret | None = None
    """The API key's secret; better in ``.secrets.toml`` or in ``APCA_API_SECRET_KEY`` than here."""
    feed: Literal["iex", "sip"] = "iex"
    """The source of bars; ``sip`` needs a paid plan. Alpaca's others are 15 minutes late, or of the night."""
    connect_timeout: float = Field(3.0, gt=0, le=60)
    """How long a connection may take to be made."""
    request_timeout: float = Field(10.0, gt=0, le=120)
    """How long an answer may take. An order that is not answered by then is ``unknown``."""
    requests_per_minute: int | None = Field(None, ge=1, le=100_000)
    """At most so many requests a minute to each API; none: as many as Alpaca's answers allow."""
    lookups: tuple[float, ...] | None = None
    """When an unanswered order is looked up, counted from its sending; then it is sent again.

    None: from 0.2 to 15 s at Alpaca, within half a second at an exchange of smabot."""
    send_position_intent: bool = True
    """Send ``sell_to_close`` or ``buy_to_close`` with an order that reduces, so that the broker refuses
    it where it would open a position."""
    gather_seconds: float = Field(0.25, ge=0, le=10)
    """A minute is decided on when no bar of it has come for so long, though some symbols have none."""
    missing_bars_seconds: float = Field(3.0, ge=0, le=30)
    """So long after a minute's end REST is asked for the bars that have not come."""
    mute_minutes: int = Field(2, ge=1, le=60)
    """The data stream is stale, and reconnected, when so many minutes in a row came by REST alone."""
    silent_order_seconds: float = Field(5.0, gt=0, le=60)
    """The trade stream is stale, and reconnected, when it misses a fill for so long that REST knows of."""

    @field_validator("lookups")
    @classmethod
    def _lookups(cls, lookups: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if lookups is None:
            return None
        if not lookups or lookups[0] <= 0 or any(b <= a for a, b in pairwise(lookups)):
            raise ValueError("give ascending seconds above 0, at least one")
        return lookups
