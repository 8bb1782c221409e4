"""The wall clock. Who decides by wall time is given one, so that a test can give its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Wall = Callable[[], datetime]
"""Returns the wall time, UTC."""


def utc_now() -> datetime:
    """Return this machine's time, UTC."""
    return datetime.now(UTC)
