"""The settings: their model, the layers they are read from, and errors in them."""

from __future__ import annotations


def __getattr__(name: str) -> object:
    from smabot.old_names import answer

    return answer(__name__, name)
