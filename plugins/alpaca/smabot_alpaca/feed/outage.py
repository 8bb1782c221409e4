"""Whether a loopback exchange answers at all: logged once when it stops, and once when it is back."""

from __future__ import annotations

from loguru import logger

from smabot.provider import BrokerError, KeyRefused
from smabot_alpaca.backoff import Backoff
from smabot_alpaca.feed.event_handling import FeedState


class ExchangeOutage:
    """Used by the deciding thread alone; the reason of an outage is in ``streams.outage``."""

    def __init__(self, state: FeedState) -> None:
        self.answers_since = 0.0
        """When the exchange answered again, in seconds."""
        self._state = state
        self._backoff = Backoff(0.1, 2.0, state.machine.draw)

    def note_error(self, error: BrokerError) -> None:
        if not self._state.streams.outage:
            logger.warning("alpaca: the exchange does not answer: {}; trying again", error)
            if isinstance(error, KeyRefused):
                self._state.batch.request_resync()
        self._state.streams.outage = str(error)

    def note_answer(self) -> None:
        if self._state.streams.outage:
            self.answers_since = self._state.machine.seconds()
            logger.info("alpaca: the exchange answers again")
        self._backoff.reset()
        self._state.streams.outage = ""

    def pause(self) -> float:
        """Return the seconds to wait before it is asked again."""
        return self._backoff.pause()
