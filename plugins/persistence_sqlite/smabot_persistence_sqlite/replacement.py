"""Puts databases in the place of others, all of them or none: a kill in between is finished by whoever comes next.

A plan beside the database names what is to be replaced. Until it is written, nothing has changed; from then
on every opening for writing first carries it out, and every opening for reading refuses.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from smabot.provider import ConfigError, FileLock, database_files, sync_to_disk


@dataclass(frozen=True, slots=True)
class Replacement:
    """A database's resolved place, and the name under which what is there now is kept."""

    place: Path
    kept: Path

    @property
    def staged(self) -> Path:
        """Where the new one lies before it is put in place."""
        return self.place.with_name(self.place.name + ".restored")


def plan_of(db: Path) -> Path:
    """Return the file that is there while a restore of a database is not finished."""
    db = Path(os.path.realpath(db))
    return db.with_name(db.name + ".restoring")


@contextmanager
def locked_places(db: Path, others: Sequence[Path]) -> Iterator[None]:
    """Hold the locks of a database and of its account's files. Raises LockHeld, ConfigError."""
    with ExitStack() as held:
        held.callback(FileLock(db, f"database {db}", "use another --db").release)
        for other in others:
            lock = FileLock(other, f"ledger {other}", "give another --ledger or --db")
            held.callback(lock.release)
        yield


def replace_all(db: Path, replacements: Sequence[Replacement]) -> None:
    """Put the staged files, which are on the disk, in place. The caller holds the locks.

    Raises ConfigError when the disk takes no plan; then nothing has changed.
    """
    plan = plan_of(db)
    names = [
        [os.path.relpath(path, plan.parent) for path in (each.place, each.kept)]
        for each in replacements
    ]
    try:
        _write_durably(plan, json.dumps(names))
    except OSError as error:
        raise ConfigError(
            f"database {db} can't be replaced: {error.strerror}: check the folder"
        ) from error
    _carry_out(plan, replacements)


def _write_durably(path: Path, text: str) -> None:
    """Write a file that is whole as soon as it has its name."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, "utf-8")
    sync_to_disk(partial)
    partial.replace(path)
    sync_to_disk(path.parent)


def finish_restore(db: Path) -> list[str]:
    """Carry out what a killed restore has left, if there is something. Returns notes for the operator.

    Raises LockHeld while another process does, ConfigError when a file of it is gone.
    """
    plan = plan_of(db)
    if not os.path.lexists(plan):
        return []
    with ExitStack() as held:
        held.enter_context(locked_places(db, ()))
        if not os.path.lexists(plan):
            return []
        replacements = _read(plan)
        others = [each.place for each in replacements if each.place != db.resolve()]
        for other in others:
            lock = FileLock(other, f"ledger {other}", "stop its exchange")
            held.callback(lock.release)
        _carry_out(plan, replacements)
    return ["the restore that was interrupted is finished"]


def _read(plan: Path) -> list[Replacement]:
    try:
        names = json.loads(plan.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{plan}, of a restore that was interrupted, can't be read: check the disk, or remove it and "
            "restore a backup again"
        ) from error
    found = [
        Replacement(*(Path(os.path.normpath(plan.parent / n)) for n in pair)) for pair in names
    ]
    for each in found:
        if not (each.staged.exists() or each.place.exists()):
            raise ConfigError(
                f"a restore was interrupted, and {each.staged} is gone: put it back, or remove {plan} "
                "and restore a backup again"
            )
    return found


def _carry_out(plan: Path, replacements: Sequence[Replacement]) -> None:
    """Do what is left of a plan. What stands in a place goes first, with all of its own files: a
    write-ahead log left behind would be read into the new database."""
    try:
        for each in replacements:
            if each.staged.exists():
                _keep(each)
                each.staged.replace(each.place)
                sync_to_disk(each.place.parent)
        plan.unlink()
        sync_to_disk(plan.parent)
    except OSError as error:
        raise ConfigError(
            f"the restore can't be finished: {error.strerror}: check the folder {plan.parent}, then "
            "start again or restore again, which finishes it"
        ) from error


def _keep(each: Replacement) -> None:
    place, kept = each.place, each.kept
    if os.path.lexists(place):
        kept = free_name(kept)
    for file in _files_of(place):
        if os.path.lexists(file):
            file.replace(kept.with_name(kept.name + file.name.removeprefix(place.name)))
    sync_to_disk(place.parent)


def _files_of(place: Path) -> list[Path]:
    """Return what goes with a database: all but the lock, which keeps others out meanwhile."""
    journal = place.with_name(place.name + "-journal")
    return [*(file for file in database_files(place) if file.suffix != ".lock"), journal]


def free_name(path: Path) -> Path:
    """Return a path that nothing has yet: this one, or one with a number."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free
