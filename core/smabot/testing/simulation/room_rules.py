"""That exits and cancels always find room under the broker's rate limit (rule 10).

A broker's client may turn a request away where it believes the limit to be used up. It has to keep some of the
limit for what makes positions smaller, whatever queries it makes, and however much of it others use.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from smabot.domain.records import Order
from smabot.errors import NotSent

WINDOW = timedelta(seconds=61)
"""In which the limit counts requests, and a second for their ways."""
KEPT = 3
"""So many exits and cancels find room in a window of which others leave `LEAST_LEFT` requests: fewer, as some may be
under way then."""
LEAST_LEFT = 8
NEEDED_BY_A_START = 2
"""Requests that a process makes before it knows what is left: one to each API."""
NEVER = datetime.min.replace(tzinfo=UTC)


class RoomRules:
    """Of all processes."""

    def __init__(
        self, clock: Callable[[], datetime], violation: Callable[[str, str], Exception]
    ) -> None:
        self._clock = clock
        self._violation = violation
        self._used: deque[datetime] = deque()
        """When an exit, a cancel or a start has used some of what is kept."""
        self._left: dict[tuple[str, str], datetime] = {}
        """When each was handed to the transport last."""
        self._refused = NEVER

    def process_begins(self) -> None:
        """A process begins, and knows nothing of what is left."""
        self._used += [self._clock()] * NEEDED_BY_A_START

    def leaves(self, what: str, order: Order) -> None:
        """An exit, or a cancel, is handed to the transport."""
        self._used.append(self._clock())
        self._left[what, order.client_order_id] = self._clock()

    def refused(self) -> None:
        """The exchange has answered that there were too many requests."""
        self._refused = self._clock()

    def turned_away(self, what: str, order: Order, begun: datetime, why: NotSent) -> None:
        """Judge an exit or a cancel that has not been sent. ``begun``: when it was asked for. Raises Violation."""
        since = self._clock() - WINDOW
        while self._used and self._used[0] < since:
            self._used.popleft()
        connected = self._left.get((what, order.client_order_id), NEVER) >= begun
        if not connected and self._refused < since and len(self._used) < KEPT:
            raise self._violation(
                "10 room",
                f"the {what} of {order.client_order_id} finds no room: {why}; within a minute "
                f"{len(self._used)} requests needed it",
            )
