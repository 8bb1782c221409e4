"""The sessions around a trading date, kept in the database: commands that ask no broker read them."""

from __future__ import annotations

import json
from bisect import bisect_left
from datetime import UTC, date, datetime

from smabot.domain.book_view import BookView
from smabot.domain.bot_records import BotState
from smabot.domain.calendar import Calendar, Session
from smabot.errors import JournalError

OWNER, KEY = "core", "sessions"
"""Whose value it is, and its name."""
AHEAD = 10
"""Sessions that are kept from the trading date on; the one before it is kept, too."""


def sessions_row(calendar: Calendar, day: date) -> BotState | None:
    """Return the sessions around a trading date as a row; None where the calendar knows none."""
    begin = bisect_left(calendar.sessions, day, key=lambda session: session.date)
    kept = calendar.sessions[max(begin - 1, 0) : begin + AHEAD]
    if not kept:
        return None
    value = [[f"{s.date}", s.open.isoformat(), s.close.isoformat()] for s in kept]
    return BotState(OWNER, KEY, json.dumps(value))


def kept_sessions(book: BookView) -> Calendar:
    """Return the sessions that the last run has kept; none in a database of an older release.

    Raises JournalError for a row that holds something else.
    """
    row = book.row(BotState, OWNER, KEY)
    try:
        sessions = [
            Session(date.fromisoformat(day), _utc(opens), _utc(closes))
            for day, opens, closes in json.loads(row.value if row else "[]")
        ]
    except (OverflowError, RecursionError, TypeError, ValueError):
        raise JournalError(
            f"the row of {OWNER} and {KEY} in the database holds no sessions: restore a backup, or remove "
            "the row with sqlite3: the next run writes it"
        ) from None
    return Calendar(sessions)


def _utc(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return time.astimezone(UTC)
