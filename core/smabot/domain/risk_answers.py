"""The answers of risk checks about an order, and their text that is kept with the order."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted

from smabot.domain.frozen_classes import frozen
from smabot.errors import JournalError

SIZE = "size"
"""The name of the first entry of an order's checks: its quantity, and how that came."""


@frozen
class Veto:
    """A plugin's refusal of an order. The reason is kept with the order."""

    reason: str


@frozen
class Check:
    """One risk check's answer about an order: the measured value and its limit.

    ``value`` and ``limit`` are text for the reader. A check that did not pass blocks the order with
    ``reason``.
    """

    name: str
    passed: bool
    value: str = ""
    limit: str = ""
    reason: str = ""


def checks_text(checks: Iterable[Check]) -> str:
    """Return checks as JSON: a list of ``[name, passed, value, limit, reason]``.

    It is the text of `json.dumps`, in half the time: each order has a dozen.
    """
    return f"[{', '.join(map(_check_text, checks))}]"


def _check_text(check: Check) -> str:
    passed = "true" if check.passed else "false"
    value, limit, reason = quoted(check.value), quoted(check.limit), quoted(check.reason)
    return f"[{quoted(check.name)}, {passed}, {value}, {limit}, {reason}]"


def read_checks(text: str) -> list[Check]:
    """Return the checks of `Order.checks`; none for an order of an older release.

    Raises JournalError for a text that holds something else.
    """
    return [*_read_checks(text)]


@lru_cache(maxsize=64)
def _read_checks(text: str) -> tuple[Check, ...]:
    try:
        checks = tuple(Check(*fields) for fields in json.loads(text or "[]"))
    except (RecursionError, TypeError, ValueError):
        raise _damaged(text) from None
    for check in checks:
        texts = check.name, check.value, check.limit, check.reason
        if type(check.passed) is not bool or not all(isinstance(each, str) for each in texts):
            raise _damaged(text)
    return checks


def _damaged(text: str) -> JournalError:
    return JournalError(
        f"order_intents.checks holds {text[:80]!r}, which is no list of checks: restore a backup, or put "
        "it right with sqlite3"
    )
