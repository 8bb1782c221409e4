"""What a receiver's alerts remember from step to step and from run to run: kept by core with its place.

A matter is what alerts of one kind and subject are about. It is in one of three states:

1. resting: told, and alerts of it are held back until ``repeat_minutes`` are over; then the last of those is told.
2. waiting: it is told once it has lasted for some minutes, unless it ends before.
3. free: the next alert of it is told at once.
"""

from __future__ import annotations

import msgspec

from smabot_notify.alerts import Alert

MOST_GATHERED = 20
"""So many quiet alerts are named in a summary; the others are counted."""

MOST_RESTING = 300


class Resting(msgspec.Struct):
    """``until``: seconds since 1970. ``held``: alerts that were held back, ``last`` is the newest of them."""

    until: float
    held: int = 0
    last: Alert | None = None


class Waiting(msgspec.Struct):
    """``since``: seconds since 1970. ``told``: whether it has lasted long enough, and was told."""

    since: float
    alert: Alert
    told: bool = False


class Matters(msgspec.Struct):
    """All of a receiver, by matter."""

    resting: dict[str, Resting] = {}
    waiting: dict[str, Waiting] = {}
    gathered: list[str] = []
    """Quiet alerts, a line each, for a receiver that knows no silence."""
    gathered_more: int = 0
    ended_by: str = ""
    """What the newest run failed by, empty where it was stopped. A start after a failure is a matter of its own, so
    that only starts after the same one wait for each other."""

    @classmethod
    def read(cls, text: str) -> Matters:
        """Return what was kept; nothing where it can't be read, as it may be of another release."""
        try:
            return msgspec.json.decode(text, type=cls) if text else cls()
        except msgspec.MsgspecError:
            return cls()

    def follow_clock(self, now: float, rest: float) -> None:
        """Let nothing rest or wait for longer than it may: the clock may have been set back."""
        for resting in self.resting.values():
            if resting.until > now + rest:
                resting.until = now
        for waiting in self.waiting.values():
            waiting.since = min(waiting.since, now)

    def text(self, now: float) -> str:
        """Return what is to be kept; matters that have rested are free, and of too many the first ones."""
        free = [name for name, each in self.resting.items() if not each.held]
        too_many = len(self.resting) - MOST_RESTING
        for place, matter in enumerate(free):
            if place < too_many or self.resting[matter].until <= now:
                del self.resting[matter]
        return msgspec.json.encode(self).decode()

    def gather(self, line: str) -> None:
        """Keep a quiet alert for the next summary."""
        if len(self.gathered) < MOST_GATHERED:
            self.gathered.append(line)
        else:
            self.gathered_more += 1

    def gathered_lines(self) -> list[str]:
        """Return the quiet alerts, a line each."""
        more = [f"and {self.gathered_more} more"] if self.gathered_more else []
        return [f"- {line}" for line in (*self.gathered, *more)]

    def forget_gathered(self) -> None:
        """Forget the quiet alerts, which have been told."""
        self.gathered, self.gathered_more = [], 0
