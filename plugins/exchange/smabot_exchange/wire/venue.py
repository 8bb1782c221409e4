"""What the routes of the front on the wire share."""

from __future__ import annotations

from dataclasses import dataclass, field

from smabot_exchange.exchange import Exchange
from smabot_exchange.wire.auth import Keys
from smabot_exchange.wire.configuration import Configuration
from smabot_exchange.wire.quota import Quota


@dataclass
class Venue:
    """An exchange as clients on the wire see it.

    ``quota`` limits the requests of each key, None does not; ``largest_body`` is in bytes.
    """

    exchange: Exchange
    keys: Keys
    quota: Quota | None = None
    largest_body: int = 64 * 1024
    configuration: Configuration = field(default_factory=Configuration)
