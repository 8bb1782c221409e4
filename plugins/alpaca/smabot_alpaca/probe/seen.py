"""What is seen of Alpaca, in words that can be compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from smabot_alpaca.rest.client import RequestRefused

_VARYING = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|smabot-probe-[\w.-]+|\d+\.\d+", re.ASCII
)
"""Ids, and prices: they differ from one order to the next."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What Alpaca did, in words that are compared with those expected.

    ``plays`` makes the paper exchange do the same: values by the names of its behaviours, as
    ``gtc_expires_at`` or ``refusals.wash_trade``. Nothing: it can't.
    """

    text: str
    plays: Mapping[str, Any] = field(default_factory=dict)


class NotTried(Exception):
    """A procedure finds that the account, or the moment, does not allow it."""


def same_words(message: str) -> str:
    """Return a message without what varies from one order to the next."""
    return _VARYING.sub("…", message)


def refusal_words(refusal: RequestRefused) -> str:
    """Return a refusal in one line: status, code, message, and what else its body names."""
    code = "without code" if refusal.code is None else str(refusal.code)
    names = _further_fields(refusal)
    more = f" (and {', '.join(names)})" if names else ""
    return f"{refusal.status} {code} {same_words(refusal.message)}{more}"


def played_refusal(refusal: RequestRefused) -> dict[str, Any]:
    """Return a refusal as the paper exchange plays it back."""
    return {
        "status": refusal.status,
        "code": refusal.code,
        "message": same_words(refusal.message),
        "fields": _further_fields(refusal),
    }


def seen_refusal(
    attempt: Callable[[], object], kind: str, accepted: Mapping[str, Any] | None = None
) -> Seen:
    """Return how an attempt was refused. ``kind`` is the refusal's name at the paper exchange, ``accepted``
    what makes that accept it, too."""
    try:
        attempt()
    except RequestRefused as refusal:
        return Seen(refusal_words(refusal), {kind: played_refusal(refusal)} if kind else {})
    return Seen("accepted", accepted or {})


def _further_fields(refusal: RequestRefused) -> list[str]:
    return sorted(name for name in refusal.body if name not in ("code", "message"))
