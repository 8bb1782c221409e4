"""Draws a schedule from a seed: kills and faults that were seldom met are drawn more often."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from smabot.testing.simulation.deliveries import BAR_FAULTS, UPDATE_FAULTS
from smabot.testing.simulation.equality import comparable
from smabot.testing.simulation.kept_records import COMMIT_FAULTS
from smabot.testing.simulation.schedule import Action, Schedule
from smabot.testing.simulation.wire import FAULTS

MINUTES = 90
FAR, COMPARED = 0.6, 0.15
"""The share of schedules on the far line, and of those that are played without their kills, too."""
FIRST_POINTS = (
    "before commit", "after commit", "before broker.submit", "after broker.submit", "before broker.cancel",
    "after broker.cancel", "before broker.order", "taken from the feed: bars",
)  # fmt: skip
"""Boundaries to begin with, before any run has told of more."""
FAILING_HOOKS = ("on_equity", "before_submit", "may_leave", "on_order", "on_fill", "on_bar")
MARKET_FAULTS = (
    "frozen_cancel", "stuck_pending", "rejected_later", "left_at_close", "lost_answer", "halt",
)  # fmt: skip
COMMANDS = ("halt", "resume", "resume", "flatten", "breaker reset")


class Draw:
    """Draws schedules of a bot in some symbols."""

    def __init__(
        self, symbols: Sequence[str], plugins: Sequence[str], only: Sequence[str] = ()
    ) -> None:
        """``plugins``: those that a start may be without; ``only``: the kinds of faults, where not all."""
        self._symbols = symbols
        self._plugins = plugins
        self._only = only

    def schedule(self, seed: int, kills: Mapping[str, int], far: bool | None = None) -> Schedule:
        """Return the schedule of a seed. ``kills``: how often each boundary has been the place of a kill."""
        chance = random.Random(seed)  # noqa: S311 - it must come again
        drawn = chance.random()
        compared = far is None and drawn >= 1 - COMPARED
        far = drawn < FAR if far is None else far
        actions: list[Action] = []
        hooks = self._faults(chance)
        quiet = chance.choice((0.25, 0.5, 0.9))
        for minute in range(1, MINUTES):
            if chance.random() < 0.45:
                actions += self._wants(chance, minute)
            if chance.random() > quiet and hooks:
                actions += chance.choice(hooks)(chance, minute)
            if chance.random() < 0.06:
                actions.append(Action(minute, "operator", chance.choice(COMMANDS)))
            if chance.random() < 0.5:
                actions += self._kill(chance, minute, kills)
        schedule = Schedule(seed, far, MINUTES, tuple(actions))
        return comparable(schedule) if compared else schedule

    # -- kinds of actions ----------------------------------------------------------------------------

    def _wants(self, chance: random.Random, minute: int) -> list[Action]:
        wants = [self._want(chance, minute)]
        while chance.random() < 0.4:
            wants.append(self._want(chance, minute))
        return wants

    def _want(self, chance: random.Random, minute: int) -> Action:
        actor = str(chance.randrange(2))
        return Action(minute, "want", chance.choice(self._symbols), chance.randrange(2), actor)

    @staticmethod
    def _kill(chance: random.Random, minute: int, kills: Mapping[str, int]) -> list[Action]:
        points = sorted({*FIRST_POINTS, *kills})
        weights = [1 / (1 + kills.get(point, 0)) + 0.002 for point in points]
        down = chance.choices((0, 1, 2, 7), (0.7, 0.15, 0.1, 0.05))[0]
        (point,) = chance.choices(points, weights)
        if point.startswith("start: "):
            return [
                Action(minute, "kill", "after commit", 1, str(down)),
                Action(minute, "kill_start", point),
            ]
        actions = [Action(minute, "kill", point, chance.choice((1, 1, 1, 2, 3, 8)), str(down))]
        while chance.random() < 0.15:
            again = chance.choice(points)
            actions.append(Action(minute, "kill_start", again, chance.choice((1, 1, 2, 4))))
        return actions

    def _faults(self, chance: random.Random) -> list[Callable[[random.Random, int], list[Action]]]:
        """Return some kinds of faults: a schedule with few kinds tells more of each."""
        kinds = {
            "line": self._line, "busy": self._busy, "refused": self._refused, "stream": self._stream,
            "updates": self._updates, "bars": self._bars, "commit": self._commit, "clock": self._clock,
            "market": self._market, "hand": self._hand, "cash": self._cash, "symbols": self._leave_out,
            "plugins": self._without, "plugin": self._plugin_fails, "sleep": self._sleep,
            "stop": self._stop,
        }  # fmt: skip
        names = [name for name in kinds if not self._only or name in self._only]
        return [
            kinds[n] for n in chance.sample(names, min(len(names), chance.choice((0, 2, 4, 16))))
        ]

    @staticmethod
    def _line(chance: random.Random, minute: int) -> list[Action]:
        fault = chance.choice([each for each in FAULTS if each not in ("key", "blocked")])
        kind = chance.choice(("submit", "submit", "submit", "cancel", "query"))
        return [Action(minute, "line", fault, chance.choice((1, 1, 2, 5)), kind)]

    @staticmethod
    def _busy(chance: random.Random, minute: int) -> list[Action]:
        return [Action(minute, "busy", "", 1), Action(minute + chance.randint(1, 4), "busy", "", 0)]

    @staticmethod
    def _refused(chance: random.Random, minute: int) -> list[Action]:
        return [Action(minute, "refused", chance.choice(("key", "account")), chance.randint(1, 3))]

    @staticmethod
    def _stream(chance: random.Random, minute: int) -> list[Action]:
        return [
            Action(minute, "stream", "", 1),
            Action(minute + chance.randint(1, 5), "stream", "", 0),
        ]

    @staticmethod
    def _updates(chance: random.Random, minute: int) -> list[Action]:
        return [Action(minute, "updates", chance.choice(UPDATE_FAULTS), chance.choice((1, 1, 3)))]

    @staticmethod
    def _bars(chance: random.Random, minute: int) -> list[Action]:
        return [Action(minute, "bars", chance.choice(BAR_FAULTS), chance.choice((1, 1, 2)))]

    @staticmethod
    def _commit(chance: random.Random, minute: int) -> list[Action]:
        return [Action(minute, "commit_fails", chance.choice(COMMIT_FAULTS))]

    @staticmethod
    def _clock(chance: random.Random, minute: int) -> list[Action]:
        seconds = chance.choice((1, 30, 90, 3600))
        return [Action(minute, "clock_steps", chance.choice(("back", "")), seconds)]

    def _market(self, chance: random.Random, minute: int) -> list[Action]:
        fault, symbol = chance.choice(MARKET_FAULTS), chance.choice(self._symbols)
        return [Action(minute, "market", fault, chance.randint(1, 8), symbol)]

    def _hand(self, chance: random.Random, minute: int) -> list[Action]:
        percent = chance.choice((30, 100, 100))
        return [Action(minute, "by_hand", chance.choice(self._symbols), percent)]

    @staticmethod
    def _cash(chance: random.Random, minute: int) -> list[Action]:
        return [Action(minute, "transfer", chance.choice(("in", "out")), chance.choice((5, 500)))]

    def _leave_out(self, chance: random.Random, minute: int) -> list[Action]:
        return [Action(minute, "leave_out", chance.choice((*self._symbols, "")))]

    def _without(self, chance: random.Random, minute: int) -> list[Action]:
        if not self._plugins:
            return []
        return [
            Action(minute, "without_plugin", chance.choice(self._plugins)),
            Action(minute + chance.randint(1, 5), "without_plugin"),
        ]

    @staticmethod
    def _plugin_fails(chance: random.Random, minute: int) -> list[Action]:
        return [Action(minute, "plugin_fails", chance.choice(FAILING_HOOKS))]

    @staticmethod
    def _sleep(chance: random.Random, minute: int) -> list[Action]:
        return [Action(minute, "sleep", "", chance.choice((1, 3, 300)))]

    @staticmethod
    def _stop(chance: random.Random, minute: int) -> list[Action]:
        return [Action(minute, "stop", "", chance.choice((1, 1, 2, 4)))]
