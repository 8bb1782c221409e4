"""When corporate actions are due at the exchange, and what they do to prices of the past.

At Alpaca an account follows a split before the ex-date's session, or late on that day; what an order for old
shares becomes is documented for dividends and orders with legs alone. Assumed here: at the midnight in New York
that begins the ex-date, or when the account follows if that is earlier, prices turn to those of new shares, and
the symbol's open orders are canceled. Those with legs stay, unless shares become fewer or change their name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from smabot.provider import EXCHANGE_ZONE, ActionKind, Calendar, CorporateAction
from smabot_exchange.data.corporate_actions import ListedAction
from smabot_exchange.matching.orders import rounded

_OPENS = timedelta(hours=9, minutes=30)


class ActionSchedule:
    """The corporate actions of the data by their ids, with what is left to be done of them."""

    def __init__(
        self, actions: Iterable[ListedAction], calendar: Calendar, start: datetime
    ) -> None:
        """``start`` is when the exchange's clock started: what lies before has been done without an account."""
        self._calendar = calendar
        self._actions: dict[str, ListedAction] = {}
        self._changed: dict[str, ListedAction] = {}
        self._splits: dict[str, list[str]] = {}
        """Of each symbol the ids of its splits."""
        for each in actions:
            turns, _ = self._times(each)
            if each.turned_at is None and turns <= start:
                each = replace(each, turned_at=turns, followed_at=turns)
            self._actions[each.action.action_id] = each
            if each.action.kind is ActionKind.SPLIT:
                self._splits.setdefault(each.action.symbol, []).append(each.action.action_id)
        self._due = self._next()

    def overdue(self, now: datetime) -> CorporateAction | None:
        """Return an action that should have turned prices by now, as the data did not list it earlier."""
        late = (each for each in self._actions.values() if each.turned_at is None)
        return next((each.action for each in late if self._times(each)[0] <= now), None)

    def is_due(self, time: datetime) -> bool:
        """Whether something is to be done by a time."""
        return self._due is not None and self._due <= time

    def due(self, until: datetime) -> Iterator[tuple[datetime, ListedAction]]:
        """Yield what is to be done by a time, with its own time, oldest first.

        One that has not turned is to turn, else its account is to follow. Each must be `put` before the next.
        """
        while self.is_due(until):
            time, _, identity = min(self._steps())
            yield time, self._actions[identity]

    def put(self, changed: ListedAction) -> None:
        """Have an action as it is now."""
        identity = changed.action.action_id
        self._actions[identity] = self._changed[identity] = changed
        self._due = self._next()

    def take_changes(self) -> list[ListedAction]:
        """Return what was put since the last call, as it is now."""
        changed = list(self._changed.values())
        self._changed.clear()
        return changed

    def in_new_shares(
        self, price: Decimal, symbol: str, since: datetime, until: datetime | None = None
    ) -> Decimal:
        """Return a price of a time as those are called who hold it at another one, by default now."""
        for identity in self._splits.get(symbol, ()):
            each = self._actions[identity]
            turned, action = each.turned_at, each.action
            if turned and since < turned and (until is None or turned <= until):
                price = rounded(price * action.old_shares / action.new_shares)
        return price

    def ratios(self, symbol: str) -> list[tuple[datetime, float]]:
        """Return a symbol's splits so far: since when, and how many new shares there are for an old one."""
        splits = (self._actions[identity] for identity in self._splits.get(symbol, ()))
        return [(each.turned_at, float(each.action.ratio)) for each in splits if each.turned_at]

    def announced(
        self, symbols: Collection[str] | None, since: date, until: date, now: datetime
    ) -> list[ListedAction]:
        """Return what clients see by now of some symbols, or of all, by ex-date, both days included."""
        today = now.astimezone(EXCHANGE_ZONE).date()
        return [
            each
            for each in self._actions.values()
            if (symbols is None or each.action.symbol in symbols)
            and since <= each.action.ex_date <= until
            and (each.announced is None or each.announced <= today)
        ]

    def followed(self) -> list[ListedAction]:
        """Return those with which the account's shares became others, in the order of that."""
        done = [each for each in self._actions.values() if each.followed_at and each.qty_before]
        return sorted(done, key=lambda each: (each.followed_at, each.action.action_id))

    def splits(self, symbol: str) -> bool:
        """Whether a symbol is split at any time."""
        return symbol in self._splits

    def _next(self) -> datetime | None:
        return min((time for time, _, _ in self._steps()), default=None)

    def _steps(self) -> Iterator[tuple[datetime, bool, str]]:
        for identity, each in self._actions.items():
            turns, follows = self._times(each)
            if each.turned_at is None:
                yield turns, False, identity
            elif each.followed_at is None:
                yield follows, True, identity

    def _times(self, listed: ListedAction) -> tuple[datetime, datetime]:
        """Return when prices turn, and when the account follows, UTC."""
        midnight = listed.action.effective_at
        if listed.minutes_late is None:
            return midnight, midnight
        sessions = self._calendar.sessions
        opens = (session.open for session in sessions if session.date >= listed.action.ex_date)
        follows = next(opens, midnight + _OPENS) + timedelta(minutes=listed.minutes_late)
        return min(midnight, follows), follows
