"""What all commands share: the settings, the plugins, the database, and how to show a result.

Plugin commands find it as ``ctx.obj``. Everything in it is opened when it is first used.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smabot.errors import ConfigError, LockHeld, SmabotError, one_line
from smabot.system import stdio
from smabot.system.paths import is_same_file
from smabot.system.redaction import redact
from smabot.system.wall_clock import Wall, utc_now

if TYPE_CHECKING:
    from smabot.cli.progress_bar import Tell
    from smabot.cli.times import Times
    from smabot.hooks.plugins import Plugins
    from smabot.settings.loading import Flag, Loaded
    from smabot.settings.model import Config
    from smabot.system.deprecation import OldName


@dataclass(slots=True)
class _Read:
    """What was read with the shared options as they are; None: not yet."""

    loaded: Loaded | None = None
    plugins: Plugins | None = None
    journal_plugins: Plugins | None = None


class App:
    """The options that all commands share, with the settings, plugins and database that follow from them."""

    def __init__(self) -> None:
        self.settings: Path | None = None
        self.db: Path | None = None
        self.as_json = False
        self.utc = False
        self.verbose = 0
        self.wall: Wall = utc_now
        self.answers = True
        """Whether a command exists for its answer on stdout, so that it fails where that is lost."""
        self.debug = os.environ.get("SMABOT_DEBUG", "0") not in ("", "0")
        self._read = _Read()
        self._warned: set[str] = set()
        self._header: dict[str, str] = {}

    def set_option(self, name: str, value: Any) -> None:
        """Set a shared option; what was read without it is dropped."""
        setattr(self, name, value)
        self._read = _Read()

    def shared_options(self) -> list[str]:
        """Return the words that make another command use the same settings and database."""
        from shlex import quote

        named = (("--settings", self.settings), ("--db", self.db))
        return [f"{option} {quote(str(path))}" for option, path in named if path is not None]

    # -- settings and plugins ----------------------------------------------------------------------

    def load(self, flags: Sequence[Flag] = ()) -> Loaded:
        """Read the settings with a command's own flags as the top layer. Raises ConfigError."""
        from smabot.hooks.discovery import settings_of
        from smabot.settings.loading import Flag, load

        shared = [Flag("db", "--db", str(self.db))] if self.db is not None else []
        loaded = load(self.settings, [*shared, *flags], settings_of)
        self._read = _Read(loaded)
        return loaded

    def loaded(self) -> Loaded:
        """Return the settings with their origins, read once. Raises ConfigError."""
        return self._read.loaded or self.load()

    def config(self) -> Config:
        """Return the settings, read once. Raises ConfigError."""
        return self.loaded().config

    def plugins(self) -> Plugins:
        """Return the selected plugins and those of the last run, as far as they work.

        One that does not is left out with a warning. Raises ConfigError when the settings are wrong.
        """
        if self._read.plugins is None:
            config = self.config()
            names = [*config.base_plugins, *config.plugins, *self._plugins_of_last_run()]
            self._read.plugins = self._working_plugins(names)
        return self._read.plugins

    def selected_plugins(self) -> Plugins:
        """Return only the selected plugins, as far as they work, to flatten with."""
        config = self.config()
        return self._working_plugins([*config.base_plugins, *config.plugins])

    def journal_plugins(self) -> Plugins:
        """Return only the plugin that keeps the journal: halt, resume and flatten read by it.

        It is one of `base_plugins`; the other plugins are imported only where none of those keeps one.
        """
        if self._read.journal_plugins is None:
            from smabot.hooks.plugin_calls import KEEPING

            config = self.config()
            self._read.journal_plugins = self._working_plugins(config.base_plugins, KEEPING)
            if not self._read.journal_plugins.names:
                self._read.journal_plugins = self._working_plugins(config.plugins, KEEPING)
        return self._read.journal_plugins

    def _working_plugins(
        self, names: Sequence[str], having: Collection[str] | None = None
    ) -> Plugins:
        from smabot.hooks.plugins import Plugins
        from smabot.hooks.specifications import HOOKS

        loaded = self.loaded()
        names = list(dict.fromkeys(names))
        return Plugins.load_sound(
            loaded.config, names, loaded.origins, self.warn, HOOKS if having is None else having
        )

    def _plugins_of_last_run(self) -> list[str]:
        """Return the plugins of the last run, which a flag may have chosen; none without a database.

        A file that only the database names is not loaded: a database must not make code run.
        """
        return [name for name, file in self._last_run().items() if not file]

    def unnamed_files(self) -> dict[str, str]:
        """Return by name the files of the last run's plugins that the settings do not name now."""
        return {name: file for name, file in self._last_run().items() if file}

    def _last_run(self) -> dict[str, str]:
        from smabot.cli.last_run import plugins_of_last_run

        try:
            with closing(self.journal_plugins().open_rows(self.config())) as rows:
                return plugins_of_last_run(rows, self.config())
        except SmabotError:
            return {}  # whoever needs the database gets the error

    def record_kinds(self) -> tuple[type, ...]:
        """Return all declared record classes, core's and the plugins'."""
        return self.plugins().kinds()

    # -- records -----------------------------------------------------------------------------------

    @contextmanager
    def rows(self, plugins: Plugins | None = None) -> Iterator[Any]:
        """Open the database read-only, as `smabot.hooks.ports.Rows`; safe while the bot is running.

        Raises ConfigError when there is none.
        """
        from smabot.domain.bot_records import Run

        config = self.config()
        plugins = plugins or self.plugins()
        with plugins.named_in_errors(), closing(plugins.open_rows(config)) as rows:
            last = rows.rows(Run, newest_by="started_at", limit=1)
            self._header = {"mode": last[0].mode if last else config.mode, "db": str(config.db)}
            yield rows

    def send(self, verb: str, argument: str = "") -> str:
        """Let the running bot carry out an operator's command, or do it here; return the answer.

        It is valid for a minute of wall time, a halt until it is carried out. Core's own commands need
        only the plugin that keeps the journal. Raises SmabotError when the running bot does not
        answer, or has no plugin for it, and Interrupted when Ctrl-C withdrew it meanwhile.
        """
        from smabot.engine.operator_commands import UNKNOWN_COMMAND

        answer = self._answer_of(verb, argument)
        if answer.startswith(UNKNOWN_COMMAND):
            raise SmabotError(
                f"{answer}, so nothing was done: stop the bot and give it again, or start the bot with "
                "that plugin"
            )
        return answer

    def compare_with_broker(self) -> None:
        """Compare the database with the broker and show it, as `smabot reconcile` does; changes nothing.

        Raises ConflictError when they disagree, BrokerError when the broker does not answer.
        """
        from smabot.cli.broker_reconciliation import reconcile_with_broker

        self.set_up_log()
        reconcile_with_broker(self.loaded(), None, self.as_json, self.times)

    def _answer_of(self, verb: str, argument: str) -> str:
        from uuid import uuid4

        from smabot.cli.command_delivery import deliver_to_bot
        from smabot.domain.bot_records import Command
        from smabot.engine.operator_commands import CORE_VERBS, expiry
        from smabot.engine.start.offline_command import apply_command_offline

        plugins = self.journal_plugins() if verb in CORE_VERBS else self.plugins()
        now = self.wall()
        command = Command(uuid4().hex, verb, argument, now, expires_at=expiry(verb, now))

        def here() -> str | None:
            try:
                with plugins.named_in_errors():
                    return apply_command_offline(self.config(), plugins, command, self.wall)
            except LockHeld:
                return None

        with self.rows(plugins) as rows:
            if not rows.in_use() and (answer := here()) is not None:
                return answer
            return deliver_to_bot(rows, command, here, self.wall, self._say)

    @property
    def last_mode(self) -> str:
        """PAPER or LIVE, as the last run was; known once `rows` was opened."""
        return self._header.get("mode", self.config().mode)

    # -- output ------------------------------------------------------------------------------------

    @property
    def times(self) -> Times:
        """How times look on the screen."""
        from smabot.cli.times import Times

        return Times(utc=self.utc)

    @property
    def heading(self) -> str:
        """PAPER or LIVE and the database's name, once `rows` was opened; else empty."""
        return " ".join(self._header.values())

    @staticmethod
    def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, heads: bool = True) -> Any:
        """Return a table for `emit`; a column whose name starts with ``>`` is aligned to the right."""
        from smabot.cli import output

        return output.table(columns, rows, heads=heads)

    def emit(self, data: Any, screen: Any, as_json: bool = False) -> None:
        """Show a result on stdout: as JSON, or as a line, lines, or rich renderables.

        Above what came from the database stand PAPER or LIVE and the database's name.
        """
        from smabot.cli import output

        if as_json or self.as_json:
            headed = {**self._header, **data} if isinstance(data, dict) else data
            output.print_json(headed)
            return
        title = [self.heading] if self._header else []
        parts = screen if isinstance(screen, list | tuple) else [screen]
        output.print_screen([*title, *parts])

    def progress(self, total: int | None) -> AbstractContextManager[Tell]:
        """Return the context of a progress bar with the time that is left, where stderr is a terminal; it
        yields what to call with how much is done, and a text."""
        from smabot.cli.progress_bar import progress_bar

        return progress_bar(self, total)

    def warn(self, text: str) -> None:
        """Write a warning, one line on stderr; the same one once."""
        if text not in self._warned:
            self._warned.add(text)
            self._say(f"warning: {text}")

    def warn_of_old_name(self, used: OldName) -> None:
        """Warn that a plugin uses a name that moved."""
        from smabot.hooks.discovery import user_of

        self.warn(f"{user_of(used.user)} imports {used.old}; {used.remedy}")

    def fail(self, text: str, error: BaseException | None, code: int | None = None) -> int:
        """Write an error, one line on stderr; returns its exit code."""
        if self.debug and error is not None:
            click.echo(redact("".join(traceback.format_exception(error))), err=True)
        self._say(text)
        return code if code is not None else int(getattr(error, "exit_code", 1))

    def _say(self, text: str) -> None:
        shown = one_line(text)
        if " UTC" in shown:
            shown = self.times.in_text(shown, near=self.wall())
        click.echo(f"smabot: {shown}", err=True)

    def outlive_screens(self) -> None:
        """Keep running when stdout and stderr have no reader any more: trading must not depend on them."""
        self.answers = False
        stdio.do_not_wait()

    def set_up_log(self) -> None:
        """Start the log: to the file as set, to stderr from WARNING on, or as ``-v`` sets it.

        The screen shows already what a run does.
        """
        from smabot.system import log

        config = self.config()
        wanted = config.log
        _require_log_file_apart(config, self.settings)
        level = ("WARNING", "DEBUG", "TRACE")[min(self.verbose, 2)]
        log.set_up(level, wanted.file, wanted.level)


def _require_log_file_apart(config: Config, settings: Path | None) -> None:
    """Raise ConfigError where the log would be written into another file of the run."""
    if (file := config.log.file) is None:
        return
    from smabot.settings.loading import files_of
    from smabot.system.new_database import database_files

    others = dict(zip(files_of(settings), ("the settings file", "the secrets file"), strict=True))
    if config.data is not None and Path(config.data).is_file():
        others[Path(config.data)] = "the file that --data names"
    for path, name in ((config.db, "--db"), (config.ledger_path, "--ledger")):
        others[path] = f"the file that {name} names"
        for beside in database_files(Path(os.path.realpath(path)))[1:]:
            others[beside] = f"a part of what {name} names"
    for path, what in others.items():
        if is_same_file(file, path):
            raise ConfigError(f"log.file {file}: is {what}: give another one")
