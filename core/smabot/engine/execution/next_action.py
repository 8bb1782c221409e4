"""What comes next for one strategy's position in a symbol: one pure function of what is known.

Strategies' signals, missed exits, `smabot flatten`, timeouts and blocks are nothing but what is wanted;
`next_action` alone says what to do about it. It is asked again after each of its answers, until it
says `Done` or `Wait`.

A position is in one of four states, by what is held and open, not by a field of its own:

1. flat: no shares, no open order;
2. entering: an entry is open;
3. held: shares, and no exit is open that counts;
4. exiting: an exit is open that counts.

`Enter` leads from 1 to 2, a fill from 2 to 3, `Exit` from 3 to 4, a fill from 4 to 1; a cancel or a
refusal leads back. What must hold: an entry is made at its decision only (an edge), an exit for as long as
flat is wanted (a level); open exits never sell more than is held; no order ends here while the broker may
fill it, unless a comparison left it open.

First what is open, whatever is wanted:

| an open order | and | then |
|---|---|---|
| a DAY order, an hour after its session's close | no cancel was asked for | `Cancel` it |
| the same | a cancel was, both a minute ago or more, and a comparison that began since left it open | `GiveUp` on it: it ends here with what it filled |
| the same | no comparison with the broker that began since has agreed | nothing before one has: `needs_comparison` |
| any | it is in shares of before a split | `Cancel` it |
| an entry | flat is wanted | `Cancel` it |
| an entry | a halt, a trip or a limit blocks entries | `Cancel` it |
| an entry | it has not filled within its time | `Cancel` it |
| an exit | the operator wants it flat, and it has a limit | `Cancel` it |
| exits | together they are more than what is held | `Cancel` the newest |
| any | a cancel was asked for already | nothing more |

Then what is wanted:

| wanted | held | and | then |
|---|---|---|---|
| long | | it was decided just now, and no entry is open | `Enter` |
| long | | it was decided earlier, or its entry is open | `Done`: an entry is an edge |
| flat | nothing | | `Done` |
| flat | short | not by the operator | `Done`: who is long only never buys on a SELL |
| flat | some | open exits cover it, but for lost ones | `Done` |
| flat | some | the broker has not followed a split | `Wait` |
| flat | some | positions are being compared | `Wait` |
| flat | some | own entries in the symbol are open, whose cancel was not asked for | `Cancel` them |
| flat | some | their cancel was asked for less than a minute ago | `Wait` |
| flat | some | the last exit failed, and its pause is not over | `Wait` |
| flat | some | nothing is free in the symbol | `Wait` |
| flat | some | less is free than held | `Exit` what is free |
| flat | some | | `Exit` |

An exit is lost when its cancel was asked for a minute ago and nobody knows whether it ever arrived. Another
one takes its place: the broker takes no order to close that would sell more than is held.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from smabot.domain.frozen_classes import frozen
from smabot.domain.order_terms import OrderType, RefusalCause, Status
from smabot.domain.records import ZERO, Order
from smabot.errors import counted

PATIENCE = timedelta(minutes=1)
"""How long a cancel may stay unanswered before it is not waited for any more."""
DAY_ORDER_GRACE = timedelta(hours=1)
"""How long after its session's close a DAY order may still be open."""
DOUBLINGS = 4
"""Of the minute's pause after an exit that failed: it is 16 minutes at most."""
ACKNOWLEDGED = (Status.SUBMITTED, Status.ACCEPTED, Status.PARTIALLY_FILLED)
"""The broker is known to have the order, open."""


