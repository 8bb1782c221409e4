"""Historical data as columns, checked once: of files they are kept in the user's cache for the next time.

The cache may be removed at any time. A file in it that nobody has used for a month is removed with the next
import.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import time
from contextlib import suppress
from datetime import date
from importlib import metadata
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from loguru import logger

from smabot.provider import ConfigError, Session
from smabot_exchange.data.bar_columns import VERSION, BarColumns, ColumnsWriter
from smabot_exchange.data.data_files import DataFiles
from smabot_exchange.data.data_source import DataSource
from smabot_exchange.data.sessions import OutsideCalendar
from smabot_exchange.ledger.data_import import DataImport, history_note, session_row
from smabot_exchange.ledger.rows import to_time

_UNUSED = 30 * 86_400
"""Seconds after which a file of the cache is removed."""


def imported_columns(source: DataSource) -> BarColumns:
    """Return a source's bars in its regular sessions; `sessions_of` and `notes_of` read their facts.

    Raises ConfigError for bad data.
    """
    if not isinstance(source, DataFiles):
        return _in_memory(source)
    path = _place(source)
    if path is None:
        return _in_memory(source)
    with suppress(OSError, ValueError, LookupError, TypeError):  # whatever is wrong with a file
        return _mapped(path)
    try:
        _import(source, path)
        return _mapped(path)
    except OSError as error:
        logger.warning("{} can't be kept, and is imported each time: {}", source.label, error)
        return _in_memory(source)


def _place(source: DataFiles) -> Path | None:
    """Return where a source's columns are kept; None: there is no place for a cache."""
    with suppress(RuntimeError):  # as `home` says that there is none
        base = Path(os.environ.get("XDG_CACHE_HOME", ""))
        base = base if base.is_absolute() else Path.home() / ".cache"
        return base / "smabot" / "bars" / f"{_key(source)}.columns"
    return None


def _import(source: DataFiles, path: Path) -> None:
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True)
    _remove_unused(folder)
    with NamedTemporaryFile(dir=folder, suffix=".new", delete=False) as new:
        try:
            _write(source, new)
            new.flush()
            os.fsync(new.fileno())
            Path(new.name).replace(path)
        finally:
            Path(new.name).unlink(missing_ok=True)


def _in_memory(source: DataSource) -> BarColumns:
    content = BytesIO()
    _write(source, content)
    return BarColumns(content.getbuffer())


def sessions_of(columns: BarColumns) -> list[tuple[Session, bool]]:
    """Return the sessions, those with data (true) and the few after its end (false)."""
    return [
        (Session(date.fromisoformat(day), to_time(opens), to_time(closes)), bool(played))
        for day, opens, closes, played in columns.facts["sessions"]
    ]


def notes_of(columns: BarColumns, past: int) -> list[str]:
    """Return what an operator should know of the data, a line each; so many sessions are history."""
    notes: list[str] = list(columns.facts["notes"])
    if past:
        played = [session for session, has_data in sessions_of(columns) if has_data]
        notes.append(history_note(past, played[past - 1]))
    return notes


def _write(source: DataSource, stream: Any) -> None:
    intake = DataImport(source.label, source.stored_label, source.actions())
    writer = ColumnsWriter(stream)
    try:
        writer.add(intake.rows(source.bars()))
        sessions = intake.finish()
    except OutsideCalendar as error:
        raise ConfigError(f"{source.label}: {error}") from None
    facts = {
        "first_opens": intake.first_opens,
        "sessions": list(map(session_row, sessions)),
        "notes": intake.notes(),
    }
    writer.finish(intake.minutes, facts)


def _key(source: DataFiles) -> str:
    devices = [(file.name, file.stat().st_dev) for file in source.files]
    lists = [(file.name, file.stat().st_mtime_ns) for file in source.actions_files]
    version = metadata.version("smabot-exchange")
    named = (VERSION, version, source.stored_label, source.signature(), devices, lists)
    return hashlib.blake2b(repr(named).encode(), digest_size=20).hexdigest()


def _mapped(path: Path) -> BarColumns:
    with path.open("rb") as stream:
        content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    columns = BarColumns(content)
    with suppress(OSError):
        os.utime(path)
    return columns


def _remove_unused(folder: Path) -> None:
    oldest = time.time() - _UNUSED
    for path in folder.iterdir():
        with suppress(OSError):
            if path.suffix in (".columns", ".new") and path.stat().st_mtime < oldest:
                path.unlink()
