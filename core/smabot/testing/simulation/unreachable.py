"""Boundaries and faults that can't come together, with the reason."""

from __future__ import annotations

from smabot.testing.simulation.fault_kinds import NEAR
from smabot.testing.simulation.themes import Theme


def why_unreachable(theme: Theme) -> str:
    """Return why a boundary is never reached with a fault on a line; empty where it is."""
    point, _, line = theme
    if line == NEAR and point == "taken from the feed: nothing":
        return "an exchange in the bot's process always has something for it"
    return ""
