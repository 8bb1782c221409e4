"""A story's moments: what happened when, as the screen and JSON show it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from smabot.cli.output import PIPE_WIDTH, clean
from smabot.cli.text_layout import named_values, wrapped

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.measure import Measurement
    from rich.text import Text

    from smabot.cli.times import Times

ORDER = (
    "bar", "command", "signal", "size", "order", "check", "blocked", "waits", "no_order", "missed", "no_answer",
    "queried", "sent_again", "answer", "sent", "event", "cancel", "fill", "end", "pnl",
)  # fmt: skip
"""The kinds of moments, as they come where several have the same time."""

NARROWEST = 24
"""Columns that a text gets at least: a narrower terminal breaks its lines itself."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened: its kind (one of `ORDER`), a word for the screen, and what, in words.

    ``details`` are lines below it. ``grave`` is what an operator should not overlook.
    """

    time: datetime
    kind: str
    word: str
    text: str
    details: tuple[str, ...] = ()
    grave: bool = False


def in_order(moments: Iterable[Moment]) -> list[Moment]:
    """Return moments, oldest first; those of one time in the order that they caused each other."""
    return sorted(moments, key=lambda m: (m.time, ORDER.index(m.kind)))


class Timeline:
    """Moments for `App.emit`: a line each, with the seconds; the day stands above its moments."""

    def __init__(self, times: Times, moments: Iterable[Moment]) -> None:
        self._times = times
        self._moments = in_order(moments)
        self._word = max((len(m.word) for m in self._moments), default=0)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement

        least = min(options.max_width, self._indent + NARROWEST)
        return Measurement(least, max(least, min(PIPE_WIDTH, options.max_width)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        from rich.text import Text

        day = ""
        for moment in self._moments:
            if (its_day := self._times.day(moment.time)) != day:
                day = its_day
                yield Text(f"{day} {self._times.zone}", style="bold")
            text = Text(
                "\n".join(self._lines(moment, options.max_width)), no_wrap=True, overflow="ignore"
            )
            if moment.grave:
                text.stylize("bold red", 0, self._indent)
            yield text

    @property
    def _indent(self) -> int:
        return len("10:31:00") + 2 + self._word + 2

    def _lines(self, moment: Moment, width: int) -> list[str]:
        clock = self._times.clock(moment.time, seconds=True)
        head = f"{clock}  {moment.word:<{self._word}}  "
        lines = _behind(head, self._shown(moment.text, moment), width)
        for detail in moment.details:
            lines += _behind(" " * len(head) + "  ", self._shown(detail, moment), width)
        return [line.rstrip() for line in lines]

    def _shown(self, text: str, moment: Moment) -> str:
        return clean(self._times.in_text(text, near=moment.time))


def _behind(head: str, text: str, width: int) -> list[str]:
    return wrapped(head + text.replace("\n", " "), max(width, len(head) + NARROWEST), len(head))


class Facts:
    """Titles with their texts, for `App.emit`."""

    def __init__(self, times: Times, facts: Sequence[tuple[str, str]]) -> None:
        self._facts = [(title, times.in_text(text)) for title, text in facts if text]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement

        least = min(options.max_width, 20 + NARROWEST)
        return Measurement(least, max(least, min(PIPE_WIDTH, options.max_width)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        from rich.text import Text

        facts = [(title, clean(text).replace("\n", " ")) for title, text in self._facts]
        lines = named_values(facts, options.max_width)
        yield Text("\n".join(lines), no_wrap=True, overflow="ignore")
