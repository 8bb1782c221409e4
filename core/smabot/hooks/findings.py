"""What a plugin finds when it looks whether all is there that it needs: `smabot doctor` shows it."""

from __future__ import annotations

from enum import StrEnum

from smabot.domain.frozen_classes import frozen


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@frozen
class Finding:
    """A line of `smabot doctor`: what was checked, and the result. ``exit_code`` is a failure's:
    3 for what is set up wrongly, 4 for the broker, 6 for a conflict."""

    name: str
    level: Level
    text: str
    exit_code: int = 0

    @classmethod
    def ok(cls, name: str, text: str) -> Finding:
        return cls(name, Level.OK, text)

    @classmethod
    def warning(cls, name: str, text: str) -> Finding:
        return cls(name, Level.WARNING, text)

    @classmethod
    def failure(cls, name: str, text: str, exit_code: int = 3) -> Finding:
        return cls(name, Level.FAILURE, text, exit_code)
