"""Tells systemd of a run's health: that it is ready, that it goes on, and what it does."""

from __future__ import annotations

from collections.abc import Iterator

from smabot.domain.bot_health import ENDED, STARTING, STOPPING, TRADING, WAITING, Health
from smabot.errors import one_line
from smabot.system.service_manager import ServiceManager

START_STEP = 120
"""Seconds that a step of the start may take: each one that is done gives the next one so many."""


class NotifiedManager:
    """Takes each health. The watchdog is fed by them alone: a deciding thread that hangs makes none."""

    def __init__(self, manager: ServiceManager) -> None:
        self._manager = manager
        self._ready = False

    def __call__(self, health: Health) -> None:
        self._manager.tell(*self._assignments(health))

    def _assignments(self, health: Health) -> Iterator[str]:
        yield f"STATUS={one_line(_status(health))}"
        yield "WATCHDOG=1"
        if health.phase == STARTING:
            yield f"EXTEND_TIMEOUT_USEC={START_STEP * 1_000_000}"
        if health.phase in (TRADING, WAITING) and not self._ready:
            self._ready = True
            yield "READY=1"
        if health.phase == STOPPING:
            yield "STOPPING=1"


def _status(health: Health) -> str:
    if health.phase == ENDED:
        return f"ended with exit code {health.exit_code}: {health.outcome}"
    return f"{health.mode} {'; '.join((health.phase, *health.reasons))}"
