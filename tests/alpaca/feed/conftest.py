"""A calendar of three sessions, one of them a half-day, and bars in New York time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import msgpack
import pytest

pytest.importorskip("smabot_alpaca")

from smabot.domain.calendar import EXCHANGE_ZONE, Calendar, Session
from smabot.domain.records import Bar


def new_york(text: str) -> datetime:
    """``2026-11-25 09:30`` in New York, as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=EXCHANGE_ZONE).astimezone(UTC)


def session(day: date, close: str = "16:00") -> Session:
    return Session(day, new_york(f"{day} 09:30"), new_york(f"{day} {close}"))


@pytest.fixture(scope="session")
def calendar() -> Calendar:
    """Wednesday, Friday (a half-day) and Monday around Thanksgiving."""
    return Calendar(
        [
            session(date(2026, 11, 25)),
            session(date(2026, 11, 27), "13:00"),
            session(date(2026, 11, 30)),
        ]
    )


@pytest.fixture(scope="session")
def at() -> Callable[[str], datetime]:
    return new_york


@pytest.fixture(scope="session")
def make_bar() -> Callable[..., Bar]:
    def make_bar(symbol: str, local: str | datetime, close: float = 10.0) -> Bar:
        time = local if isinstance(local, datetime) else new_york(local)
        return Bar(symbol, time, close, close, close, close, 100.0, 3, close)

    return make_bar


@pytest.fixture(scope="session")
def on_the_wire() -> Callable[..., dict[str, Any]]:
    """A bar as a message of the data stream."""

    def on_the_wire(bar: Bar, kind: str = "b", **more: Any) -> dict[str, Any]:
        return {
            "T": kind, "S": bar.symbol, "o": bar.open, "h": bar.high, "l": bar.low, "c": bar.close,
            "v": int(bar.volume), "n": bar.trade_count, "vw": bar.vwap,
            "t": msgpack.Timestamp.from_datetime(bar.time), **more,
        }  # fmt: skip

    return on_the_wire
