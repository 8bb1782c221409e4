"""A listing of records: a row for each, with what does not fit on it on indented lines below.

A terminal of 80 columns shows every cell in full: reasons and other long texts have lines of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from smabot.cli.output import PIPE_WIDTH, Columns, clean
from smabot.cli.text_layout import wrapped

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.measure import Measurement
    from rich.text import Text

GAP = "  "
INDENT = "    "
NARROWEST_NOTE = 30
"""Columns that a note gets at least: a narrower terminal breaks its line itself."""


class Listing:
    """A table of records for `App.emit`."""

    def __init__(
        self,
        columns: Columns,
        records: Iterable[Any],
        *,
        movable: tuple[str, Callable[[Any], Any]] | None = None,
        notes: Callable[[Any], Iterable[str]] | None = None,
    ) -> None:
        """A column whose title starts with ``>`` is aligned to the right.

        ``movable`` is a last column that moves below the rows where the terminal is too narrow for it;
        ``notes`` are texts that always stand there.
        """
        records = list(records)
        self._right = [title[:1] == ">" for title, _ in columns]
        self._heads = [title.lstrip(">") for title, _ in columns]
        self._cells = [[_text(cell(record)) for _, cell in columns] for record in records]
        self._movable = None if movable is None else movable[0]
        self._moved = [_text(movable[1](record)) for record in records] if movable else []
        self._notes = (
            [[_text(n) for n in notes(record) if n] for record in records] if notes else []
        )

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement

        narrow = _width(self._aligned(self._heads, self._cells)[1])
        return Measurement(narrow, max(narrow, min(PIPE_WIDTH, options.max_width)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        from rich.text import Text

        head, rows, moved = self._fitted(options.max_width)
        yield Text(head, style="bold", no_wrap=True, overflow="ignore", end="\n")
        for number, row in enumerate(rows):
            below = [
                *([moved[number]] if moved else []),
                *(self._notes[number] if self._notes else []),
            ]
            lines = [row, *(line for note in below for line in _indented(note, options.max_width))]
            yield Text("\n".join(lines), no_wrap=True, overflow="ignore")

    def _fitted(self, width: int) -> tuple[str, list[str], list[str]]:
        """Return the heading, the rows, and what has moved below them."""
        if self._movable is not None:
            heads = [*self._heads, self._movable]
            cells = [[*row, last] for row, last in zip(self._cells, self._moved, strict=True)]
            head, rows = self._aligned(heads, cells)
            if max(map(_width_of, [head, *rows])) <= width:
                return head, rows, []
        head, rows = self._aligned(self._heads, self._cells)
        return head, rows, self._moved

    def _aligned(
        self, heads: Sequence[str], cells: Sequence[Sequence[str]]
    ) -> tuple[str, list[str]]:
        widths = [max(map(_width_of, column)) for column in zip(heads, *cells, strict=True)]
        right = [*self._right, *[False] * (len(heads) - len(self._right))]
        head, *rows = (
            GAP.join(
                _padded(cell, width, on_right)
                for cell, width, on_right in zip(line, widths, right, strict=True)
            ).rstrip()
            for line in [heads, *cells]
        )
        return head, rows


class Details:
    """One record in full, for `App.emit`: a line for each name and its text, without those that are empty."""

    def __init__(self, details: Mapping[str, str]) -> None:
        self._details = {name: _text(text) for name, text in details.items() if text}

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement

        return Measurement(1, options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        from rich.text import Text

        names = max(map(len, self._details), default=0)
        room = options.max_width - names - len(GAP)
        for name, text in self._details.items():
            lines = [text] if room < NARROWEST_NOTE else wrapped(text, room)
            for number, line in enumerate(lines):
                label = name if number == 0 else ""
                yield Text(f"{label:{names}}{GAP}{line}", no_wrap=True, overflow="ignore")


def _text(value: Any) -> str:
    return clean("" if value is None else str(value)).replace("\n", " ")


def _padded(text: str, width: int, on_right: bool) -> str:
    spaces = " " * (width - _width_of(text))
    return spaces + text if on_right else text + spaces


def _indented(note: str, width: int) -> list[str]:
    room = width - len(INDENT)
    if room < NARROWEST_NOTE:
        return [INDENT + note]
    return [INDENT + line for line in wrapped(note, room)]


def _width(rows: Iterable[str]) -> int:
    return max(map(_width_of, rows), default=0)


def _width_of(text: str) -> int:
    from rich.cells import cell_len

    return len(text) if text.isascii() else cell_len(text)
