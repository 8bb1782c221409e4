"""What of a receiver's URL is a secret. All of it is masked, and the parts that may be a key by themselves,
as a library's message may hold only those."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from smabot.api import register_secret

LIKE_A_KEY = 8
"""Parts from so many characters on are masked where they have a digit,"""
SURELY_A_KEY = 16
"""and from so many on in any case."""


def register_url(url: str) -> None:
    """Mask a URL and its parts from now on, wherever they are shown or logged."""
    register_secret(url, *_parts(url))


def _parts(url: str) -> Iterator[str]:
    _, _, rest = url.partition("://")
    place, _, _ = re.split(r"[?]", rest, maxsplit=1)[0].partition("/")
    login, _, host = place.rpartition("@")
    _, _, password = login.partition(":")
    yield from (password, unquote(password))
    is_address = "." in host or host.startswith(("localhost", "["))
    for part in re.split(r"[/@:?&=,]", rest):
        if is_address and part and part in host:
            continue
        digit = any(map(str.isdigit, part))
        if len(part) >= SURELY_A_KEY or (len(part) >= LIKE_A_KEY and digit):
            yield from (part, unquote(part))
