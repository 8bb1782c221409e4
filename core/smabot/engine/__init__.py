"""The step and the loop, and all that happens between an event and an order's leaving."""

from __future__ import annotations


def __getattr__(name: str) -> object:
    from smabot.old_names import answer

    return answer(__name__, name)
