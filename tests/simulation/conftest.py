"""Setups and folders of simulations; plants faults in the bot, and lets the simulation look for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from smabot.testing.simulation.judge import Violation
from smabot.testing.simulation.setup import Setup

MOST_SEEDS = 500
IN_MEMORY = Path("/dev/shm")


class Planter(pytest.MonkeyPatch):  # type: ignore[misc]
    """Patches the real classes for one test."""

    def instead(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replace a function by what ``make`` makes of it; a hook stays one."""
        original = getattr(owner, name)
        self.setattr(owner, name, wraps(original)(make(original)))

    def never(self, owner: Any, name: str, answer: Any = None) -> None:
        """Let a function do nothing, and give an answer."""
        self.instead(owner, name, lambda original: lambda *args, **kwargs: answer)

    def is_found(self, kinds: Sequence[str]) -> Violation:
        """Fail unless a schedule of some kinds of faults shows a violation, and none without the patches."""
        setup = Setup(faults=kinds)
        for seed in range(MOST_SEEDS):
            schedule = setup.draw.schedule(seed)
            if (found := setup.play(schedule).violation) is not None:
                break
        else:
            pytest.fail(f"not found within {MOST_SEEDS} seeds")

        self.undo()
        assert Setup(faults=kinds).play(schedule).violation is None
        return found


@pytest.fixture
def plant() -> Iterator[Planter]:
    planter = Planter()
    yield planter
    planter.undo()


@pytest.fixture(scope="session")
def setup() -> Setup:
    """Plays schedules, made once for a process."""
    pytest.importorskip("smabot_exchange")
    pytest.importorskip("smabot_risk")
    return Setup()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory, where the machine has one: what a SIGKILL leaves does not depend on the disk."""
    with TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as made:
        yield Path(made)
