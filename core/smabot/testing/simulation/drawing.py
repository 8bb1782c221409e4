"""Draws a schedule from a seed, whose theme says which boundary and which kind of fault it brings together."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from smabot.testing.simulation.equality import comparable, is_comparable
from smabot.testing.simulation.fault_kinds import FAR, NEAR, Occasion, kinds_for
from smabot.testing.simulation.schedule import Action, Schedule
from smabot.testing.simulation.themes import POINTS, Theme, Themes

MINUTES = 90
COMPARED = 0.7
"""The share of the schedules that can be that are played without their kills, too."""
COMMANDS = ("halt", "resume", "resume", "flatten", "breaker reset")
OFTEN = (
    "before commit", "after commit", "before broker.submit", "after broker.submit",
    "taken from the feed: bars", "taken from the feed: order updates",
)  # fmt: skip
"""Boundaries that any schedule has some kills at."""
OCCASIONS: Mapping[str, tuple[str, ...]] = {
    "broker.cancel": ("exchange stuck_pending", "exchange frozen_cancel"),
    "cancel ": ("exchange stuck_pending", "exchange frozen_cancel"),
    "revised bars": ("bar revised", "bar late"),
}
"""Kinds of faults that bring a theme about: by a part of its boundary's name, or of its fault's."""
LONG = ("sold by hand", "split")
"""Kinds that need a position."""
ALONE = ("rate limit used up",)
"""Kinds that strike a process which has lived for a minute, and nothing else has struck meanwhile."""
USUAL, SELDOM = 0.7, 0.15
"""How likely a minute has a kill; or a kill, and a fault, of those kinds."""


class Draw:
    """Draws schedules of a bot in some symbols."""

    def __init__(
        self, symbols: Sequence[str], only: Sequence[str] = (), *, served: bool = False
    ) -> None:
        """``only``: the names of the kinds of faults, where not all are wanted; ``served``: broker and feed are a
        plugin's own, and far away."""
        self._symbols = symbols
        self.themes = Themes(served=served)
        self._kinds = [kind for kind in kinds_for(served=served) if not only or kind.name in only]

    def schedule(self, seed: int) -> Schedule:
        """Return the schedule of a seed."""
        chance = random.Random(seed)  # noqa: S311 - it must come again
        theme = self.themes.of(seed)
        others = [kind for kind in self._kinds if theme.line in kind.lines]
        more = min(len(others), chance.choice((0, 1, 3, 8)))
        faults = chance.sample(others, more)
        if theme.fault in self._kinds:
            alone = theme.fault.name in ALONE
            faults = [theme.fault] if alone else [*faults, *[theme.fault] * max(more, 1)]
        faults += [kind for kind in others if kind.name in _occasions(theme)]
        often, together = chance.choice((0.15, 0.4, 0.7)), chance.choice((0.0, 0.0, 0.5))
        eager, spoken = chance.choice((0.3, 0.45, 0.9)), chance.choice((0.0, 0.02, 0.1))
        if theme.has("command"):
            spoken = 0.5
        killing = USUAL
        if faults and all(kind.name in ALONE for kind in faults):
            often, killing = SELDOM, SELDOM
        longing = 0.8 if theme.fault.name in LONG else 0.0
        actions: list[Action] = []
        for minute in range(1, MINUTES):
            occasion = Occasion(chance, minute, self._symbols)
            if chance.random() < eager:
                actions += self._wants(occasion, longing)
            if faults and chance.random() < often:
                actions += chance.choice(faults).draw(occasion)
                while chance.random() < together:
                    actions += chance.choice(faults).draw(occasion)
            if chance.random() < spoken:
                actions += _commands(occasion)
            if chance.random() < killing:
                actions += self._kill(occasion, theme.point)
        schedule = Schedule(seed, theme.line == FAR, MINUTES, tuple(actions))
        can_be = theme.line == NEAR and is_comparable(theme.fault.draw(occasion))
        return comparable(schedule) if can_be and chance.random() < COMPARED else schedule

    @staticmethod
    def _wants(o: Occasion, longing: float) -> list[Action]:
        """Return what strategies want; ``longing``: how often flat becomes a position."""

        def want() -> Action:
            symbol, target = o.symbol, o.chance.randrange(2)
            if longing and not target:
                target = int(o.chance.random() < longing)
            return o.action("want", symbol, target, str(o.chance.randrange(2)))

        wants = [want()]
        while o.chance.random() < 0.4:
            wants.append(want())
        return wants

    @staticmethod
    def _kill(o: Occasion, theme: str) -> list[Action]:
        chance = o.chance
        down = chance.choices((0, 1, 2, 7), (0.7, 0.15, 0.1, 0.05))[0]
        point = theme if chance.random() < 0.6 else chance.choice(OFTEN)
        if point.startswith("start: ") or point in ("after on_startup_recover", "after lookback"):
            return [o.action("kill", "after commit", 1, str(down)), o.action("kill_start", point)]
        nth = chance.choice((1, 1, 1, 2, 3, 8))
        actions = [o.action("kill", point, nth, str(down))]
        while chance.random() < 0.1:
            actions.append(
                o.action("kill_start", chance.choice(POINTS), chance.choice((1, 1, 2, 4)))
            )
        return actions


def _occasions(theme: Theme) -> list[str]:
    return [kind for part, kinds in OCCASIONS.items() if theme.has(part) for kind in kinds]


def _commands(o: Occasion) -> list[Action]:
    """Return an operator's command, and perhaps others on second thoughts."""
    commands = [o.action("operator", o.chance.choice(COMMANDS))]
    while o.chance.random() < 0.3:
        commands.append(o.action("operator", o.chance.choice(COMMANDS)))
    return commands
