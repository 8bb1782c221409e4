"""The step and the loop, and all that happens between an event and an order's leaving."""

from smabot.engine.loop import Engine, Watcher

__all__ = ["Engine", "Watcher"]
