"""What may be told: its kinds, and an alert of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smabot.api import EXCHANGE_ZONE

KINDS: dict[str, str] = {
    "fill": "shares were bought or sold",
    "order": "an order was blocked by a risk check, refused by the broker, or never left",
    "breaker": "the circuit breaker tripped or was reset",
    "limit": "a loss limit was reached",
    "halt": "an operator halted, resumed or flattened",
    "conflict": "database and broker disagree: the bot stops",
    "stream": "order updates are lost for `stream_minutes`, and are back",
    "frozen": "an order's outcome is unknown for `frozen_minutes`, and then known",
    "cancel": "the broker does not answer a cancel",
    "run": "the bot is ready, or was stopped",
    "failure": "a run failed, or was killed",
    "summary": "a session has closed: equity, P&L, orders, positions",
    "grave": "any other grave event",
}
"""The kinds of alerts. Each is a setting."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A message, before it has the bot's name and whether it repeats.

    ``subject``: alerts of one kind and subject are one matter, which is told at most every
    ``repeat_minutes``. ``key`` is the same whenever the alert is told: the step's number and the place in
    it. ``time`` is when it happened, UTC. ``ends`` names a matter of this kind that is over by it.
    """

    kind: str
    subject: str
    title: str
    text: str
    key: str = ""
    time: datetime | None = None
    grave: bool = False
    waits: bool = False
    """Whether it is told only where nothing has ended it for some minutes."""
    ends: str = ""

    @property
    def matter(self) -> str:
        return f"{self.kind} {self.subject}"


def message(
    alert: Alert, bot: str, mode: str, *, again: bool = False, held: int = 0
) -> tuple[str, str]:
    """Return an alert's title and text as they are sent; ``held`` like it were held back before."""
    more = [f"{held} more like this since the last one."] if held else []
    when = f"{alert.time.astimezone(EXCHANGE_ZONE):%Y-%m-%d %H:%M} ET, " if alert.time else ""
    repeated = ", again: you may have it already" if again else ""
    lines = [alert.text, *more, f"{when}no. {alert.key}{repeated}"]
    return f"{bot} {mode}: {alert.title}", "\n".join(line for line in lines if line)
