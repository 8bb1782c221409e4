"""What is told of an event: the kind of alert, a title, and what to do."""

from __future__ import annotations

from typing import NamedTuple

from smabot.api import Event
from smabot_notify.alerts import Alert


class _Wording(NamedTuple):
    """How an event is told; ``{subject}`` is the event's."""

    kind: str
    title: str
    advice: str = ""
    matter: str = "{subject}"
    waits: bool = False
    ends: str = ""


TRIP, STREAM = "tripped", "lost"
ENTRIES_PAUSED = "Entries are paused, exits pass."

WORDINGS: dict[str, _Wording] = {
    "breaker_tripped": _Wording(
        "breaker", "circuit breaker tripped",
        "No new entries until `smabot breaker reset`, or the end of the cool-down.", "tripped", ends="reset",
    ),
    "breaker_reset": _Wording("breaker", "circuit breaker reset", "", "reset", ends="tripped"),
    "limit_reached": _Wording("limit", "loss limit reached", "No new entries until the trading date ends."),
    "halt": _Wording("halt", "halted", "No new entries until `smabot resume`.", "halt", ends="resume"),
    "resume": _Wording("halt", "resumed", "", "resume", ends="halt"),
    "flatten": _Wording("halt", "flatten {subject}", "", "flatten {subject}"),
    "conflict": _Wording(
        "conflict", "conflict: {subject}",
        "The bot stops, and positions stay. Compare them with the broker's page, then see `smabot reconcile`.",
    ),
    "stream_lost": _Wording("stream", "order updates are lost", ENTRIES_PAUSED, "lost", waits=True),
    "stream_back": _Wording("stream", "order updates are back", "", "back", ends="lost"),
    "order_unanswered": _Wording(
        "frozen", "outcome unknown: {subject}",
        "Its symbol gets no entry until the bot knows. See the broker's page.", waits=True,
    ),
    "order_answered": _Wording("frozen", "outcome known: {subject}", "", "known {subject}", ends="{subject}"),
    "cancel_unanswered": _Wording(
        "cancel", "cancel unanswered: {subject}",
        "The bot asks again every minute. If it stays, cancel the order on the broker's page.",
    ),
    "key_refused": _Wording(
        "grave", "the broker refuses the API key", "Check the key; give a new one if it ended.",
        "key", ends="key accepted",
    ),
    "key_accepted": _Wording("grave", "the API key is accepted again", "", "key accepted", ends="key"),
    "account_blocked": _Wording(
        "grave", "the account may not trade", "See the broker's page.",
        "account", ends="account unblocked",
    ),
    "account_unblocked": _Wording(
        "grave", "the account may trade again", "", "account unblocked", ends="account",
    ),
    "no_price": _Wording(
        "grave", "{subject} has no price", "No new entries until it has one.",
        "no price {subject}", ends="price of {subject}",
    ),
    "price_again": _Wording(
        "grave", "{subject} has a price again", "", "price of {subject}", ends="no price {subject}",
    ),
    "split_awaited": _Wording(
        "grave", "{subject}: the broker has not followed a split",
        "Nothing is traded in it until the broker has. See its page.", "split of {subject}",
    ),
    "split_followed": _Wording(
        "grave", "{subject}: a split is followed", "", "split followed {subject}", ends="split of {subject}",
    ),
    "renamed": _Wording("grave", "{subject} has another name", "Name it in `symbols` to trade it."),
    "audit_differs": _Wording(
        "grave", "the audit of {subject} found differences", "The bot goes on. Compare with the broker's page.", "audit differs",
    ),
    "given_up": _Wording(
        "grave", "order given up: {subject}", "Check on the broker's page that it has ended.",
    ),
    "command_expired": _Wording("grave", "a command expired", "Give it again if you still want it."),
    "calendar_ends": _Wording("grave", "the calendar ends soon", "Restart the bot."),
    "dropped_bars": _Wording("grave", "bars were left out"),
}  # fmt: skip
UNTOLD = frozenset({"refused_exit", "audit_agreed"})
"""The alert about the order itself says the one; the other is what every session should end with."""


def event_alert(event: Event) -> Alert | None:
    """Return what is told of an event; None: nothing, or its order says it."""
    words = WORDINGS.get(event.kind)
    if event.kind in UNTOLD:
        return None
    if words is None:
        if not event.grave:
            return None
        words = _Wording(
            "grave", f"{event.kind.replace('_', ' ')} {{subject}}", "", f"{event.kind} {{subject}}"
        )
    subject = event.subject

    def worded(text: str) -> str:
        return text.replace("{subject}", subject)

    return Alert(
        words.kind,
        worded(words.matter),
        worded(words.title.replace("{subject}", short_id(subject))).strip(),
        _joined(event.text, words.advice),
        time=event.time,
        grave=event.grave or words.waits,
        waits=words.waits,
        ends=worded(words.ends),
    )


def short_id(order_id: str) -> str:
    """Return an order's id as `smabot orders` shows it; any other text as it is."""
    return order_id.removeprefix("smabot-")


def sentence(text: str) -> str:
    """Return a reason as a sentence: a capital where it begins with a word, and a full stop."""
    first, _, _ = text.partition(" ")
    text = text[:1].upper() + text[1:] if first.isalpha() else text
    return text if not text or text.endswith(".") else f"{text}."


def _joined(text: str, advice: str) -> str:
    return f"{sentence(text)} {advice}".strip()
