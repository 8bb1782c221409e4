"""Risk checks' answers about an order, as the text that is kept with it."""

from __future__ import annotations

import json
from collections.abc import Iterable

from smabot.domain.records import Check


def checks_text(checks: Iterable[Check]) -> str:
    """Return checks as JSON: a list of ``[name, passed, value, limit, reason]``."""
    return json.dumps([[c.name, c.passed, c.value, c.limit, c.reason] for c in checks])


def read_checks(text: str) -> list[Check]:
    """Return the checks of `Order.checks`; none for an order of an older release."""
    return [Check(*fields) for fields in json.loads(text or "[]")]
