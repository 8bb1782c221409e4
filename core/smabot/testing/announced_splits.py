"""The splits that a fake exchange announces, and which of them its account has followed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from smabot.domain.corporate_actions import CorporateAction


@dataclass
class AnnouncedSplits:
    """Corporate actions; an account follows so long after an ex-date begins (negative: before it)."""

    _actions: tuple[CorporateAction, ...]
    _follows_after: timedelta
    _followed: frozenset[str] = frozenset()

    def copy(self) -> AnnouncedSplits:
        """Return the same, of which as many were followed."""
        return replace(self)

    def announce(self, actions: Iterable[CorporateAction]) -> None:
        """Announce these from now on; others are withdrawn."""
        self._actions = tuple(actions)

    def within(self, symbols: Collection[str], since: date, until: date) -> list[CorporateAction]:
        """Return those of some symbols with an ex-date of a span, both ends included."""
        return [a for a in self._actions if a.symbol in symbols and since <= a.ex_date <= until]

    def take_due(self, time: datetime) -> list[CorporateAction]:
        """Return the actions that the account has to follow at a time; each once."""
        due = [
            action
            for action in self._actions
            if action.action_id not in self._followed
            and action.effective_at + self._follows_after <= time
        ]
        self._followed |= {action.action_id for action in due}
        return due
