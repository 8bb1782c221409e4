"""Makes a schedule that breaks a rule as small as it gets, and still break it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from smabot.testing.simulation.schedule import Action, Schedule
from smabot.testing.simulation.schedule_result import Result

MOST_TRIES = 400


class Shrinker:
    """Leaves actions out, in ever smaller pieces, while the same rule stays broken."""

    def __init__(self, play: Callable[[Schedule], Result], most_tries: int = MOST_TRIES) -> None:
        self._play = play
        self._left = most_tries

    def shrink(self, result: Result) -> Result:
        """Return the result of the smallest schedule found. ``result`` has a violation."""
        assert result.violation is not None
        self._rule = result.violation.rule
        best = result
        size = max(len(best.schedule.actions) // 2, 1)
        while size and self._left > 0:
            smaller = self._without_some(best, size)
            if smaller is None:
                size = size // 2 if size > 1 else 0
            else:
                best = smaller
                size = min(size, max(len(best.schedule.actions) // 2, 1))
        return self._shorter(best)

    def _without_some(self, best: Result, size: int) -> Result | None:
        """Return a result without a piece of that size; None where no piece can be missed."""
        actions = best.schedule.actions
        for start in range(0, len(actions), size):
            found = self._try(best.schedule, (*actions[:start], *actions[start + size :]))
            if found is not None:
                return found
        return None

    def _shorter(self, best: Result) -> Result:
        """End the schedule soon after its last action."""
        last = max((action.minute for action in best.schedule.actions), default=0)
        found = self._play_if_left(
            replace(best.schedule, minutes=min(last + 3, best.schedule.minutes))
        )
        return best if found is None else found

    def _try(self, schedule: Schedule, actions: tuple[Action, ...]) -> Result | None:
        return self._play_if_left(schedule.with_actions(actions))

    def _play_if_left(self, schedule: Schedule) -> Result | None:
        if self._left <= 0:
            return None
        self._left -= 1
        result = self._play(schedule)
        broken = result.violation is not None and result.violation.rule == self._rule
        return result if broken else None
