"""Lays text out in a screen's width: lines are wrapped between words, and nothing is cut."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import TextIO

NARROWEST = 40
"""Columns that a text is laid out for at least: a narrower terminal wraps by itself."""


def width_of(out: TextIO) -> int | None:
    """Return how many columns a terminal has; None for a pipe or a file, where nothing is wrapped."""
    return max(shutil.get_terminal_size().columns, NARROWEST) if out.isatty() else None


def wrapped(text: str, width: int | None, indent: int = 0) -> list[str]:
    """Return a text in lines; those after the first are indented by so many columns."""
    if width is None or len(text) <= width:
        return [text]
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def with_reason(text: str, reason: str, width: int | None, indent: int) -> list[str]:
    """Return a line with its reason behind it, or below it where both don't fit."""
    if not reason:
        return wrapped(text, width, indent)
    whole = f"{text}{' ' if text.endswith(':') else '  '}{reason}"
    if width is None or len(whole) <= width:
        return [whole]
    below = wrapped(" " * indent + reason, width, indent)
    return [*wrapped(text, width, indent), *below]


def named_values(
    pairs: Sequence[tuple[str, str]], width: int | None, margin: int = 2, between: str = ""
) -> Iterator[str]:
    """Yield names and values as two columns.

    A value of alternatives, with ``between`` between them, has each on a line of its own where it is too
    long for one.
    """
    names = max((len(name) for name, _ in pairs), default=0)
    start = margin + names + 2
    for name, value in pairs:
        parts = [value]
        if between and width is not None and start + len(value) > width:
            parts = value.split(between)
        for place, part in enumerate(parts):
            head = f"{' ' * margin}{name if place == 0 else '':<{names}}  "
            yield from wrapped(f"{head}{part}".rstrip(), width, start)
