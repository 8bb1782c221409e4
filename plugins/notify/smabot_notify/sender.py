"""Whose messages they are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Sender:
    """The bot's name and PAPER or LIVE, which begin each title."""

    bot: str = "smabot"
    mode: str = "PAPER"
