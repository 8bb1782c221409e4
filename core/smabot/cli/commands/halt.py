"""`smabot halt`: stops new entries."""

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
    """Stop new entries, across restarts too; exits still pass."""
    answer = app.send("halt", _as_utf8(" ".join(reason)))
    app.emit({"answer": answer}, app.times.in_text(answer, near=app.wall()))


def _as_utf8(text: str) -> str:
    """Return an argument as text, also where the locale knows less than the terminal sent."""
    return os.fsencode(text).decode("utf-8", "replace")
