"""A soak from its first minute to its last: lives, kills, faults, the operator, and a look at each month."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from random import Random
from typing import Any

from benchmarks.soak.faults import deposit, drawn
from benchmarks.soak.months import Month
from benchmarks.soak.place import Child, Place
from smabot.domain.calendar import Session

LIFE = 300
"""Minutes that a bot lives on average, where it is killed."""
IN_A_START = 0.25
"""So many of the kills come while the bot starts."""
OPERATED = 0.15
"""Sessions in which the operator does something."""
KILLED = -signal.SIGKILL
UNANSWERED, BROKER_AWAY = 1, 4


class Soak:
    """Runs it; ``months`` has what was measured so far, ``happened`` what came how often."""

    def __init__(
        self,
        place: Place,
        *,
        kills: bool = True,
        show: Callable[[Month], None] = lambda month: None,
    ) -> None:
        self.months: list[Month] = []
        self.happened: Counter[str] = Counter()
        self._place = place
        self._random = Random(place.market.seed)
        self._kills = kills
        self._show = show
        self._halted = False

    def run(self) -> None:
        """Play all months. Raises Failed where a process ends as none must."""
        for sessions in self._place.market.months():
            month = Month(len(sessions))
            self._play(month, sessions)
            month.note_end(self._place, _text(sessions[-1]))
            self.months.append(month)
            self._show(month)

    def _play(self, month: Month, sessions: Sequence[Session]) -> None:
        """Live and be killed in the first two thirds of a month, then live in one piece to its end."""
        killing = sessions[: len(sessions) * 2 // 3] if self._kills else []
        while killing and self._now_before(killing[-1]):
            month.kills += self._live(month, sessions[-1], self._draw_strike()) == KILLED
        self._resume()
        more = [] if self._place.served else [deposit(self._random)]
        while self._live(month, sessions[-1], None, more) == BROKER_AWAY:
            pass
        self._resume()
        if more:
            self._place.smabot("reconcile", "--accept", "broker")
            self.happened["cash moved"] += 1

    def _draw_strike(self) -> int:
        if self._random.random() < IN_A_START:
            return 0
        return 1 + int(self._random.expovariate(1 / LIFE))

    def _live(
        self,
        month: Month,
        last: Session,
        strike: int | None,
        more: Sequence[dict[str, Any]] = (),
    ) -> int:
        """Start the bot, and kill it at that minute, or in its start where it is 0; returns its exit code."""
        faults = [] if self._place.served else drawn(self._random, self._place.market.names)
        child = self._place.child(
            ["run", "--until", _text(last)],
            faults=[*faults, *more],
            strike=-1 if strike is None else strike,
        )
        if strike == 0:
            time.sleep(self._random.random() * max(month.start_seconds, 0.5))
            child.kill()
        for told in child:
            self._note(month, told, child)
        code = child.end((0, BROKER_AWAY, KILLED))
        self.happened["the broker was away"] += code == BROKER_AWAY
        return code

    def _note(self, month: Month, told: dict[str, Any], child: Child) -> None:
        if "ready" in told:
            month.starts.append(told["ready"])
        elif "strike" in told:
            time.sleep(self._random.random() * 0.05)
            child.kill()
        elif "session" in told:
            month.note_session(told)
            self._operate()

    def _operate(self) -> None:
        """Do what an operator does now and then, while the bot goes on."""
        if self._halted:
            self._resume()
        elif self._random.random() < OPERATED:
            if self._random.random() < 0.25:
                self._command("flatten", "--yes", "--timeout", "5")
            else:
                self._command("halt", "a", "look", "at", "it")
            self._halted = True

    def _resume(self) -> None:
        self._halted = self._halted and not self._command("resume")

    def _command(self, *arguments: str) -> bool:
        """Give a command, and say whether it is done: a busy bot may answer too late."""
        done = self._place.smabot(*arguments, codes=(0, UNANSWERED, BROKER_AWAY))
        self.happened[arguments[0]] += 1
        return done.returncode == 0

    def _now_before(self, session: Session) -> bool:
        """Whether the newest bar that the bot has is older than a session's close."""
        return _newest_bar(self._place) < session.close.timestamp() - 60


def _newest_bar(place: Place) -> float:
    if not place.db.exists():
        return 0.0
    with closing(sqlite3.connect(f"file:{place.db}?mode=ro", uri=True)) as db:
        (newest,) = db.execute("SELECT MAX(ts) FROM bars").fetchone()
    return float(newest or 0)


def _text(session: Session) -> str:
    return f"{session.close:%Y-%m-%dT%H:%M:%SZ}"
