"""States the bot's health every few seconds, in the deciding thread: one that hangs states none."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import smabot
from smabot.domain import bot_health as phases
from smabot.domain.bot_health import Health, reasons_of
from smabot.domain.bot_records import HALT, Event
from smabot.domain.frozen_classes import replace
from smabot.domain.order_terms import Status
from smabot.domain.records import Bar
from smabot.engine.loop import Engine
from smabot.engine.pulse import Pulse
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.startup_report import StartupStep
from smabot.engine.surroundings import Surroundings
from smabot.hooks.ports import goes_by_itself

EVERY = 4.0
"""Seconds from one health to the next; a step that is under way comes on top."""


class Heartbeat(Pulse):
    """Makes a `Health` out of what a run has, and hands it to whoever takes it."""

    def __init__(
        self, mode: str, takers: Sequence[Callable[[Health], None]], surroundings: Surroundings
    ) -> None:
        """``takers``: called in the deciding thread, so they must be quick and must not raise."""
        self._takers = takers
        self._around = surroundings
        self._session: BotSession | None = None
        self._engine: Engine | None = None
        now = surroundings.wall()
        self._last = Health(
            phases.STARTING, now, surroundings.seconds(), os.getpid(), smabot.__version__, mode, now
        )
        """The newest health: what does not change is taken from it."""
        self._due = 0.0
        self._step_begun: float | None = None
        self._longest_step = 0.0

    # -- the run, from its start to its end --------------------------------------------------------

    def start_step_done(self, step: StartupStep) -> None:
        """A step of the start is done. The first one has locked the database: nothing is told before."""
        self._tell(replace(self._last, start_step=step.name))

    def run_begun(self, session: BotSession, run_id: str) -> None:
        """The run has its row; from now on ``session`` is looked at, and beats by this."""
        self._session, session.surroundings.pulse = session, self
        self._tell(replace(self._last, run_id=run_id))

    def ready(self, engine: Engine, seconds: float) -> None:
        """The start is over: the bot trades."""
        self._engine = engine
        self._tell(replace(self._last, phase=phases.TRADING, ready_seconds=seconds))

    def stop(self) -> None:
        """The bot trades no more, and ends."""
        self._tell(replace(self._last, phase=phases.STOPPING))

    def end(self, exit_code: int, outcome: str) -> None:
        """The run has ended, or its start has failed; what was told first counts."""
        if self._last.start_step and self._last.phase != phases.ENDED:
            self._engine = None
            self._tell(
                replace(self._last, phase=phases.ENDED, exit_code=exit_code, outcome=outcome)
            )

    # -- what the deciding thread passes by --------------------------------------------------------

    def beat(self) -> None:
        now = self._around.seconds()
        if self._step_begun is not None:
            self._longest_step = max(self._longest_step, now - self._step_begun)
            self._step_begun = None
        if now >= self._due:
            self._tell(self._last)

    def begin_step(self) -> None:
        self._step_begun = self._around.seconds()

    def committed(self, rows: Sequence[Any], bars: Sequence[Bar]) -> None:
        """Take note of a commit: when it was, and whether it tells that streams are lost, or back."""
        lost, since = self._last.streams_lost, self._last.streams_lost_since
        for row in rows:
            if isinstance(row, Event) and row.kind in ("stream_lost", "stream_back"):
                lost, since = (row.text, row.time) if row.kind == "stream_lost" else ("", None)
        wall = self._around.wall()
        self._last = replace(
            self._last, last_commit=wall, streams_lost=lost, streams_lost_since=since
        )

    # -- what is told ------------------------------------------------------------------------------

    def _tell(self, health: Health) -> None:
        now = self._around.seconds()
        self._due = now + EVERY
        health = replace(
            health, time=self._around.wall(), monotonic=now, step_seconds=self._longest_step
        )
        self._longest_step = 0.0
        if self._engine is not None and self._session is not None:
            health = _of_trading(health, self._session, self._engine)
        self._last = replace(health, reasons=reasons_of(health))
        for take in self._takers:
            take(self._last)


def _of_trading(health: Health, session: BotSession, engine: Engine) -> Health:
    """Return a health with what book, feed and engine say now."""
    book, standing, feed = session.book, engine.gate.standing, session.opened().feed
    now = feed.now()
    opened = book.calendar.session_at(now)
    phase = health.phase
    if phase != phases.STOPPING:
        closed = opened is None and bool(book.calendar.sessions)
        phase = phases.WAITING if closed else phases.TRADING
    point = book.point
    return replace(
        health,
        phase=phase,
        follows_wall_clock=goes_by_itself(session.opened().broker),
        feed_time=now,
        session_open=opened.open if opened is not None else None,
        last_bar=max((bar.end for bar in book.last.values()), default=None),
        entries_paused=standing.degraded,
        halted=book.halted,
        blocks=tuple(
            f"{block.plugin} blocks {block.scope}: {block.reason}"
            for block in book.blocking()
            if block.plugin != HALT
        ),
        unpriced=standing.unpriced,
        frozen_symbols=tuple(
            sorted({o.symbol for o in book.open_orders() if o.status is Status.UNKNOWN})
        ),
        split_symbols=tuple(sorted(s for s in book.last if book.splits and book.split_holds(s))),
        compared_at=standing.agreed_at,
        compared_every=timedelta(minutes=session.config.reconcile_every_minutes),
        equity=point.equity if point is not None else None,
        cash=book.account.cash if book.account is not None else None,
        positions=sum(1 for each in book.positions.values() if each.qty),
        open_orders=len(book.open_orders()),
    )
