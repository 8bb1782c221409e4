"""Tells plugins of a running bot's health, each in a thread beside the deciding one.

A plugin gets the newest health there is, and no other call while one lasts: what it is too slow for, it
misses. One that raises is called again after a pause. None of them holds the deciding thread up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from loguru import logger

from smabot.domain.bot_health import Health
from smabot.system.background_query import BackgroundQuery

PAUSE = 30.0
"""Seconds after a plugin has raised."""
Hook = Callable[[Health], None]


class TellingHealth:
    """Takes each health, and tells plugins of it."""

    def __init__(self, hooks: Mapping[str, Hook], seconds: Callable[[], float]) -> None:
        """``hooks``: `on_health` of each plugin, by its name. ``seconds``: a clock that never goes back."""
        self._seconds = seconds
        self._told = [_Told(name, hook) for name, hook in hooks.items()]

    def __call__(self, health: Health) -> None:
        now = self._seconds()
        for each in self._told:
            each.tell(health, now)


class _Told:
    """A plugin that is told."""

    def __init__(self, name: str, hook: Hook) -> None:
        self._name = name
        self._hook = hook
        self._call = BackgroundQuery[None](f"on_health {name}")
        self._not_before = 0.0

    def tell(self, health: Health, now: float) -> None:
        if self._call.answered:
            self._take(now)
        if not self._call.under_way and now >= self._not_before:
            self._call.begin(partial(self._hook, health))

    def _take(self, now: float) -> None:
        """Take note of how the last call ended."""
        try:
            self._call.take_answer()
        except BaseException as error:  # noqa: BLE001 - SystemExit is a plugin's failure, too
            self._not_before = now + PAUSE
            logger.opt(exception=error).warning(
                "plugin '{}' raised in on_health, and is told again in {:.0f} s: {}",
                self._name, PAUSE, error,
            )  # fmt: skip
