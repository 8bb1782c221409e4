"""The verbs that tell the bot something: `halt` and `resume`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from smabot.cli.app import App


@click.command()
@click.argument("reason", nargs=-1)
@click.pass_obj
def halt(app: App, reason: tuple[str, ...]) -> None:
    """Stop new entries, over restarts too; exits still pass."""
    _send(app, "halt", _as_utf8(" ".join(reason)))


@click.command()
@click.pass_obj
def resume(app: App) -> None:
    """Allow new entries again."""
    _send(app, "resume")


def _as_utf8(text: str) -> str:
    """Return an argument as text, also where the locale knows less than the terminal sent."""
    return os.fsencode(text).decode("utf-8", "replace")


def _send(app: App, verb: str, argument: str = "") -> None:
    answer = app.send(verb, argument)
    app.emit({"answer": answer}, answer)
