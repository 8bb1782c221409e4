"""A screen that shows a result again and again, until Ctrl-C ends it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from io import StringIO
from typing import TYPE_CHECKING, Any

from smabot.errors import SmabotError, counted, one_line
from smabot.system import stdio

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

SHORTEST = 0.5
"""Seconds between two looks, at least."""


def watch(show: Callable[[], list[Any]], title: Callable[[], str], seconds: float) -> None:
    """Show lines and tables on the whole terminal, read anew every ``seconds``; Ctrl-C returns, and so
    does the end of the terminal.

    What does not fit below each other is left out, and the last line says so. An error of the first look
    is raised; a later one is shown, as the next look may succeed.
    """
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False, markup=False, emoji=False)
    terminal = sys.stdout  # `Live` puts a proxy there, which is no terminal to an older rich
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            parts = show()
            while True:
                live.update(_fitted([title(), *parts], console), refresh=True)
                if stdio.lost() is not None or not terminal.isatty():
                    return  # it was closed: rich then writes nothing at all
                time.sleep(max(seconds, SHORTEST))
                try:
                    parts = show()
                except SmabotError as error:
                    parts = ["", f"can't be read now: {one_line(str(error))}"]
    except KeyboardInterrupt:
        return


def _fitted(parts: list[Any], terminal: Console) -> Text:
    """Return parts as one text of as many lines as the terminal has."""
    from rich.console import Console
    from rich.text import Text

    from smabot.cli.output import clean

    text = StringIO()
    console = Console(
        file=text,
        width=terminal.width,
        force_terminal=True,
        highlight=False,
        markup=False,
        emoji=False,
    )
    for part in parts:
        console.print(clean(part) if isinstance(part, str) else part)
    lines, room = text.getvalue().splitlines(), terminal.height
    if len(lines) > room:
        below = len(lines) - room + 1
        more = f"… {counted(below, 'more line')}: `smabot status` shows all"
        lines = [*lines[: room - 1], more]
    return Text.from_ansi("\n".join(lines), no_wrap=True)
