"""A check: a small function with a name, a promise in one sentence, and what to do when it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from smabot.testing.verifying.plugin_roles import Role
from smabot.testing.verifying.subject import Subject


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


CHECKS: dict[str, Check] = {}


def check(
    name: str, *roles: Role, promise: str, remedy: str
) -> Callable[[Callable[[Subject], Outcome]], Callable[[Subject], Outcome]]:
    """Register a function as a check of some roles."""

    def register(run: Callable[[Subject], Outcome]) -> Callable[[Subject], Outcome]:
        CHECKS[name] = Check(name, roles, promise, remedy, run)
        return run

    return register
