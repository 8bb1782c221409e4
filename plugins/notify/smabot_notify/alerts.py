"""What may be told: its kinds, and an alert of one."""

from __future__ import annotations

import re
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
ROUTINE_KINDS = frozenset({"fill", "order"})

_UTC_TIME = re.compile(r"(?:\b(\d{4}-\d\d-\d\d) )?\b([01]\d|2[0-3])(:[0-5]\d(?::[0-5]\d)?) UTC\b")
"""A time as reasons of events say it: 2026-03-02 15:31:00 UTC, 15:31 UTC."""


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
    def routine(self) -> bool:
        """Whether it is one of the many that trading makes, and all others go out before it."""
        return self.kind in ROUTINE_KINDS and not self.grave

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
    lines = [_in_new_york(alert.text, alert.time), *more, f"{when}no. {alert.key}{repeated}"]
    return f"{bot} {mode}: {alert.title}", "\n".join(line for line in lines if line)


def _in_new_york(text: str, near: datetime | None) -> str:
    """Return a text with its UTC times in the zone of the last line; one without a date is of ``near``'s day."""

    def shown(found: re.Match[str]) -> str:
        day, hour, rest = found.groups()
        if day is None and near is None:
            return found[0]
        date = day or f"{near:%Y-%m-%d}"
        at = datetime.fromisoformat(f"{date} {hour}{rest}+00:00").astimezone(EXCHANGE_ZONE)
        return f"{f'{at:%Y-%m-%d} ' if day else ''}{at:%H}{rest} ET"

    return _UTC_TIME.sub(shown, text)
