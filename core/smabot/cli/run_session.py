"""What every verb that opens a session needs: the account's check, a row in ``runs``, signals."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import smabot
from smabot.cli.screen import Screen
from smabot.domain.records import Run
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.opening import open_session
from smabot.errors import ConfigError
from smabot.hooks.plugin_output import printed_to_log
from smabot.hooks.plugins import Plugins
from smabot.settings.model import Config
from smabot.system import stdio

PATIENCE = 3.0
"""Seconds that a start has to end by itself when a stop is asked for."""


@contextmanager
def opened(config: Config, plugins: Plugins, screen: Screen) -> Iterator[BotSession]:
    """Open a session. Within it what plugins print is logged, and what they raise names them."""
    with printed_to_log(), plugins.named_in_errors():
        session = open_session(config, plugins, screen.step)
        try:
            _check_account(session)
            yield session
        finally:
            session.close()


def _check_account(session: BotSession) -> None:
    """Raise ConfigError when real money would be traded in another account than was named."""
    wanted = session.config.live_account
    if session.config.live and wanted and session.broker is not None:
        account = session.broker.account().account_id
        if account != wanted:
            raise ConfigError(
                f"live account {wanted} was named, but the broker's keys are those of account "
                f"{account}: nothing was started"
            )


def begin_run(session: BotSession) -> Run:
    now = session.wall()
    row = Run(
        run_id=f"{now:%Y%m%dT%H%M%S}.{now.microsecond:06d}-{os.getpid()}",
        pid=os.getpid(),
        version=smabot.__version__,
        plugins=",".join(session.plugins.names),
        mode=session.config.mode,
        started_at=now,
        ignored_blocks=",".join(session.ignored_blocks),
    )
    keep(session, row)
    return row


def keep(session: BotSession, row: Run) -> None:
    if session.journal is not None:
        session.journal.commit([row])


class StopAsked(KeyboardInterrupt):
    """A stop was asked for, and the start still waits for an answer. It may end anywhere, as by a kill."""


class Stop(threading.Event):
    """Set when a stop was asked for."""

    _starting = False

    @contextmanager
    def while_starting(self) -> Iterator[None]:
        """Raise StopAsked in what is done within, where it does not end soon after the stop."""
        self._starting = True
        try:
            yield
        finally:
            self._starting = False

    def be_heard(self, number: int, frame: Any) -> None:
        if self._starting:
            raise StopAsked


@contextmanager
def signals() -> Iterator[tuple[list[int], Stop]]:
    """Ask for a stop after the step on the first SIGINT or SIGTERM; leave at once on the second.

    Gives the signals received, and the event that asks.
    """
    received: list[int] = []
    stopping = Stop()

    def stop(number: int, frame: Any) -> None:
        received.append(number)
        stopping.set()
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        if len(received) > 1:
            stdio.last_words("left at once; nothing committed is lost")
            os._exit(130)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, stopping.be_heard)
    try:
        yield received, stopping
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
