"""How a running bot is: facts that its deciding thread states every few seconds, and what is wrong by them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from smabot.domain.calendar import MINUTE
from smabot.domain.frozen_classes import frozen

OK, DEGRADED, DEAD = "ok", "degraded", "dead"
STARTING, TRADING, WAITING = "starting", "trading", "waiting for the open"
STOPPING, ENDED = "stopping", "ended"
"""What a run is doing. One that has ended by itself leaves its last health as `ENDED`."""
MAX_BAR_AGE = 3 * MINUTE
"""So long after the end of the newest bar a session has none any more."""


@frozen
class Health:
    """One statement of the deciding thread about itself and its bot.

    ``time``, ``started_at`` and ``last_commit`` are the wall clock's, UTC. ``feed_time``, ``last_bar``,
    ``compared_at``, ``session_open`` and ``streams_lost_since`` are the feed's, UTC, which is
    the market's. Money is in US dollars. What is not known yet is None or empty.
    """

    phase: str
    """`STARTING`, `TRADING`, `WAITING`, `STOPPING`, or `ENDED`."""
    time: datetime
    monotonic: float
    """When it was made, in seconds of this machine's monotonic clock: its age, whatever is done to the
    wall clock."""
    pid: int
    version: str
    mode: str
    """``PAPER`` or ``LIVE``."""
    started_at: datetime
    start_step: str = ""
    """The newest step of the start that is done."""
    run_id: str = ""
    reasons: tuple[str, ...] = ()
    """What is wrong, a line each; empty where all is well."""
    ready_seconds: float | None = None
    """How long the start took."""
    follows_wall_clock: bool = False
    """Whether the market goes on by itself; a replayed one waits for the bot."""
    feed_time: datetime | None = None
    session_open: datetime | None = None
    """When the session opened that is on; None: none is."""
    last_bar: datetime | None = None
    """The end of the newest bar."""
    streams_lost: str = ""
    """Why order updates may be missing; empty where they arrive."""
    streams_lost_since: datetime | None = None
    entries_paused: str = ""
    """Why no entry leaves just now: streams, broker, key or account; empty where it may."""
    halted: str = ""
    """Why the operator halted the bot; empty where it is not halted."""
    blocks: tuple[str, ...] = ()
    """What else blocks orders, as a tripped breaker: the plugin and its reason."""
    unpriced: str = ""
    """Which positions have no price, so that no entry leaves."""
    frozen_symbols: tuple[str, ...] = ()
    """Symbols without entries, as it is unknown whether the broker has an order in them."""
    split_symbols: tuple[str, ...] = ()
    """Symbols in which nothing is traded before the broker has followed a split."""
    last_commit: datetime | None = None
    compared_at: datetime | None = None
    """When the newest comparison with the broker that found no conflict had begun."""
    compared_every: timedelta = timedelta()
    equity: Decimal | None = None
    cash: Decimal | None = None
    positions: int = 0
    open_orders: int = 0
    step_seconds: float = 0.0
    """The longest step since the health before this one."""
    exit_code: int | None = None
    """How the run ended; None: it has not."""
    outcome: str = ""

    @property
    def state(self) -> str:
        """``ok`` or ``degraded``."""
        return DEGRADED if self.reasons else OK


def stored(health: Health) -> bytes:
    """Return a health as its file holds it: JSON."""
    return msgspec.json.encode(health)


def read_health(content: bytes) -> Health:
    """Return a health as it was stored. Raises ValueError where it can't be read."""
    return msgspec.json.decode(content, type=Health)


def reasons_of(health: Health, max_bar_age: timedelta = MAX_BAR_AGE) -> tuple[str, ...]:
    """Return what is wrong with a running bot, a line each, what weighs most first."""
    return tuple(_reasons(health, max_bar_age))


def _reasons(health: Health, max_bar_age: timedelta) -> Iterator[str]:
    if health.phase == STARTING:
        lasting = (health.time - health.started_at).total_seconds()
        step = f", its step '{health.start_step}' is done" if health.start_step else ""
        yield f"it has been starting for {lasting:.0f} s{step}"
    if health.halted:
        yield f"halted: {health.halted}"
    yield from health.blocks
    if health.streams_lost_since is not None:
        yield f"streams lost since {_clock(health.streams_lost_since)}: {health.streams_lost}"
    told = health.streams_lost_since is not None and health.streams_lost in health.entries_paused
    if health.entries_paused and not told:
        yield f"entries are paused: {health.entries_paused}"
    if health.unpriced:
        yield f"no entries: {health.unpriced}"
    if health.frozen_symbols:
        yield f"unknown orders in {', '.join(health.frozen_symbols)}"
    if health.split_symbols:
        yield f"the broker has not followed the split of {', '.join(health.split_symbols)}"
    yield from _too_old(health, max_bar_age)


def _too_old(health: Health, max_bar_age: timedelta) -> Iterator[str]:
    """Yield what should be newer; nothing of a replayed market, which waits for the bot."""
    now, bar = health.feed_time, health.last_bar
    if not health.follows_wall_clock or now is None:
        return
    if health.session_open is not None:
        since = max(health.session_open, bar or health.session_open)
        if now - since > max_bar_age:
            newest = f"the newest one ended at {_clock(bar)}" if bar else "there was none yet"
            yield f"no bar for {_minutes(now - since)}: {newest}"
        elif bar and (made := health.last_commit) and health.time - made > 2 * max_bar_age:
            yield f"bars come, but nothing was committed since {_clock(made)}"
    compared, patience = health.compared_at, 2 * health.compared_every + MINUTE
    if compared is not None and now - compared > patience:
        yield f"not compared with the broker for {_minutes(now - compared)}"


def _clock(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _minutes(span: timedelta) -> str:
    return f"{span / MINUTE:.0f} minutes"
