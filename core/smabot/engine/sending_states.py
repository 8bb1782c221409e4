"""An order on its way to the broker: what is known of it, in one of four states.

| | state | ends when | then |
|---|---|---|---|
| 1 | `TO_JUDGE` | the gate lets it leave | 2 |
| | | the gate drops it and it never left, or its absence is proven | it ends: blocked, abandoned |
| | | the gate drops it and it may have left | 4 |
| 2 | `GRANTED` | the broker answers | it ends |
| | | its grant ends before it leaves, or the broker does not take the key | 1 |
| | | the rate limit turns it away | 3 |
| | | nobody knows whether it arrived | 4 |
| 3 | `PAUSED` | its pause is over | 1 |
| 4 | `QUERIED` | the broker shows it | it ends |
| | | the broker does not, and that is proven | 1 |

What must hold: an order in state 2 was committed before, and its grant is of the current epoch. An order
that may have left (``left``) is sent again only from state 1, that is, after its status was queried in vain. Its
id never changes, so that the broker takes it once at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from smabot.domain.records import Order


class State(Enum):
    """Where an order stands on its way; see the module."""

    TO_JUDGE = 1
    GRANTED = 2
    PAUSED = 3
    QUERIED = 4


@dataclass(slots=True, eq=False)
class Sending:
    """An order that is not known to have arrived.

    ``left``: it may have left, in this process or an earlier one. ``sent_at`` is when this process sent
    it last, ``queries`` how often its status was queried since, ``sends`` how often it was sent without an
    answer, ``waits`` how many status queries a step still waits for. ``why``: why it waits. ``frozen``: the
    operator was informed. ``was_over``: its day was over at the last status query.
    ``turned_away``: how often the broker refused the key, or the
    account, with it, ``retry_at``: when it may be sent again after that.
    """

    order: Order
    left: bool = False
    state: State = State.TO_JUDGE
    sent_at: datetime | None = None
    queries: int = 0
    sends: int = 0
    waits: int = 0
    frozen: bool = False
    was_over: bool = False
    why: str = ""
    turned_away: int = 0
    retry_at: datetime | None = None
