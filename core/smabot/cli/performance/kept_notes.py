"""A backtest's notes, kept in its database: `smabot report` has no data to make them from again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from smabot.domain.bot_records import BotState

OWNER, KEY = "core", "backtest_notes"
"""Whose value they are, and its name."""
UNFINISHED = "this backtest did not reach its end, and only a part of it was written: run it again with another --db"


def notes_row(notes: Sequence[str]) -> BotState:
    """Return the notes as a row; `UNFINISHED` stands there until a backtest has its own."""
    return BotState(OWNER, KEY, json.dumps(list(notes)))


def kept_notes(rows: Any) -> list[str]:
    """Return the notes of the backtest that made a database; none in that of a bot, or of an older release."""
    row = rows.row(BotState, OWNER, KEY)
    try:
        notes = json.loads(row.value) if row else []
    except (RecursionError, ValueError):
        return []
    return [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []
