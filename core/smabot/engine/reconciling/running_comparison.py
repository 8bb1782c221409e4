"""When the bot compares itself with the broker while it runs, and what holds orders back meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from smabot.domain.bot_records import Event
from smabot.domain.frozen_classes import replace
from smabot.domain.records import OrderUpdate
from smabot.engine.broker_access import Access
from smabot.engine.gate import Standing
from smabot.engine.reconciling.broker_snapshot import SnapshotRequest
from smabot.engine.reconciling.cash_reading import CashReading
from smabot.engine.reconciling.conflict import ReconciliationConflict, another_bot
from smabot.engine.reconciling.degraded import Degraded
from smabot.engine.surroundings import Surroundings
from smabot.errors import BrokerError, NotAllowed
from smabot.hooks.plugins import Plugins
from smabot.hooks.ports import Broker, BrokerAccount, goes_by_itself
from smabot.hooks.recovery_answers import Conflict, Reconciliation, Recovery

NEVER = -1
ASK_AGAIN = timedelta(seconds=10)
SPLIT_EVERY = timedelta(minutes=1)
"""While the broker has not followed a split."""
EXITS_WAIT = timedelta(seconds=10)
"""How long an exit waits at most for its symbol's comparison; then the broker decides."""
ONE_IN = timedelta(seconds=5)
"""News from outside ask for one comparison of a symbol in this time."""


class Asked(NamedTuple):
    """When the broker was asked, by the feed's clock, and at that time the book's count of changes, and the count
    of requests that the broker had refused."""

    changes: int
    at: datetime
    refusals: int


class News(NamedTuple):
    """What a comparison brought: order updates, records that follow what the broker changed by itself, and cash
    that moved without a trade."""

    updates: tuple[OrderUpdate, ...] = ()
    followed: tuple[Any, ...] = ()
    booked: tuple[Any, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.updates or self.followed or self.booked)


NO_NEWS = News()


