"""Plays a loopback exchange's tape; these calls are the exchange's own, not Alpaca's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smabot.provider import BrokerError, Progress
from smabot_alpaca.clock import MarketClock
from smabot_alpaca.order_json import parse_time
from smabot_alpaca.rest.client import ADMIN, RestClient


@dataclass(frozen=True, slots=True)
class ReplayState:
    """What a minute of the tape brought. The counts of messages are cumulative, of the newest
    connections; None: not known, or none is connected."""

    time: datetime
    ended: bool
    bars: int | None = None
    updates: int | None = None


class ReplayClient:
    """Asks the exchange for its next minute, or just for its time; tells the clock."""

    def __init__(self, rest: RestClient, clock: MarketClock, told: dict[str, Any]) -> None:
        """``told`` is what the exchange told of itself when it was connected to."""
        self._rest = rest
        self._clock = clock
        self._lost_at: datetime | None = None
        self.progress: Progress | None = None
        self.ended = False
        self._take(told)

    def play(self) -> ReplayState:
        """Play a minute. Where an earlier answer was lost, find out first whether it was played.

        Raises BrokerError.
        """
        if self._lost_at is not None:
            played, before = self.look(), self._lost_at
            self._lost_at = None
            if played.time > before or played.ended:
                return played
        before = self._clock.now()
        try:
            return self._take(self._rest.trading("POST", f"{ADMIN}/play"))
        except BrokerError:
            self._lost_at = before
            raise

    def look(self) -> ReplayState:
        """Ask what time it is, and whether the tape has ended. Raises BrokerError."""
        return self._take(self._rest.trading("GET", ADMIN))

    def _take(self, answer: Any) -> ReplayState:
        try:
            played = ReplayState(
                parse_time(answer["time"]),
                bool(answer["ended"]),
                answer.get("bars_sent"),
                answer.get("updates_sent"),
            )
            self.progress = Progress(*answer["progress"])
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise BrokerError(f"{ADMIN} does not answer as an exchange of smabot does") from error
        self.ended = played.ended
        self._clock.tell(played.time)
        return played
