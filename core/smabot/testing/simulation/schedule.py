"""A schedule: which kills, faults and events happen at which minute. It can be written down and played again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True, slots=True, order=True)
class Action:
    """Something that happens at the start of a minute with bars, counted from 0.

    ``verb`` is a method of `smabot.testing.simulation.actions.Actions`, the others are its arguments.
    """

    minute: int
    verb: str
    what: str = ""
    count: int = 1
    detail: str = ""

    def __str__(self) -> str:
        words = [self.verb, self.what, f"x{self.count}" if self.count != 1 else "", self.detail]
        return f"minute {self.minute:>3}: " + " ".join(word for word in words if word)


@dataclass(frozen=True, slots=True)
class Schedule:
    """All that is not the bot's own doing. The same schedule gives the same run.

    ``far``: whether the broker's answers take time; else the exchange is in the bot's process, and stands
    still while it decides. ``minutes`` with bars are played, then the bot has some quiet ones.
    ``compared``: whether it is played without its kills, too, and must end with the same tables.
    """

    seed: int
    far: bool
    minutes: int
    actions: tuple[Action, ...] = ()
    compared: bool = False

    def at(self, minute: int) -> list[Action]:
        """Return what happens at a minute, in its order."""
        return [action for action in self.actions if action.minute == minute]

    def with_actions(self, actions: Iterable[Action]) -> Schedule:
        return replace(self, actions=tuple(actions))

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Schedule:
        """Raises ValueError, KeyError or TypeError for what `to_json` did not write."""
        given = json.loads(text)
        actions = tuple(Action(**each) for each in given.pop("actions"))
        return cls(**given, actions=actions)
