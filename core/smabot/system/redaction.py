"""Secrets, and how smabot masks them in everything that it shows, logs or stores.

The process has one register of secrets. Whoever reads a secret registers it before using it; screens,
errors, the log and the texts of records all go through `redact`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MASK = "********"
SECRETS_FILE = ".secrets.toml"
LONG = 6
"""Secrets of so many characters are masked wherever they stand, shorter ones where they stand alone:
within a longer word they would hit innocent text."""
SHORTEST = 3
"""Shorter ones can't be told from innocent text."""
PUBLIC = frozenset({"PKSMABOT", "smabot"})
"""The key of the built-in paper exchange, which is everybody's."""

_SECRET_NAME = re.compile(
    r"(?:key|secret|token|password)(?!\w*_(?:minutes|seconds|hours|days|count)$)", re.IGNORECASE
)
_PATTERNS = (
    re.compile(r"(?i)(\bauthorization\b[\"']?\s*[:=]\s*[\"']?(?:\w+ )?)[^\s\"',;}\]]+"),
    re.compile(
        r"(?i)(?<![/\w-])([\w-]*(?:api[-_]?key|key[-_]?id|secret|token|password)[\w-]*"
        r"[\"']?\s*[:=]\s*[\"']?)[^\s\"',;}\]&]+"
    ),
    re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)"),
)


def is_secret(dotted: str, origin: str = "") -> bool:
    """Whether a setting holds a secret: by its name, or because ``.secrets.toml`` set it."""
    return bool(_SECRET_NAME.search(dotted)) or SECRETS_FILE in origin


def texts(value: Any) -> list[str]:
    """Return the texts that would give a setting's value away."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [text for each in value for text in texts(each)]
    return [] if value in (None, "") or isinstance(value, bool) else [str(value)]


def worth_masking(dotted: str, value: Any) -> list[str]:
    """Return the texts of a secret setting that are searched for.

    Of the short ones only text in a setting with a secret's name: a number is more often something
    like ``max_tokens``, and ``.secrets.toml`` may hold any other setting.
    """
    short = isinstance(value, str) and bool(_SECRET_NAME.search(dotted))
    return [text for text in texts(value) if short or len(text) >= LONG]


def register_secret(*secrets: str) -> None:
    """Mask these texts from now on, in this process, as they are and as they are usually encoded.

    Safe to call from any thread, and again with the same ones.
    """
    _register.add(secrets)


def redact(text: str) -> str:
    """Return a text with registered secrets, and what looks like a credential, masked."""
    return _register(text)


def known_masked(text: str) -> str:
    """Return a text with registered secrets masked; the very text where it holds none."""
    return _register.known(text)


def any_secret() -> bool:
    """Whether a secret is registered."""
    return _register.values is not None


class Redactor:
    """Replaces known secret values, and what looks like a credential, by asterisks."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._secrets: frozenset[str] = frozenset()
        self.values: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Mask these, too. Surrounding white space does not count."""
        new = {each for secret in secrets if len(each := secret.strip()) >= SHORTEST} - PUBLIC
        with self._lock:
            if new <= self._secrets:
                return
            known = self._secrets | new
            forms = {form for secret in known for form in _forms(secret)}
            longest_first = sorted(forms, key=lambda form: (-len(form), form))
            self.values = re.compile("|".join(map(_searched, longest_first)))
            self._secrets = known

    def known(self, text: str) -> str:
        """Mask known values alone."""
        return text if self.values is None else self.values.sub(MASK, text)

    def __call__(self, text: str) -> str:
        text = self.known(text)
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\g<1>{MASK}", text)
        return text


_register = Redactor()


def _searched(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= LONG else rf"(?<![^\W_]){escaped}(?![^\W_])"


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it is, and as URLs, JSON, HTML, Python and base64 write it."""
    import json
    from html import escape
    from urllib.parse import quote, quote_plus

    yield secret
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret), escape(secret))
    yield repr(secret)[1:-1]
    for written in (json.dumps(secret), json.dumps(secret, ensure_ascii=False)):
        yield from (written[1:-1], written[1:-1].replace("/", r"\/"))
    yield from _in_base64(secret.encode("utf-8", "surrogatepass"))


def _in_base64(secret: bytes) -> Iterator[str]:
    """Yield what a secret looks like in base64 that begins 0, 1 or 2 bytes before it, as in
    ``Authorization: Basic``: those characters that its neighbours have no part in."""
    from base64 import b64encode, urlsafe_b64encode

    for encode in (b64encode, urlsafe_b64encode):
        for before, first in enumerate((0, 2, 3)):
            written = encode(b"\0" * before + secret).decode()
            certain = written[first : (before + len(secret)) * 8 // 6]
            if len(certain) >= LONG:
                yield certain
        yield encode(secret).decode().rstrip("=")