@frozen
class Situation:
    """All that decides. Quantities in shares, signed where held; times UTC on the feed's clock."""

    now: datetime
    target: int | None
    """1 long, 0 flat; None: nothing was ever wanted of it."""
    decided_now: bool
    by_operator: bool
    at_once: bool
    """Whether the operator asks for the exit just now: then no pause counts."""
    held: Decimal
    orders: tuple[Order, ...]
    """The position's open orders, oldest first."""
    last_exit: Order | None
    """The newest exit of this decision, whatever became of it."""
    opposing: tuple[Order, ...]
    """Other positions' open entries in the symbol, which would meet an exit."""
    free: Decimal
    """Shares of the symbol, over all positions, that no open exit is selling."""
    entries_blocked: str
    """Why open entries are to be canceled; empty: they are not."""
    split: str
    """Why nothing is sold, and open orders are to be canceled: a split that is not over; else empty."""
    timeout: timedelta
    """After which an open market entry is canceled; 0: never."""
    compared_until: datetime | None
    """Until when an exit waits for positions that are being compared with the broker's."""
    closes: dict[str, datetime]
    """Of each open DAY order, by its id, the close of its session."""
    next_open: datetime | None
    """The next session's open; None while one is open."""
    in_doubt: bool
    """Whether the broker does not answer, or not all that it tells arrives."""
    agreed_at: datetime | None
    """When the newest comparison with the broker that found no conflict had begun; None: none yet."""


@frozen
class Enter:
    """Order what the sizer says."""


@frozen
class Exit:
    """Order a sale (or a buy, of what is short) of so many shares."""

    qty: Decimal
    attempt: int


@frozen
class Cancel:
    """Ask the broker to cancel an order."""

    order: Order
    why: str


@frozen
class GiveUp:
    """End an order here that the broker leaves open after its time."""

    order: Order


@frozen
class Wait:
    """Nothing before a time; None: before something happens."""

    until: datetime | None
    why: str


@frozen
class Done:
    """There is nothing to do."""


Action = Enter | Exit | Cancel | GiveUp | Wait | Done


def next_action(s: Situation) -> Action:
    """Return what to do next; see the table above."""
    for order in s.orders:
        action = _overdue(s, order) or _unwanted(s, order)
        if action is not None:
            return action
    if s.target == 1:
        return _entry(s)
    return _exit(s) if s.target == 0 else Done()


def _overdue(s: Situation, order: Order) -> Action | None:
    close = s.closes.get(order.client_order_id)
    if close is None or s.now < close + DAY_ORDER_GRACE:
        return None
    if order.cancel_requested_at is None:
        return Cancel(order, "still open an hour after its session's close")
    since = _left_open_since(s, order)
    if since is None or s.in_doubt or not _agreed_since(s, since):
        return None
    return GiveUp(order) if s.now >= since + PATIENCE else None


def needs_comparison(s: Situation) -> bool:
    """Whether an order is not ended here before a comparison has shown that the broker leaves it open.

    Time proves nothing: the update that tells of its fill, or of its end, may be lost.
    """
    overdue = [_left_open_since(s, order) for order in s.orders]
    return any(since is not None and not _agreed_since(s, since) for since in overdue)


def _left_open_since(s: Situation, order: Order) -> datetime | None:
    """Return since when an order's time is over and its cancel asked for; None where one of it is not so."""
    close, asked = s.closes.get(order.client_order_id), order.cancel_requested_at
    if close is None or asked is None or order.status not in ACKNOWLEDGED:
        return None
    since = max(asked, close + DAY_ORDER_GRACE)
    return since if s.now >= since else None


def _agreed_since(s: Situation, since: datetime) -> bool:
    return s.agreed_at is not None and s.agreed_at >= since


def _unwanted(s: Situation, order: Order) -> Action | None:
    if order.cancel_requested_at is not None:
        return None
    why = s.split or (_why_no_exit(s, order) if order.reduces else _why_no_entry(s, order))
    return Cancel(order, why) if why else None


def _why_no_entry(s: Situation, entry: Order) -> str:
    if s.target == 0:
        return "its target is now flat"
    if s.entries_blocked:
        return s.entries_blocked
    timeout = timeout_of(entry, s.timeout)
    if timeout and entry.status is not Status.PENDING and s.now - _since(entry) >= timeout:
        return f"not filled within {counted(timeout // timedelta(minutes=1), 'minute')}"
    return ""


def _since(entry: Order) -> datetime:
    """Return when an entry last came nearer to being filled."""
    if entry.filled_qty and entry.updated_at is not None:
        return entry.updated_at
    return entry.submitted_at or entry.created_at


