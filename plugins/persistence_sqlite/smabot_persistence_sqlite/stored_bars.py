"""What rows of the table of bars may hold: SQLite itself keeps any value in any column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

from smabot.provider import JournalError

_NONE = type(None)
_SOUND = {(str, *[float] * 5, *last) for last in product((int, _NONE), (float, _NONE))}
"""The types of symbol, prices, volume, trade count and average price."""


class NoBar(ValueError):
    """A row that is no bar."""


def check_values(rows: Iterable[tuple[Any, ...]]) -> None:
    """Raise NoBar for a row, without its time, that holds another kind of value than its columns."""
    for row in rows:
        if tuple(map(type, row)) not in _SOUND:
            raise NoBar(f"a row of bars holds {repr(row)[:120]}")


@contextmanager
def named_damage(shown: Path) -> Iterator[None]:
    """Turn what values that are no bars lead to into a JournalError about the database."""
    try:
        yield
    except (TypeError, ValueError, OverflowError, OSError) as error:
        what = (
            str(error)
            if isinstance(error, NoBar)
            else f"the table of bars holds no times ({error})"
        )
        raise JournalError(
            f"database {shown}: {what}: restore a backup, or put it right with sqlite3"
        ) from error
