"""A screen that shows a result again and again, until Ctrl-C ends it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

SHORTEST = 0.5
"""Seconds between two looks, at least."""


def watch(show: Callable[[], list[Any]], title: Callable[[], str], seconds: float) -> None:
    """Show lines and tables on the whole terminal, read anew every ``seconds``; Ctrl-C returns.

    What does not fit below each other is left out, and the last line says so.
    """
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False, markup=False, emoji=False)
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(_fitted([title(), *show()], console), refresh=True)
                time.sleep(max(seconds, SHORTEST))
    except KeyboardInterrupt:
        return


def _fitted(parts: list[Any], console: Any) -> Any:
    """Return parts as one text of as many lines as the terminal has."""
    from rich.text import Text

    from smabot.cli.output import clean

    with console.capture() as captured:
        for part in parts:
            console.print(clean(part) if isinstance(part, str) else part)
    lines = captured.get().splitlines()
    room = console.height
    if len(lines) > room:
        below = len(lines) - room + 1
        lines = [*lines[: room - 1], f"… {below} more lines: `smabot status` shows all"]
    return Text.from_ansi("\n".join(lines), no_wrap=True)
