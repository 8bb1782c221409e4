"""Subjects of the checks: the plugins in `unsafe`, with what they break."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smabot.settings.model import Config
from smabot.testing.verifying.subject import Subject, subjects
from smabot.testing.verifying.verification import Verdict, verify

UNSAFE = Path(__file__).parent / "unsafe"


@pytest.fixture
def unsafe() -> Callable[[str], str]:
    """The path of an unsafe plugin, as an author names it."""
    return lambda name: str(UNSAFE / f"{name}.py")


@pytest.fixture
def found(unsafe: Callable[[str], str], tmp_path: Path) -> Callable[..., Verdict]:
    """Run one check of an unsafe plugin, with settings of its table."""

    def found(name: str, check: str, more: dict[str, Any] | None = None, **own: Any) -> Verdict:
        settings = {"plugin": {name: own}} if own else {}
        (subject,) = subjects(
            [unsafe(name)],
            Config(**settings),
            lambda it: Subject(
                it.name, it.reference, it.target, it.config,
                **{"may_send": True, "within": tmp_path, **(more or {})},
            ),
        )  # fmt: skip
        (verdict,) = verify(subject, [check])
        return verdict

    return found
