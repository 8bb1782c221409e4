"""Runs the checks of a plugin, one after the other, and times them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from time import perf_counter

from smabot.errors import ConfigError, SmabotError, suggest
from smabot.testing.verifying.plugin_checks import CHECKS, Check, Outcome, Result, failed
from smabot.testing.verifying.subject import Subject

PROMISES = ("strategy_promises", "deciding_promises")
"""The modules whose checks are run, in this order."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A check of a plugin and what it found."""

    subject: Subject
    check: Check
    outcome: Outcome
    seconds: float

    @property
    def proved(self) -> bool:
        return self.outcome.result is Result.PASSED

    @property
    def remedy(self) -> str:
        """What to do; empty where it passed."""
        return "" if self.proved else self.outcome.remedy or self.check.remedy

    @property
    def replay(self) -> str:
        """The command that tries just the case that failed; empty where there is none."""
        if self.outcome.result is not Result.FAILED:
            return ""
        case = f" --case {self.outcome.case}" if self.outcome.case else ""
        return f"smabot verify {self.subject.reference} --check {self.check.name}{case}"


def all_checks() -> dict[str, Check]:
    """Return every check by its name."""
    for module in PROMISES:
        import_module(f"smabot.testing.verifying.{module}")
    return CHECKS


def checks_of(subject: Subject, names: Sequence[str] = ()) -> list[Check]:
    """Return the checks of a plugin's roles; with names only those.

    Raises ConfigError for an unknown name, and for a plugin of no role.
    """
    known = all_checks()
    for name in names:
        if name not in known:
            raise ConfigError(
                f"no check '{name}'{suggest(name, known)}; there are: {', '.join(known)}"
            )
    if not subject.roles:
        raise ConfigError(
            f"plugin '{subject.name}' takes no part in a run that could be verified: it is no strategy, "
            "sizer, risk rule, reconciler, journal, broker or feed"
        )
    return [
        each
        for each in known.values()
        if {*each.roles} & {*subject.roles} and (not names or each.name in names)
    ]


def verify(subject: Subject, names: Sequence[str] = ()) -> Iterator[Verdict]:
    """Run the checks of a plugin's roles, and yield what each found."""
    for each in checks_of(subject, names):
        begun = perf_counter()
        try:
            outcome = each.run(subject)
        except SmabotError as error:
            outcome = failed(0, f"the run ends with: {error}", remedy="mend that first")
        yield Verdict(subject, each, outcome, perf_counter() - begun)
