"""A loopback exchange's replay of historical data: these calls are the exchange's own, not Alpaca's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smabot.provider import BrokerError, KeyRefused, Progress
from smabot_alpaca.clock import MarketClock
from smabot_alpaca.order_json import UNREADABLE, parse_time
from smabot_alpaca.rest.client import ADMIN, RequestRefused, RestClient

FINAL_STATUSES = (401, 403, 409, 410)
"""Refusals by the exchange itself that asking again does not change: its key, that its clock goes by
itself, or that it has stopped."""


@dataclass(frozen=True, slots=True)
class ReplayState:
    """How far the replay has come. The counts of messages are cumulative, of the newest connections;
    None: not known, or none is connected."""

    time: datetime
    ended: bool
    progress: Progress
    bars_sent: int | None = None
    updates_sent: int | None = None


class ReplayClient:
    """Asks the exchange for its next minute, or just for its state; moves the clock.

    Used by the deciding thread alone, besides `query`, which changes nothing here.
    """

    def __init__(self, rest: RestClient, clock: MarketClock, answer: dict[str, Any]) -> None:
        """``answer`` is what the exchange said of itself when the connection was made."""
        self._rest = rest
        self._clock = clock
        self._unanswered_since: datetime | None = None
        self._state = self.note_state(_state(answer))

    @property
    def ended(self) -> bool:
        return self._state.ended

    @property
    def progress(self) -> Progress:
        return self._state.progress

    def play_minute(self) -> ReplayState:
        """Play a minute. Where an earlier answer was lost, find out first whether it was played.

        Raises BrokerError.
        """
        if self._unanswered_since is not None:
            state, before = self.refresh(), self._unanswered_since
            self._unanswered_since = None
            if state.time > before or state.ended:
                return state
        before = self._clock.now()
        try:
            return self.note_state(_state(self._rest.trading("POST", f"{ADMIN}/play")))
        except BrokerError:
            self._unanswered_since = before
            raise

    def refresh(self) -> ReplayState:
        """Ask for the state, and take it in. Raises BrokerError."""
        return self.note_state(self.query())

    def query(self) -> ReplayState:
        """Ask what time it is, and whether the replay has ended. Raises BrokerError.

        A background request may do it: the deciding thread hands the result to `note_state`.
        """
        return _state(self._rest.trading("GET", ADMIN))

    def note_state(self, state: ReplayState) -> ReplayState:
        self._state = state
        self._clock.advance_to(state.time)
        return state


def is_final(error: BrokerError) -> bool:
    """Whether asking the exchange again is in vain."""
    if not isinstance(error, RequestRefused):
        return False
    return error.status in FINAL_STATUSES and not isinstance(error, KeyRefused)


def _state(answer: Any) -> ReplayState:
    try:
        minutes = [_count(number) for number in answer["progress"]]
        if not isinstance(answer["ended"], bool):
            raise TypeError("ended")
        sent = [answer.get(name) for name in ("bars_sent", "updates_sent")]
        return ReplayState(
            parse_time(answer["time"]),
            answer["ended"],
            Progress(*minutes),
            *(None if number is None else _count(number) for number in sent),
        )
    except UNREADABLE as error:
        raise BrokerError(f"{ADMIN} does not answer as an exchange of smabot does") from error


def _count(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise TypeError("no count")
    return number
