"""Keeps what it saw in its module, in the way that its setting names: in one process it seems to survive."""

from collections import deque
from datetime import datetime
from typing import ClassVar

from smabot.api import Bar, Settings, Signal, hookimpl

STARTED = False
NEWEST: datetime | None = None
CLOSES: deque[float] = deque(maxlen=3)

REGISTRY = {"objects": [object()]}


class Shared:
    seen: ClassVar[list[float]] = []


class ModuleObjectsSettings(Settings):
    keeps: str = ""


class ModuleObjects:
    def __init__(self, settings: ModuleObjectsSettings) -> None:
        self.keeps = settings.keeps

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal:
        global STARTED, NEWEST
        rose = bar.close > bar.open
        if self.keeps == "a flag":
            rose, STARTED = rose and STARTED, True
        elif self.keeps == "a time":
            rose, NEWEST = rose and NEWEST is not None, bar.time
        elif self.keeps == "a deque":
            CLOSES.append(bar.close)
            rose = bar.close >= max(CLOSES)
        elif self.keeps == "a helper class":
            Shared.seen.append(bar.close)
            rose = bar.close >= max(Shared.seen[-3:])
        return Signal.long(bar) if rose else Signal.flat(bar)
