"""State in a strategy's module: `no-globals` sees it, and it leaks from no case into the next."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from smabot.settings.model import Config
from smabot.testing.verifying.subject import subjects
from smabot.testing.verifying.verification import verify

Found = Callable[..., Any]


@pytest.fixture(autouse=True)
def imported_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.endswith(".py")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize(
    ("keeps", "name"),
    [
        ("a flag", "STARTED"),
        ("a time", "NEWEST"),
        ("a deque", "CLOSES"),
        ("a helper class", "Shared.seen"),
    ],
)
def test_it_is_named_also_after_other_checks_ran(
    unsafe: Callable[[str], str], keeps: str, name: str
) -> None:
    config = Config(plugin={"module_objects": {"keeps": keeps}})
    (subject,) = subjects([unsafe("module_objects")], config)
    _, verdict = verify(subject, ["signals", "no-globals"])
    assert verdict.outcome.result == "FAILED"
    assert f"{name} is another one after a run" in verdict.outcome.said


def test_each_process_of_a_case_begins_with_the_module_as_it_was_imported(found: Found) -> None:
    """The flag is up from the first bar that a process sees: no kill changes what is decided."""
    assert found("module_objects", "restart-safe", keeps="a flag").proved


def test_one_that_keeps_nothing_is_not_accused(found: Found) -> None:
    assert found("module_objects", "no-globals").proved
