"""The settings that a run used, as its row of `runs` keeps them, and how they changed from run to run."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from smabot.cli.shown_settings import setting_text, shown_settings
from smabot.domain.bot_records import Run

if TYPE_CHECKING:
    from smabot.cli.output import Columns
    from smabot.cli.times import Times
    from smabot.settings.loading import Loaded


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting as it was used: its value as JSON has it, masked where it is secret, and where it came from."""

    name: str
    value: Any
    origin: str

    @property
    def is_default(self) -> bool:
        """Whether nothing set it."""
        return self.origin == "default"


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting that a run used with another value than the run before it; None: without a value.

    ``time`` is when the run began, UTC.
    """

    time: datetime
    run_id: str
    setting: str
    before: Any
    after: Any


def settings_text(loaded: Loaded, plugins: Collection[str]) -> str:
    """Return all settings as a run's row keeps them, secrets masked; ``plugins`` are those that were loaded."""
    shown = shown_settings(loaded, plugins)
    used = [Setting(name, value, loaded.origin(name)) for name, value in shown.items()]
    return json.dumps(settings_data(used), separators=(",", ":"))


def settings_of(run: Run) -> list[Setting] | None:
    """Return the settings that a run used; None where they were not recorded."""
    try:
        used = json.loads(run.settings or "null")
    except (RecursionError, ValueError):
        return None
    if not isinstance(used, dict):
        return None
    return [
        Setting(name, each.get("value"), str(each.get("origin")))
        for name, each in used.items()
        if isinstance(each, dict)
    ]


def settings_data(used: Iterable[Setting]) -> dict[str, Any]:
    """Return settings as JSON has them, by their names."""
    return {each.name: {"value": each.value, "origin": each.origin} for each in used}


def recorded_settings(runs: Iterable[Run]) -> list[tuple[Run, list[Setting]]]:
    """Return the first run that recorded its settings, and each that recorded others than the one before it.

    Runs come oldest first. The last ones are those of the last run that recorded any.
    """
    found: list[tuple[Run, list[Setting]]] = []
    text: str | None = None
    for run in runs:
        if run.settings == text or (used := settings_of(run)) is None:
            continue
        text = run.settings
        found.append((run, used))
    return found


def settings_changes(recorded: Iterable[tuple[Run, list[Setting]]]) -> Iterator[SettingChange]:
    """Yield what changed between recorded settings. A value that is masked in both seems the same."""
    for (_, before), (run, after) in pairwise(recorded):
        old, new = ({each.name: each.value for each in used} for used in (before, after))
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                yield SettingChange(run.started_at, run.run_id, name, old.get(name), new.get(name))


SETTING_COLUMNS: Columns = (
    ("setting", lambda s: s.name),
    ("value", lambda s: setting_text(s.value)),
    ("from", lambda s: s.origin),
)


def change_columns(times: Times) -> Columns:
    """Return the columns of a table of changes."""
    return (
        (f"changed {times.zone}", lambda c: f"{times.day(c.time)} {times.clock(c.time, seconds=True)}"),
        ("setting", lambda c: c.setting),
        ("before", lambda c: setting_text(c.before)),
        ("after", lambda c: setting_text(c.after)),
    )  # fmt: skip
