"""A progress bar on stderr, where that is a terminal, with the time that is left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Output(Protocol):
    """What is known of a command's output: the `App`."""

    as_json: bool


class Tell(Protocol):
    """Tells how much is done, and in words; ``total`` where it was not known before."""

    def __call__(self, done: int, text: str, total: int | None = None) -> None: ...


@contextmanager
def progress_bar(app: Output, total: int | None) -> Iterator[Tell]:
    """Show the bar in the body; yields what to tell of the progress."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if app.as_json or not console.is_terminal:
        yield lambda done, text, total=None: None
        return
    columns = (BarColumn(20), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)

        def tell(done: int, text: str, total: int | None = None) -> None:
            progress.update(task, completed=done, description=text, total=total)

        yield tell
