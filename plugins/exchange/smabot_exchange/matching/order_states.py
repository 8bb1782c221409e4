"""The states of an order, in Alpaca's words.

Open:

1. PENDING_NEW: a fault keeps it from the market; it does not fill.
2. ACCEPTED: sent while the exchange is closed; it opens with the next session.
3. HELD: a leg. An exit waits for its entry to fill, a stop-loss then for its stop price.
4. NEW: it meets the bars.
5. PARTIALLY_FILLED: so does its rest.
6. PENDING_CANCEL: a fault keeps its cancel from coming through; it does not fill.
7. DONE_FOR_DAY, CALCULATED, STOPPED, SUSPENDED: a fault has left it open at its close; it does not fill.

Ended:

8. FILLED, CANCELED, EXPIRED, REPLACED, REJECTED.

=============  =========================================================================================
from           to
=============  =========================================================================================
a request      4 in a session, 2 while closed, 3 as a leg, 1 by a fault
1              4 or 2 when the fault is over
2              4 at the session's open
3              4: a take-profit when its entry is filled, a stop-loss when its stop price is touched
4, 5           5 or FILLED by a bar; 6 by a cancel that a fault freezes; 7 at the close by a fault
6              CANCELED when the fault is over
1 to 5, 7      CANCELED by a request, with its group, or as its time in force says
1, 2, 4, 5     EXPIRED at the close, DAY orders alone; so does a leg in 3
3 to 5         REPLACED by a request
2, 4           REJECTED later, by a fault
=============  =========================================================================================

Invariants:

1. An order that has ended never changes again.
2. ``filled_qty`` never shrinks and never exceeds ``qty``; each execution raises it.
3. While an order has a `StallReason` it does not fill.
4. The exits of one group are for the same shares: together they never close more than those.
5. Ids follow from ``client_order_id``, which no two orders of a ledger share; ``seq`` ascends without gaps.
"""

from __future__ import annotations

from enum import StrEnum


class OrderStatus(StrEnum):
    """The states of an order at the exchange, in Alpaca's words."""

    PENDING_NEW = "pending_new"  # on its way to the market
    ACCEPTED = "accepted"  # while the exchange is closed: waits for the next session
    HELD = "held"  # a leg that waits for its parent to fill, or for its stop price
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"  # a cancel was requested, and is not confirmed
    DONE_FOR_DAY = "done_for_day"  # no more of it orders filled today
    CALCULATED = "calculated"  # done for the day, and its settlement is being worked out
    STOPPED = "stopped"  # a trade is guaranteed and has not happened
    SUSPENDED = "suspended"  # may not trade
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REPLACED = "replaced"
    REJECTED = "rejected"


OPEN_STATUSES = (
    OrderStatus.PENDING_NEW,
    OrderStatus.ACCEPTED,
    OrderStatus.HELD,
    OrderStatus.NEW,
    OrderStatus.PARTIALLY_FILLED,
    OrderStatus.PENDING_CANCEL,
    OrderStatus.DONE_FOR_DAY,
    OrderStatus.CALCULATED,
    OrderStatus.STOPPED,
    OrderStatus.SUSPENDED,
)


class StallReason(StrEnum):
    """Why a fault keeps an open order from filling, until ``ExchangeOrder.stalled_until``."""

    PENDING = "pending"  # it stays `pending_new`
    REJECT = "reject"  # it will be rejected
    LOST = "lost"  # its answer was lost and status queries don't show it
    CANCEL = "cancel"  # its cancel does not come through
    CLOSE = "close"  # it was left in another state at the close
