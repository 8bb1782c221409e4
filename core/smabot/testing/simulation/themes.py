"""What seeds bring together: a boundary and a kind of fault. The order never changes: seeds go by it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from smabot.testing.simulation.fault_kinds import FAR, NEAR, FaultKind, kinds_for

HOOKS = (
    "lookback", "on_bar", "on_command", "on_equity", "on_fill", "on_order", "on_signal",
    "on_startup_recover", "reconcile", "before_submit", "may_leave",
)  # fmt: skip
"""Those around which there are boundaries."""
_CALLS = ("account", "cancel", "order", "orders", "positions", "submit")
_STEPS = ("journal", "connect", "load", "reconcile", "plugins", "warm", "backfill", "subscribe")
POINTS: tuple[str, ...] = (
    "before commit", "after commit", "before reading commands",
    *(f"{when} broker.{call}" for call, when in product(_CALLS, ("before", "after"))),
    *(f"{when} {hook}" for hook, when in product(HOOKS, ("before", "after"))),
    *(f"taken from the feed: {what}" for what in ("bars", "order updates", "revised bars", "nothing")),
    *(f"start: {step}" for step in _STEPS),
)  # fmt: skip
"""The boundaries at which a kill can be."""
SEPARATOR = " × "
_STRIDE = 1_009
"""Prime to the numbers of themes: seeds that follow each other have themes that differ in all."""


class Theme(NamedTuple):
    """What a seed brings together."""

    point: str
    fault: FaultKind
    line: str

    @property
    def pair(self) -> str:
        """Its boundary and fault, as they are counted: on either line."""
        return f"{self.point}{SEPARATOR}{self.fault.name}"

    def has(self, part: str) -> bool:
        """Whether a text is part of a name."""
        return part in self.point or part in self.fault.name


class Themes:
    """All themes of one kind of broker. They come one after the other with the seeds, so that whoever lacks one
    knows which seeds to play."""

    def __init__(self, *, served: bool = False) -> None:
        """``served``: broker and feed are a plugin's own, and far away."""
        lines = (FAR,) if served else (NEAR, FAR)
        self._all = tuple(
            Theme(point, fault, line)
            for point, fault in product(POINTS, kinds_for(served=served))
            for line in lines
            if line in fault.lines
        )
        self._inverse = pow(_STRIDE, -1, len(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Theme]:
        return iter(self._all)

    def __getitem__(self, place: int) -> Theme:
        return self._all[place]

    def of(self, seed: int) -> Theme:
        """Return what a seed brings together."""
        return self._all[seed * _STRIDE % len(self._all)]

    def seed(self, place: int, turn: int) -> int:
        """Return the seed that has a theme, by its place here, for the so many-th time, from 0."""
        return place * self._inverse % len(self._all) + turn * len(self._all)
