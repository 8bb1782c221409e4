"""The answers of risk checks about an order, and their text that is kept with the order."""

from __future__ import annotations

import json
from collections.abc import Iterable

from smabot.domain.frozen_classes import frozen

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
    """Return checks as JSON: a list of ``[name, passed, value, limit, reason]``."""
    return json.dumps([[c.name, c.passed, c.value, c.limit, c.reason] for c in checks])


def read_checks(text: str) -> list[Check]:
    """Return the checks of `Order.checks`; none for an order of an older release."""
    return [Check(*fields) for fields in json.loads(text or "[]")]
