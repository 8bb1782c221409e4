"""Runs the checks of a plugin, one after the other, and times them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from shlex import quote
from time import perf_counter
from typing import Any

from smabot.errors import ConfigError, SmabotError, suggest
from smabot.hooks.discovery import blame
from smabot.settings.model import Config
from smabot.testing.verifying.check_progress import TellEffort
from smabot.testing.verifying.plugin_checks import CHECKS, Check, Outcome, Result, failed
from smabot.testing.verifying.plugin_roles import DECIDING, Role
from smabot.testing.verifying.subject import Subject, subjects

PROMISES = (
    "strategy_promises", "rule_promises", "deciding_promises", "journal_promises", "broker_promises", "feed_promises",
)  # fmt: skip
"""The modules whose checks are run, in this order."""

MEND = "mend that first: a hook, broker, feed or journal raises only the errors that its description names"


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
        words = ["smabot verify", quote(self.subject.reference), self.subject.options]
        words += ["--check", self.check.name]
        words += ["--case", self.outcome.case] if self.outcome.case else []
        return " ".join(word for word in words if word)


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
    own = [each for each in known.values() if {*each.roles} & {*subject.roles}]
    chosen = [each for each in own if not names or each.name in names]
    if not chosen:
        raise ConfigError(
            f"plugin '{subject.name}', a {' and '.join(subject.roles)}, has no check "
            f"{' or '.join(names)}; it has: {', '.join(each.name for each in own)}"
        )
    return chosen


class Promise:
    """One check of a plugin for pytest: call it. Its text is its name."""

    def __init__(self, subject: Subject, check: Check) -> None:
        self._subject = subject
        self._check = check

    def __call__(self) -> None:
        """Raise AssertionError with what to do where the check fails, or proves nothing."""
        (verdict,) = verify(self._subject, [self._check.name])
        if not verdict.proved:
            found = f"{self._check.promise}: {verdict.outcome.result}: {verdict.outcome.said}"
            raise AssertionError(f"{found}; do: {verdict.remedy}")

    def __repr__(self) -> str:
        return f"{self._subject.name}:{self._check.name}"


def plugin_promises(name: str, **settings: Any) -> list[Promise]:
    """Return what `smabot verify` checks of a plugin, installed or a file, for ``parametrize``.

    Settings are those of `smabot.api.Config`. Raises ConfigError as a start does.
    """
    found = subjects([name], Config(**settings))
    return [Promise(each, check) for each in found for check in checks_of(each)]


def effort_of(subject: Subject, names: Sequence[str] = ()) -> float:
    """Return how many minutes of bars the checks of a plugin replay, about."""
    return sum(each.effort(subject) for each in checks_of(subject, names))


def verify(
    subject: Subject, names: Sequence[str] = (), tell: TellEffort = lambda done, text: None
) -> Iterator[Verdict]:
    """Run the checks of a plugin's roles, and yield what each found; tells how much of `effort_of` is done.

    Where a run with it ends with an error, no other check would say more.
    """
    broken: set[Role] = set()
    subject.progress.tell = tell
    done, chosen = 0.0, checks_of(subject, names)
    for number, each in enumerate(chosen, 1):
        effort = each.effort(subject)
        subject.progress.begin(
            done, effort, f"{subject.name}: {each.name}, {number} of {len(chosen)}"
        )
        begun = perf_counter()
        try:
            outcome = each.run(subject)
        except SmabotError as error:
            outcome = failed(0, f"the run ends with: {error}", remedy=MEND)
            broken = {*DECIDING} & {*subject.roles}
        except Exception as error:  # noqa: BLE001 - a broker, a feed or a journal may raise anything
            outcome = failed(0, str(blame(subject.name, each.name, error)), remedy=MEND)
        subject.progress.part(1.0)
        done += effort
        yield Verdict(subject, each, outcome, perf_counter() - begun)
        if broken:
            return
