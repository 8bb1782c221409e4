"""Converts Python values to SQLite values and back, by a column's declared type.

Equal values have equal text, so that a key or a filter finds them whatever their spelling was.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

MOST_DIGITS = 1_000
"""Of a stored number, before or after the point: what has more was not written here."""


class Codec(NamedTuple):
    """How one type is stored.

    ``word`` names it in the schema's stamp, ``sql`` is its SQLite type. ``decode`` is None where
    SQLite gives the value back as it was. ``sorts`` says whether stored values sort as the values.
    """

    word: str
    sql: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any] | None
    sorts: bool

    @property
    def stored(self) -> type:
        """The Python type that SQLite gives a stored value back as."""
        return _STORED[self.sql]


def codec_of(kind: type) -> Codec:
    """Return the codec of a column's type."""
    if issubclass(kind, StrEnum):
        members: dict[str, Any] = {member.value: member for member in kind}
        return Codec("text", "TEXT", _word(kind), members.__getitem__, True)
    return _CODECS[kind]


def _word(kind: type[StrEnum]) -> Callable[[Any], str]:
    # ``_value_`` is ``value`` without a descriptor between: five times as fast.
    return lambda value: (value if type(value) is kind else kind(value))._value_


def _text(value: str) -> str:
    if not isinstance(value, str):
        raise TypeError
    if not value.isascii():
        value.encode()  # half a surrogate pair is no text
    return str(value)


def _integer(value: int) -> int:
    if not isinstance(value, int):
        raise TypeError
    if not -(2**63) <= value < 2**63:
        raise OverflowError
    return int(value)


def _real(value: float) -> float:
    if not isinstance(value, int | float):
        raise TypeError
    if value != value:  # SQLite would make a NULL of it
        raise ValueError
    return float(value)


def _boolean(value: bool) -> int:
    if value is not True and value is not False:
        raise TypeError
    return int(value)


def _decimal(value: Decimal) -> str:
    if not isinstance(value, Decimal):
        raise TypeError
    if not value.is_finite():
        raise ValueError
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def encode_time(value: datetime) -> str:
    """Return an instant as UTC text, ``2026-03-02T14:30:00Z``; microseconds only where there are."""
    if not isinstance(value, datetime):
        raise TypeError
    if value.tzinfo is UTC:
        return _utc_text(value)
    if value.tzinfo is None:
        raise ValueError
    return value.astimezone(UTC).isoformat()[:-6] + "Z"


@lru_cache(maxsize=64)
def _utc_text(value: datetime) -> str:
    """Return what a step writes many times: its rows have few distinct times."""
    return value.isoformat()[:-6] + "Z"


def _read_boolean(stored: int) -> bool:
    if stored not in (0, 1):
        raise ValueError
    return stored == 1


def _read_decimal(stored: str) -> Decimal:
    value = Decimal(stored)
    if not value.is_finite() or (value and abs(value.adjusted()) > MOST_DIGITS):
        raise ValueError
    return value


def _read_time(stored: str) -> datetime:
    value = datetime.fromisoformat(stored)
    if value.tzinfo is not UTC:
        raise ValueError
    return value


def _date(value: date) -> str:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TypeError
    return value.isoformat()


_STORED: dict[str, type] = {"TEXT": str, "INTEGER": int, "REAL": float}
_CODECS: dict[type, Codec] = {
    str: Codec("text", "TEXT", _text, None, True),
    int: Codec("integer", "INTEGER", _integer, None, True),
    float: Codec("real", "REAL", _real, None, True),
    bool: Codec("boolean", "INTEGER", _boolean, _read_boolean, True),
    Decimal: Codec("decimal", "TEXT", _decimal, _read_decimal, False),
    datetime: Codec("time", "TEXT", encode_time, _read_time, False),
    date: Codec("date", "TEXT", _date, date.fromisoformat, True),
}
