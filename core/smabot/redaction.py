"""What is secret, and how it is kept out of everything that is shown or logged."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

MASK = "********"
SECRETS_FILE = ".secrets.toml"
SHORTEST = 6
"""Shorter values are not searched for: they would hit innocent text."""

_SECRET_NAME = re.compile(r"key|secret|token|password", re.IGNORECASE)
_PATTERNS = (
    re.compile(r"(?i)(\bauthorization\b[\"']?\s*[:=]\s*[\"']?(?:\w+ )?)[^\s\"',;}\]]+"),
    re.compile(
        r"(?i)([\w-]*(?:api[-_]?key|key[-_]?id|secret|token|password)[\w-]*"
        r"[\"']?\s*[:=]\s*[\"']?)[^\s\"',;}\]&]+"
    ),
    re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)"),
)


def is_secret(dotted: str, origin: str = "") -> bool:
    """Whether a setting holds a secret: by its name, or because ``.secrets.toml`` set it."""
    return bool(_SECRET_NAME.search(dotted)) or SECRETS_FILE in origin


def texts(value: Any) -> list[str]:
    """Return the texts that would give a setting's value away."""
    if isinstance(value, list | tuple):
        return [text for each in value for text in texts(each)]
    return [] if value in (None, "") or isinstance(value, bool) else [str(value)]


class Redactor:
    """Replaces known secret values, and what looks like a credential, by asterisks."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        values = {secret for secret in secrets if len(secret) >= SHORTEST}
        values |= {quote(value, safe="") for value in values}
        longest_first = sorted(values, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, longest_first))) if values else None

    def __call__(self, text: str) -> str:
        if self._values is not None:
            text = self._values.sub(MASK, text)
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\g<1>{MASK}", text)
        return text
