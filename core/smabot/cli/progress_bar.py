"""A progress bar on stderr, where that is a terminal, with the time that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smabot.cli.app import App

Tell = Callable[[int, str], None]
"""Tells how much is done, and in words."""


@contextmanager
def progress_bar(app: App, total: int | None) -> Iterator[Tell]:
    """Show the bar in the body; yields what to tell of the progress."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    shown = console.is_terminal and not app.as_json
    columns = (BarColumn(20), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not shown, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda done, text: progress.update(task, completed=done, description=text)
