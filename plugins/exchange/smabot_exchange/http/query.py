"""Reading what a client sent: query parameters and bodies, numbers as numbers or as text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request

from smabot.provider import EXCHANGE_ZONE
from smabot_exchange.http.answers import bad_parameter
from smabot_exchange.matching.orders import nanoseconds

_BEYOND_MICROSECONDS = re.compile(r"\.\d{6}(\d{1,3})")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_YEARS = range(1900, 2200)
"""Of times that clients may ask about: some days before or after any of them are dates, too."""
_TRUE = ("true", "1", "t")
_FALSE = ("false", "0", "f")
_MOST_DIGITS = 30
"""Before or after the point: beyond is nonsense, and costs memory to write out."""


D = TypeVar("D", bound=date)


class Query:
    """The parameters of a request; ``fail`` makes the error for one that can't be understood."""

    def __init__(self, request: Request, fail: Callable[[str], Exception] = bad_parameter) -> None:
        self._values: Mapping[str, str] = request.query_params
        self._fail = fail

    def text(self, name: str) -> str | None:
        """Return a parameter, or None where it is missing or empty."""
        return self._values.get(name, "").strip() or None

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        value = (self.text(name) or default).lower()
        if value not in choices:
            raise self._fail(f"invalid {name}: {value}")
        return value

    def whole(self, name: str, default: int, most: int) -> int:
        """Return a whole number from 1 to ``most``."""
        text = self.text(name)
        if text is None:
            return default
        if not re.fullmatch("0*[0-9]{1,9}", text) or not 1 <= int(text.lstrip("0") or 0) <= most:
            raise self._fail(f"{name} must be between 1 and {most}")
        return int(text.lstrip("0"))

    def flag(self, name: str) -> bool:
        text = (self.text(name) or "false").lower()
        if text not in (*_TRUE, *_FALSE):
            raise self._fail(f"invalid {name}: {text}")
        return text in _TRUE

    def time(self, name: str) -> datetime | None:
        """Return an instant, UTC: RFC 3339, or a date, which is its midnight in New York."""
        text = self.text(name)
        if text is None:
            return None
        try:
            if len(text) == len("2026-03-02"):
                day = _sensible(date.fromisoformat(text))
                return datetime.combine(day, time(), EXCHANGE_ZONE).astimezone(UTC)
            moment = datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped +00:00
            if moment.tzinfo is None:
                raise ValueError("without a time zone")
            return _sensible(moment).astimezone(UTC)
        except ValueError:
            raise self._fail(
                f"invalid {name}: {text} is not RFC 3339 like 2026-03-02T14:30:00Z, nor a date"
            ) from None

    def nanoseconds(self, name: str) -> int | None:
        """Return an instant as `time` does, nanoseconds since 1970, none of its digits cut off."""
        moment = self.time(name)
        if moment is None:
            return None
        finer = _BEYOND_MICROSECONDS.search(self.text(name) or "")
        return nanoseconds(moment) + (int(finer[1].ljust(3, "0")) if finer else 0)

    def day(self, name: str) -> date | None:
        """Return a date; of an instant it is the date it is written with."""
        text = self.text(name)
        try:
            return None if text is None else _sensible(date.fromisoformat(text[:10]))
        except ValueError:
            raise self._fail(f"invalid {name}: {text} is not a date like 2026-03-02") from None

    def names(self, name: str) -> list[str]:
        """Return a list that is separated by commas, in the order given, each once."""
        parts = (part.strip() for part in (self.text(name) or "").split(","))
        return list(dict.fromkeys(part for part in parts if part))

    def amount(self, name: str) -> Decimal | None:
        text = self.text(name)
        return None if text is None else decimal(text, name)


async def body_of(request: Request, largest: int) -> dict[str, Any]:
    """Return the object in a request's body; an empty body is an empty object.

    Raises RequestRefused when it is no JSON object, HTTPException 413 when it is too large.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > largest:
            raise HTTPException(413)
    if not content:
        return {}
    try:
        found = read_json(content)
    except ValueError:
        raise bad_parameter("request body format is invalid") from None
    if not isinstance(found, dict):
        raise bad_parameter("request body format is invalid")
    return found


def read_json(content: bytes | bytearray) -> Any:
    """Return what a text of JSON says; a number with a point keeps all its digits, as a Decimal.

    Raises ValueError for what is no JSON by RFC 8259: NaN, half a surrogate pair, or too deep.
    """
    orjson.loads(content)
    return json.loads(content, parse_float=Decimal)


def decimal(value: object, name: str) -> Decimal:
    """Return a number that came as number or text, exactly as it was written.

    Raises RequestRefused when it is none, or infinite.
    """
    text = str(value) if isinstance(value, str | int | Decimal) else ""
    if isinstance(value, bool) or not _NUMBER.fullmatch(text):
        raise bad_parameter(f"invalid {name}: {value}")
    number = Decimal(text)
    if not number.is_finite() or (number and abs(number.adjusted()) > _MOST_DIGITS):
        raise bad_parameter(f"invalid {name}: {value}")
    return number


def identity(text: str) -> UUID | None:
    """Return a UUID, or None when the text is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _sensible(day: D) -> D:
    """Return a date or an instant. Raises ValueError for one in a year that no client means."""
    if day.year not in _YEARS:
        raise ValueError("a year that no client means")
    return day
