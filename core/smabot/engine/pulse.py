"""What the deciding thread calls again and again, so that somebody beside it can tell that it goes on."""

from __future__ import annotations


class Pulse:
    """Takes no note of anything: what a backtest and a command have."""

    def beat(self) -> None:
        """The deciding thread has come around: it ends a step, or is within a long one of a start."""

    def begin_step(self) -> None:
        """It has events, and begins a step with them."""
