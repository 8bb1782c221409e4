"""A session for a command that asks the broker: opened, its account checked, kept as a row in ``runs``."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import smabot
from smabot.domain.bot_records import BotState, Run
from smabot.domain.frozen_classes import replace
from smabot.domain.plugin_origins import PLUGIN_FILE
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.opening import open_session
from smabot.engine.start.startup_report import StartupStep
from smabot.errors import ConfigError, SmabotError
from smabot.hooks.discovery import named_by
from smabot.hooks.plugin_files import files_among
from smabot.hooks.plugin_output import printed_to_log
from smabot.hooks.plugins import Plugins
from smabot.hooks.telling_journal import TellingJournal
from smabot.settings.model import Config

LAST_WORDS = 5.0
"""Seconds that a run waits at its end for plugins that tell others of it."""
GC_THRESHOLDS = (100_000, 50, 100)
"""Records have no cycles: looking for some in each minute's bars would take a quarter of the minute."""


def rare_collections() -> None:
    """Let garbage be collected rarely in this process."""
    gc.set_threshold(*GC_THRESHOLDS)


@contextmanager
def opened_session(
    config: Config, plugins: Plugins, show: Callable[[StartupStep], None] = lambda step: None
) -> Iterator[BotSession]:
    """Open a session. In it, what plugins print is logged, and their errors name them."""
    with printed_to_log(), plugins.named_in_errors():
        session = open_session(config, plugins, show)
        try:
            _check_account(session)
            yield session
        finally:
            session.close()


def _check_account(session: BotSession) -> None:
    """Raise ConfigError when real money would be traded in another account than the named one."""
    wanted = session.config.live_account
    if session.config.live and wanted and session.broker is not None:
        session.account = session.broker.account()
        if session.account.account_id != wanted:
            raise ConfigError(
                f"live account {wanted} was named, but the broker's keys are those of account "
                f"{session.account.account_id}: nothing was started"
            )


@contextmanager
def attended_run(session: BotSession, settings: str | None = None) -> Iterator[RecordedRun]:
    """Keep a run as `recorded_run` does, and tell plugins of its begin, its end, and all that it commits."""
    with plugins_told(session):
        run: RecordedRun | None = None
        try:
            with recorded_run(session, settings) as run:
                session.plugins.on_start(run.row)
                yield run
        finally:
            if run is not None:
                session.plugins.on_stop(run.row)


@contextmanager
def plugins_told(session: BotSession) -> Iterator[None]:
    """Tell plugins within of what is committed, and at the end wait a moment for those that are slow."""
    hooks = session.plugins.after_commit()
    if not hooks or session.journal is None:
        yield
        return
    telling = TellingJournal(session.journal, hooks, session.surroundings, session.book)
    session.use(telling)
    try:
        yield
    finally:
        telling.finish(LAST_WORDS)


@dataclass
class RecordedRun:
    """A run's row, and how the run ends: its exit code and outcome."""

    row: Run
    code: int = 1
    outcome: str = "failed"


@contextmanager
def recorded_run(session: BotSession, settings: str | None = None) -> Iterator[RecordedRun]:
    """Keep the begin of a run and its end in ``runs``, with its ``settings`` as `begin_run_row` does.

    A SmabotError is the outcome where the body set none.
    """
    run = RecordedRun(begin_run_row(session, settings))
    try:
        yield run
    except SmabotError as error:
        run.code = error.exit_code
        run.outcome = str(error) if run.outcome == "failed" else run.outcome
        raise
    finally:
        ended = session.surroundings.wall()
        run.row = replace(run.row, ended_at=ended, exit_code=run.code, outcome=run.outcome)
        save_run_row(session, run.row)


def begin_run_row(session: BotSession, settings: str | None = None) -> Run:
    """Write the run's first row to ``runs``, and where each plugin is that comes from a file.

    ``settings`` are those to be kept with it (`smabot.cli.run_settings`).
    """
    now = session.surroundings.wall()
    row = Run(
        run_id=f"{now:%Y%m%dT%H%M%S}.{now.microsecond:06d}-{os.getpid()}",
        pid=os.getpid(),
        version=smabot.__version__,
        plugins=",".join(session.plugins.names),
        mode=session.config.mode,
        started_at=now,
        ignored_blocks=",".join(session.ignored_blocks),
        settings=settings,
    )
    files = [
        each for each in files_among(named_by(session.config)) if each.name in session.plugins.names
    ]
    save_run_row(session, row, *(BotState(f.name, PLUGIN_FILE, str(f.path)) for f in files))
    return row


def save_run_row(session: BotSession, row: Run, *more: BotState) -> None:
    """Write the run's row, and ``more`` with it; without a journal, nothing."""
    if session.journal is not None:
        session.journal.commit([row, *more])
