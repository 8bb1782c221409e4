"""What a process has around its deciding thread: other threads, and clocks. A simulation has its own."""

from __future__ import annotations

from datetime import datetime
from time import monotonic, sleep
from typing import Any

from smabot.engine.dispatcher import DirectDispatcher, Dispatcher, ThreadedDispatcher
from smabot.engine.pulse import Pulse
from smabot.hooks.ports import is_remote
from smabot.system.background_query import BackgroundQuery
from smabot.system.wall_clock import Wall, utc_now


class Surroundings:
    """Real threads, and the clocks of the machine."""

    pulse = Pulse()
    """Beats within long steps of a start."""

    def __init__(self, wall: Wall = utc_now) -> None:
        """``wall``: the clock by which an operator's commands expire."""
        self._wall = wall

    def wall(self) -> datetime:
        """Return the time of the wall clock, UTC."""
        return self._wall()

    def seconds(self) -> float:
        """Return the seconds of a clock that never goes back."""
        return monotonic()

    def wait(self, seconds: float) -> None:
        """Let seconds pass."""
        sleep(seconds)

    def dispatcher(self, broker: Any) -> Dispatcher:
        """Return what carries requests to a broker: threads to a remote one."""
        if is_remote(broker):
            return ThreadedDispatcher(broker.stepped)
        return DirectDispatcher()

    def query(self, name: str, *, beside: bool = True) -> BackgroundQuery[Any]:
        """Return what asks one question at a time; without ``beside`` the asking thread waits for it."""
        return BackgroundQuery(name, beside=beside)
