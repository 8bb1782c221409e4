"""From what is wanted of a position to orders and cancels."""

from __future__ import annotations


def __getattr__(name: str) -> object:
    from smabot.old_names import answer

    return answer(__name__, name)