class Comparison:
    """Asks the broker on a timer, after a lost connection, and when something happened from outside.

    A broker in the same process, or a stepped one, is asked at once; another one beside the deciding
    thread, and its conflicts count when they last.
    """

    def __init__(
        self,
        plugins: Plugins,
        recovery: Recovery,
        standing: Standing,
        access: Access,
        surroundings: Surroundings,
    ) -> None:
        clock, broker = recovery.clock, recovery.broker
        self._plugins = plugins
        self._recovery = recovery
        self._standing = standing
        self._access = access
        self._request = (
            SnapshotRequest(broker, surroundings.query("broker-snapshot"))
            if goes_by_itself(broker)
            else None
        )
        self._degraded = Degraded()
        self._asked = Asked(NEVER, clock.now(), access.refusals)
        self.due_at = clock.now() + self._every
        """When it is to ask, or to ask again."""
        self._unknown_orders: set[str] = set()
        self._external: dict[str, datetime] = {}
        self._cash = CashReading(recovery)

    @property
    def why_degraded(self) -> str:
        """Why the broker has not confirmed what is held; empty where it has."""
        return self._degraded.why

    def connection_lost(self) -> None:
        """Ask again: the last answers say nothing of the time since."""
        self._degraded.why = "the connection was lost"
        self._asked = self._asked._replace(changes=NEVER)
        self.due_at = self._now()

    def unknown_order_seen(self, client_order_id: str) -> None:
        """Note an order with the bot's name that the broker reports and the book does not have."""
        self._unknown_orders.add(client_order_id)
        self.due_at = self._now()

    def external_activity_seen(self, symbol: str) -> None:
        """Compare a symbol soon: an external order traded in it, and positions may have changed."""
        now, before = self._now(), self._external.get(symbol)
        if before is not None and now - before < ONE_IN:
            return
        self._external[symbol] = now
        self._standing.comparing[symbol] = now + EXITS_WAIT
        self._asked = self._asked._replace(changes=NEVER)
        self.due_at = now

    def ask_soon(self) -> None:
        """Ask within seconds: something keeps the bot from trading, and the answers show when it ends."""
        self.due_at = min(self.due_at, self._now() + ASK_AGAIN)

    def read_cash_now(self) -> None:
        """Ask for movements of cash at the next comparison, whether or not cash differs."""
        self._cash.read_again()
        self.due_at = self._now()

    def note_agreement(self, begun_at: datetime) -> None:
        """A comparison that began then has found no conflict, or nobody compares."""
        self._standing.agreed_at = begun_at

    @property
    def _every(self) -> timedelta:
        return timedelta(minutes=self._recovery.config.reconcile_every_minutes)

    def _now(self) -> datetime:
        return self._recovery.clock.now()

    @property
    def due(self) -> bool:
        """Whether `compare` has something to do."""
        under_way = self._request is not None and self._request.under_way
        return under_way or self._now() >= self.due_at

    def compare(self) -> News:
        """Ask, or take the answers; returns the broker's news: updates and records to be applied, and cash to be booked.

        Raises ReconciliationConflict where both can't be right.
        """
        if self._request is None:
            self._asked = Asked(NEVER, self._now(), self._access.refusals)
            return self._judged(self._recovery)
        if self._request.under_way:
            if (answers := self._request.take()) is None:
                return NO_NEWS
            if self._asked.changes == self._recovery.book.changes:
                return self._judged(replace(self._recovery, broker=answers, asked=True))
            self._note_access(answers)
        self._ask(self._request)
        return NO_NEWS

    def _ask(self, request: SnapshotRequest) -> None:
        book = self._recovery.book
        self._asked = Asked(book.changes, self._now(), self._access.refusals)
        point = book.point
        orders = [*book.open_orders(), *book.unconfirmed()]
        since, ours = point.time if point else None, [o.client_order_id for o in orders]
        request.begin(since, ours, self._cash.question())

    def _note_access(self, outdated: Broker) -> None:
        """Whether the account may trade counts, whatever has changed here meanwhile."""
        try:
            self._see_account(outdated)
        except NotAllowed as error:
            self._access.request_refused(error)
        except BrokerError:
            return  # it is asked again

    def _see_account(self, broker: Broker) -> BrokerAccount:
        account = broker.account()
        self._access.account_seen(account, self._asked.refusals)
        return account

    def _judged(self, recovery: Recovery) -> News:
        unknown_orders, self._unknown_orders = self._unknown_orders, set()
        now = self._now()
        split = self._recovery.book.splits.is_awaited(now)
        self.due_at = now + (min(SPLIT_EVERY, self._every) if split else self._every)
        try:
            account = self._see_account(recovery.broker)
            movements = self._cash.movements(recovery.broker, account.cash)
            found = self._plugins.reconcile(replace(recovery, movements=movements))
        except BrokerError as error:
            if isinstance(error, NotAllowed):
                self._access.request_refused(error)
            self._degrade(str(error), now)
            return NO_NEWS
        if found is not None and found.conflicts:
            return self._conflicts(found.conflicts, now)
        self._degraded.end()
        self._standing.comparing.clear()
        self.note_agreement(self._asked.at)
        return self._news(found, sorted(unknown_orders))

    def _conflicts(self, conflicts: Sequence[Conflict], now: datetime) -> News:
        if self._request is None or self._degraded.conflict_lasts(conflicts, now):
            raise ReconciliationConflict(conflicts)
        first = conflicts[0]
        self._degrade(f"{first.what}: {first.here} here, {first.there} at the broker", now)
        return NO_NEWS

    def _degrade(self, why: str, now: datetime) -> None:
        self._degraded.begin(why)
        self.due_at = now + ASK_AGAIN

    def _news(self, found: Reconciliation | None, unknown_orders: Sequence[str]) -> News:
        if found is None:
            return NO_NEWS
        for name in unknown_orders:
            told = any(update.client_order_id == name for update in found.updates)
            if self._recovery.book.order(name) is None and not told:
                raise ReconciliationConflict([another_bot(name)])
        return News(found.updates, found.followed, found.booked)


def conflict_events(conflicts: Sequence[Conflict], now: datetime) -> list[Event]:
    """Return a conflict's rows for the table of events."""
    return [
        Event(
            now,
            "conflict",
            each.what,
            f"{each.kind}: {each.here} here, {each.there} at the broker",
            True,
        )
        for each in conflicts
    ]
