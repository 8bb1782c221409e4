"""`smabot health`: whether the bot is well, for monitors; how that is found out is `smabot.cli.health_answer`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from smabot.errors import CANNOT_TELL, SmabotError

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.cli.health_answer import BotHealth
    from smabot.domain.bot_health import Health

UNITS = {"s": 1, "m": 60, "h": 3600}


if TYPE_CHECKING:
    ParamType = click.ParamType[timedelta]
else:
    ParamType = click.ParamType  # not generic in older releases


class Duration(ParamType):
    """A number of seconds, minutes or hours: ``90s``, ``3m``, ``1h``."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"(\d{1,6})([smh])", str(value).lower())
        if match is None or not int(match[1]):
            self.fail(f"'{value}' is no duration: give one as 90s, 3m or 1h", param, ctx)
        return timedelta(seconds=int(match[1]) * UNITS[match[2]])


class HealthCommand(click.Command):
    """A command whose failures have an exit code that is none of its answers."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        with _failing_apart():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with _failing_apart():
            return super().invoke(ctx)


@contextmanager
def _failing_apart() -> Iterator[None]:
    try:
        yield
    except click.exceptions.Exit:
        raise
    except Exception as error:
        error.exit_code = CANNOT_TELL  # type: ignore[attr-defined]
        raise


@click.command(cls=HealthCommand)
@click.option(
    "--max-age", type=Duration(), default="30s", metavar="TIME",
    help="A health that is older is that of a bot that hangs. [30s]",
)  # fmt: skip
@click.option(
    "--max-bar-age", type=Duration(), default="3m", metavar="TIME",
    help="In a session, a newest bar that is older is too old. [3m]",
)  # fmt: skip
@click.pass_obj
def health(app: App, max_age: timedelta, max_bar_age: timedelta) -> int:
    """Say whether the bot is ok, degraded or dead, for monitors.

    Exit code 0: ok; 1: degraded; 2: dead, which is stopped, killed or hung; 3: it can't be told, also for
    a wrong command line.
    """
    from smabot.cli.health_answer import EXIT_CODES, bot_health

    app.answers = False  # the exit code is the answer
    found = bot_health(app.config().db, max_age, max_bar_age, partial(_last_end, app))
    line = f"{found.state}: {'; '.join(found.reasons) or _doing(found.health)}"
    app.emit(_as_json(found), app.times.in_text(line, near=app.wall()))
    return EXIT_CODES[found.state]


def _doing(health: Health | None) -> str:
    """Return what a bot that is well does."""
    if health is None:
        return ""
    from smabot.errors import counted

    equity = f", equity {health.equity:,.2f}" if health.equity is not None else ""
    held, opened = counted(health.positions, "position"), counted(health.open_orders, "open order")
    return f"{health.mode} {health.phase}{equity}, {held}, {opened}"


def _last_end(app: App, health: Health | None) -> str:
    """Return how the last run ended, as ``runs`` has it; ``health``: what it left, if anything."""
    from smabot.cli.run_outcome import failure_of, how_it_ended
    from smabot.domain.bot_records import Run

    if health is not None and not health.run_id:
        return f"the last start was killed at {health.time:%Y-%m-%d %H:%M} UTC or a moment later"
    try:
        plugins = app.journal_plugins()
        with plugins.named_in_errors(), closing(plugins.open_rows(app.config())) as rows:
            runs = rows.rows(Run, newest_by="run_id", limit=1)
    except SmabotError as error:
        return str(error)
    if not runs:
        return "none has run yet"
    end, failure = how_it_ended(runs[0], running=False), failure_of(runs[0])
    told = f"{'was ' if end.startswith('killed') else ''}{end}{failure and f': {failure}'}"
    last = f", its last health is of {health.time:%Y-%m-%d %H:%M} UTC" if health else ""
    return f"the last one began at {runs[0].started_at:%Y-%m-%d %H:%M} UTC and {told}{last}"


def _as_json(found: BotHealth) -> dict[str, Any]:
    facts = asdict(found.health) if found.health is not None else {}
    told = {
        "state": found.state,
        "reasons": found.reasons,
        "age_seconds": None if found.age is None else round(found.age.total_seconds(), 1),
    }
    if (every := facts.pop("compared_every", None)) is not None:
        facts["compared_every_seconds"] = every.total_seconds()
    return told | {name: fact for name, fact in facts.items() if name not in (*told, "monotonic")}
