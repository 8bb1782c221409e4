"""`smabot resume`: allows new entries again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from smabot.cli.app import App


@click.command()
@click.pass_obj
def resume(app: App) -> None:
    """Allow new entries again."""
    answer = app.send("resume")
    app.emit({"answer": answer}, app.times.in_text(answer, near=app.wall()))
