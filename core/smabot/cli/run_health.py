"""A run's health: its file beside the database, and who else is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from loguru import logger

from smabot.cli.notified_manager import NotifiedManager
from smabot.cli.run_session import RecordedRun, attended_run
from smabot.domain.bot_health import Health, stored
from smabot.domain.frozen_classes import replace
from smabot.engine.heartbeat import Heartbeat
from smabot.engine.start.bot_session import BotSession
from smabot.engine.surroundings import Surroundings
from smabot.errors import SmabotError
from smabot.hooks.plugins import Plugins
from smabot.hooks.telling_health import TellingHealth
from smabot.settings.model import Config
from smabot.system.new_database import health_file
from smabot.system.redaction import redact
from smabot.system.replaced_file import ReplacedFile
from smabot.system.service_manager import ServiceManager


class KeptHealth:
    """Writes each health to the database's file of it.

    Warns when it fails a second time: on a full disk the bot's next commit says more.
    """

    def __init__(self, config: Config, plugins: Plugins) -> None:
        self._config = config
        self._plugins = plugins
        self._failures = 0

    def __call__(self, health: Health) -> None:
        if "open_journal" not in self._plugins.openers:
            return  # nothing is kept, and there may be no such folder
        try:
            file = ReplacedFile(health_file(self._config.db))
            file.write(stored(replace(health, outcome=redact(health.outcome))))
        except OSError as error:
            self._failures += 1
            if self._failures == 2 and health.exit_code is None:
                logger.warning("the bot's health can't be written beside its database: {}", error)
        else:
            self._failures = 0


@contextmanager
def heartbeat(config: Config, plugins: Plugins) -> Iterator[Heartbeat]:
    """Let a run beat. What its start fails with within is its last health."""
    around = Surroundings()
    takers: list[Callable[[Health], None]] = [KeptHealth(config, plugins)]
    if (manager := ServiceManager()).listens:
        takers.append(NotifiedManager(manager))
    if hooks := plugins.on_health():
        takers.append(TellingHealth(hooks, around.seconds))
    heart = Heartbeat(config.mode, takers, around)
    try:
        yield heart
    except SmabotError as error:
        heart.end(error.exit_code, str(error))
        raise
    except BaseException:
        heart.end(1, "failed")
        raise


@contextmanager
def beating_run(session: BotSession, settings: str, heart: Heartbeat) -> Iterator[RecordedRun]:
    """Keep a run among ``runs``, tell plugins of what it commits, and at last how it ended."""
    run: RecordedRun | None = None
    try:
        with attended_run(session, settings) as run:
            heart.run_begun(session, run.row.run_id)
            yield run
    finally:
        if run is not None:
            heart.end(run.code, run.outcome)
