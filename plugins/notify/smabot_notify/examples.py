"""An example of each kind of alert, made as those of a run are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

from smabot.api import (
    ClosedSession,
    CommittedStep,
    Event,
    Fill,
    Order,
    OrderType,
    Run,
    Side,
    Status,
    TimeInForce,
)
from smabot_notify.alerts import Alert
from smabot_notify.step_alerts import alerts_of

AT = datetime(2026, 3, 2, 15, 31, tzinfo=UTC)
ORDER = "smabot-sma-SPY-20260302T1530Z-1"
PLAIN = Alert("run", "test", "a test message", "If you can read this, alerts reach you.", "0.1")


def example(kind: str | None) -> Alert:
    """Return an example of a kind; None: a message that only says that it is a test."""
    return PLAIN if kind is None else alerts_of(_STEPS[kind]())[0]


def _event(
    kind: str, subject: str, text: str, *, grave: bool = True
) -> Callable[[], CommittedStep]:
    return lambda: CommittedStep(1, events=(Event(AT, kind, subject, text, grave),))


def _blocked() -> CommittedStep:
    order = Order(
        ORDER, "sma", "SPY", Side.BUY, Decimal(10), OrderType.MARKET, None, TimeInForce.DAY, AT, 1,
        reduces=False, created_at=AT, status=Status.BLOCKED,
        reason="max_exposure 100,000.00: 103,250.00 with this order",
    )  # fmt: skip
    return CommittedStep(1, orders=(order,))


def _sold() -> CommittedStep:
    fill = Fill(
        ORDER, Decimal(10), "sma", "SPY", Side.SELL, Decimal(10), Decimal("721.56"), Decimal("12.30"), AT,
        reduces=True,
    )  # fmt: skip
    return CommittedStep(1, fills=(fill,))


def _run(**more: object) -> CommittedStep:
    fields: dict[str, object] = {"ready_ms": 1234.0, **more}
    return CommittedStep(1, runs=(Run("r", 1, "0.1.0", "sma,risk", "PAPER", AT, **fields),))  # type: ignore[arg-type]


def _closed() -> CommittedStep:
    close = datetime(2026, 3, 2, 21, tzinfo=UTC)
    positions = (("SPY", Decimal(10)),)
    closed = ClosedSession(
        date(2026, 3, 2), close, Decimal("100012.30"), close, Decimal("12.30"), Decimal("6.10"),
        12, 2, 0, 9, positions,
    )  # fmt: skip
    return CommittedStep(1, closed=closed)


_STEPS: dict[str, Callable[[], CommittedStep]] = {
    "fill": _sold,
    "order": _blocked,
    "breaker": _event("breaker_tripped", "risk.circuit_breaker", "equity fell 5.12% from the session opening equity"),
    "limit": _event("limit_reached", "risk.daily_limits", "max_loss 2,000.00: lost 2,012.40 of 100,000.00 on 2026-03-02"),
    "halt": _event("halt", "core", "going on holiday"),
    "conflict": _event("conflict", "SPY", "position_mismatch: 10 shares here, 0 shares at the broker"),
    "stream": _event("stream_lost", "", "the trade stream is down"),
    "frozen": _event("order_unanswered", ORDER, "no answer, so its status is queried", grave=False),
    "cancel": _event("cancel_unanswered", ORDER, "its cancel of 10:30:00 ET is unanswered (the target is flat)"),
    "run": _run,
    "failure": lambda: _run(ended_at=AT, exit_code=4, outcome="the broker does not answer"),
    "summary": _closed,
    "grave": _event("no_price", "SPY", "no price for 5 minutes"),
}  # fmt: skip
