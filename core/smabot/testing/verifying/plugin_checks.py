"""A check: a small function with a name, a promise in one sentence, and what to do when it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from smabot.testing.verifying.plugin_roles import DECIDING, Role
from smabot.testing.verifying.subject import Subject

Effort = Callable[[Subject], float]
"""How many minutes of bars a check replays, about."""
FIXED = 1_000.0
"""The effort of a check that replays none."""


class Result(StrEnum):
    PASSED = "passed"
    FAILED = "FAILED"
    UNPROVED = "UNPROVED"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found."""

    result: Result
    cases: int
    said: str = ""
    """What failed or was not proved; of one that passed, a number worth to know."""
    case: str = ""
    """The case that failed, as `--case` takes it."""
    remedy: str = ""
    """What to do, where it is more exact than the check's own."""


def passed(cases: int, said: str = "") -> Outcome:
    return Outcome(Result.PASSED, cases, said)


def failed(cases: int, said: str, case: str = "", remedy: str = "") -> Outcome:
    return Outcome(Result.FAILED, cases, said, case, remedy)


def unproved(cases: int, said: str) -> Outcome:
    return Outcome(Result.UNPROVED, cases, said)


@dataclass(frozen=True, slots=True)
class Check:
    """A promise that plugins of some roles keep, and the function that tries it."""

    name: str
    roles: tuple[Role, ...]
    promise: str
    remedy: str
    run: Callable[[Subject], Outcome]
    effort: Effort


CHECKS: dict[str, Check] = {}


def runs(times: float) -> Effort:
    """Return the effort of a check that replays each market so many times."""
    return lambda subject: times * sum(len(market.minutes) for market in subject.markets())


def check(
    name: str, *roles: Role, promise: str, remedy: str, effort: Effort | None = None
) -> Callable[[Callable[[Subject], Outcome]], Callable[[Subject], Outcome]]:
    """Register a function as a check of some roles; by default it replays each market once."""
    takes = effort or (runs(1) if {*roles} & {*DECIDING} else lambda subject: FIXED)

    def register(run: Callable[[Subject], Outcome]) -> Callable[[Subject], Outcome]:
        CHECKS[name] = Check(name, roles, promise, remedy, run, takes)
        return run

    return register