def timeout_of(entry: Order, default: timedelta) -> timedelta:
    """Return after what time an entry's unfilled rest is canceled; 0: never."""
    if entry.timeout_minutes is not None:
        return timedelta(minutes=entry.timeout_minutes)
    resting = entry.type is OrderType.LIMIT and not entry.filled_qty
    return timedelta(0) if resting else default


def _why_no_exit(s: Situation, exit_: Order) -> str:
    if s.by_operator and s.target == 0 and exit_.type is OrderType.LIMIT:
        return "the operator flattens the position: a market order replaces it"
    counted = [order for order in s.orders if order.reduces and order.cancel_requested_at is None]
    if counted and exit_ is counted[-1] and _selling(counted) > abs(s.held):
        return f"only {abs(s.held):f} are held"
    return ""


def _entry(s: Situation) -> Action:
    if not s.decided_now or any(not order.reduces for order in s.orders):
        return Done()
    return Enter()


def _exit(s: Situation) -> Action:
    if s.held == 0 or (s.held < 0 and not s.by_operator):
        return Done()
    exits = [order for order in s.orders if order.reduces and not lost(order, s.now)]
    missing = abs(s.held) - _selling(exits)
    if missing <= 0:
        return Done()
    if s.split:
        return Wait(None, s.split)
    if s.compared_until is not None and s.now < s.compared_until:
        return Wait(s.compared_until, "positions are being compared with the broker's")
    return _clear_the_way(s) or _after_the_last(s, missing)


def lost(exit_: Order, now: datetime) -> bool:
    """Whether an exit counts no more: not wanted for a minute, and nobody knows if it ever arrived."""
    asked = exit_.cancel_requested_at
    return exit_.status is Status.UNKNOWN and asked is not None and now - asked >= PATIENCE


def _clear_the_way(s: Situation) -> Action | None:
    """A broker refuses an exit that would meet an open entry of the same account."""
    for entry in s.opposing:
        if entry.cancel_requested_at is None:
            return Cancel(entry, "an exit in the symbol takes priority")
    asked = [
        entry.cancel_requested_at
        for entry in (*s.orders, *s.opposing)
        if not entry.reduces and entry.cancel_requested_at is not None
    ]
    until = max(asked) + PATIENCE if asked else None
    if until is not None and s.now < until:
        return Wait(until, "a canceled entry has not ended yet")
    return None


def _after_the_last(s: Situation, missing: Decimal) -> Action:
    last, qty = s.last_exit, min(missing, s.free)
    if last is not None and last.status.terminal and last.status is not Status.FILLED:
        if _learned(last):
            qty = min(qty, last.available or ZERO)
        elif not s.at_once and s.now < (until := retry_at(last, s.next_open)):
            return Wait(until, f"its exit was {last.status}: {last.reason}")
    if qty <= 0:
        return Wait(None, "other orders hold the shares")
    return Exit(qty, last.attempt + 1 if last is not None else 1)


def _learned(last: Order) -> bool:
    """Whether an exit failed in a way that says at once what to ask for instead."""
    if last.status is not Status.REJECTED or last.cause is not RefusalCause.AVAILABLE:
        return False
    return last.available is not None and 0 < last.available < last.qty


def retry_at(failed: Order, next_open: datetime | None) -> datetime:
    """Return when an exit that failed is tried again: the pause doubles with each attempt.

    What has failed while the market is closed is not tried again before it opens.
    """
    at = failed.updated_at or failed.created_at
    if failed.cancel_requested_at is not None or failed.given_up_at is not None:
        return at
    if failed.cause is RefusalCause.POSITION and failed.attempt == 1:
        return at
    pause = timedelta(minutes=2 ** min(failed.attempt - 1, DOUBLINGS))
    return max(at + pause, next_open) if next_open is not None else at + pause


def _selling(exits: list[Order]) -> Decimal:
    return sum((abs(order.open_qty) for order in exits), ZERO)
