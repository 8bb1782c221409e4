"""How cash that moves without a trade is listed among the account's activities."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple


class ActivityNote(NamedTuple):
    """How moved cash is listed among the account's activities.

    ``kind`` is Alpaca's code, as ``DIV``; ``symbol`` is empty where it is of none. ``shown_after``: how much
    later than the cash moves; None: never.
    """

    kind: str
    symbol: str = ""
    description: str = ""
    shown_after: timedelta | None = timedelta(0)

    @classmethod
    def of(cls, cash: Decimal) -> ActivityNote:
        """Return that of a deposit or a withdrawal."""
        return cls("CSD" if cash > 0 else "CSW")


def activity_note(
    cash: Decimal, kind: str | None, symbol: str, description: str, minutes: int | None
) -> ActivityNote:
    """Return how cash is listed, so many minutes after it moved; None: never. Without a kind: by its sign."""
    after = None if minutes is None else timedelta(minutes=minutes)
    return ActivityNote(kind or ActivityNote.of(cash).kind, symbol, description, after)
