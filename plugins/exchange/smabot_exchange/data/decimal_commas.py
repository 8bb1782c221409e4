"""Numbers with a decimal comma, as 1.234,56: which files have them for certain, and what is written."""

from __future__ import annotations

import re
from collections.abc import Iterable

_DECIMAL = re.compile(
    r"[+-]?(?:[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+|(?:0?|[0-9]{4,}),[0-9]+|[0-9]+,(?:[0-9]{1,2}|[0-9]{4,}))",
    re.ASCII,
)
"""Whose comma can't be one of thousands: points before it, or not three digits after one to three."""
_OF_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:(?:,[0-9]{3})+\.[0-9]*|(?:,[0-9]{3}){2,})", re.ASCII)
_READ = re.compile(
    r"([+-]?)([0-9]*|[0-9]{1,3}(?:\.[0-9]{3})+)(?:,([0-9]+))((?:e[+-]?[0-9]+)?)", re.ASCII | re.I
)


def has_decimal_commas(numbers: Iterable[str]) -> bool:
    """Whether the first number that leaves no doubt has a decimal comma; False where there is none."""
    for text in numbers:
        if "," in text:
            if _DECIMAL.fullmatch(text.strip()):
                return True
            if _OF_THOUSANDS.fullmatch(text.strip()):
                return False
    return False


def with_point(text: str) -> str:
    """Return a number that has a decimal comma with a point; any other text as it is."""
    found = _READ.fullmatch(text.strip())
    if found is None:
        return text
    sign, whole, decimals, exponent = found.groups()
    return f"{sign}{whole.replace('.', '')}.{decimals}{exponent}"
