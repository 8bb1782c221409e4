"""A ledger in memory: it is gone with its process, and as quick as it can be."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice, takewhile
from uuid import UUID, uuid4

from smabot.provider import ZERO, Bar, Session
from smabot_exchange.data.corporate_actions import ListedAction
from smabot_exchange.data.data_source import DataSource, shown_label
from smabot_exchange.ledger.beginning import Beginning
from smabot_exchange.ledger.changes import (
    AccountMovement,
    CashActivityEntry,
    LedgerChange,
    movements,
)
from smabot_exchange.ledger.imported_columns import imported_columns, notes_of, sessions_of
from smabot_exchange.ledger.rows import to_stamp, to_time
from smabot_exchange.matching.account import AccountTerms, ExchangePosition, LastDay, RequestedTerms
from smabot_exchange.matching.activity_notes import ActivityNote
from smabot_exchange.matching.order_states import OrderStatus
from smabot_exchange.matching.orders import ExchangeOrder, Execution, OrderFilter


class LedgerImage:
    """A new ledger, from which any number of ledgers in memory begin."""

    def __init__(
        self,
        source: DataSource,
        asked: RequestedTerms,
        beginning: Beginning = Beginning(),  # noqa: B008
    ) -> None:
        """Raises ConfigError for bad data."""
        source = beginning.around(source)
        self.account_id = str(uuid4())
        self.terms = asked.for_new_ledger(source.half_spread)
        self.columns = imported_columns(source)
        sessions = sessions_of(self.columns)
        self.sessions = tuple(session for session, _ in sessions)
        played = [session for session, has_data in sessions if has_data]
        self.last_session = played[-1]
        self.start = beginning.start(played, source.label)
        past = sum(session.close <= self.start for session in played)
        minutes = self.columns.minutes
        self.minutes = len(minutes) - bisect_left(minutes, to_stamp(self.start))
        self.actions = source.actions()
        first, *others = notes_of(self.columns, past)
        self.notes = (shown_label(first), *others)


class MemoryLedger:
    """Implements `LedgerPort`. Orders and executions are those that the exchange made."""

    def __init__(self, image: LedgerImage) -> None:
        self._image = image
        self._clock = (image.start, 0)
        """What it shows, and how many minutes were played."""
        self._cash = image.terms.cash
        self._last_day = LastDay(image.terms.cash, ZERO)
        self._positions: dict[str, ExchangePosition] = {}
        self._flags: dict[str, datetime | None] = {}
        self._orders: dict[UUID, ExchangeOrder] = {}
        self._ids: dict[str, UUID] = {}
        self._executions: list[Execution] = []
        self._outside: list[tuple[AccountMovement, ActivityNote]] = []
        self._withheld: set[tuple[datetime, str]] = set()
        self._actions = {each.action.action_id: each for each in image.actions}

    # The data

    @property
    def account_id(self) -> str:
        return self._image.account_id

    @property
    def terms(self) -> AccountTerms:
        return self._image.terms

    @property
    def minutes(self) -> int:
        return self._image.minutes

    @property
    def sessions(self) -> tuple[Session, ...]:
        return self._image.sessions

    @property
    def last_session(self) -> Session:
        return self._image.last_session

    @property
    def start(self) -> datetime:
        return self._image.start

    def actions(self) -> list[ListedAction]:
        return list(self._actions.values())

    def notes(self) -> tuple[str, ...]:
        return self._image.notes

    def symbols(self) -> tuple[str, ...]:
        return self._image.columns.symbols

    # The bars

    def minutes_from(self, time: datetime) -> list[tuple[datetime, list[Bar]]]:
        found = self._image.columns.minutes_from(to_stamp(time, up=True))
        if not self._withheld:
            return found
        return [(start, self._traded(bars)) for start, bars in found]

    def newest_minutes_start(self, count: int, before: datetime) -> datetime | None:
        minutes = self._image.columns.minutes
        end = bisect_left(minutes, to_stamp(before, up=True))
        silent = {to_stamp(time) for time, _ in self._withheld if not self._bars_of(time)}
        traded = (stamp for stamp in reversed(minutes[:end]) if stamp not in silent)
        newest = [*islice(traded, count)]
        return to_time(newest[-1]) if newest else None

    def price_before(self, symbol: str, time: datetime) -> float | None:
        bar = self.bar_before(symbol, time)
        if bar is not None:
            return bar.close
        first: float | None = self._image.columns.facts["first_opens"].get(symbol)
        return first

    def bar_before(self, symbol: str, time: datetime) -> Bar | None:
        columns = self._image.columns
        bar = columns.bar_before(symbol, to_stamp(time, up=True))
        while bar is not None and (bar.time, symbol) in self._withheld:
            bar = columns.bar_before(symbol, to_stamp(bar.time))
        return bar

    def bars_at(self, minutes: Sequence[datetime], symbols: Collection[str]) -> list[Bar]:
        return self._traded(self._image.columns.bars_at([*map(to_stamp, minutes)], symbols))

    def _bars_of(self, minute: datetime) -> list[Bar]:
        return self.bars_at([minute], self.symbols())

    def _traded(self, bars: list[Bar]) -> list[Bar]:
        withheld = self._withheld
        return [bar for bar in bars if (bar.time, bar.symbol) not in withheld]

    # The account

    def now(self) -> datetime:
        return self._clock[0]

    def minutes_played(self) -> int:
        return self._clock[1]

    def cash(self) -> Decimal:
        return self._cash

    def last_day(self) -> LastDay | None:
        return self._last_day

    def positions(self) -> list[ExchangePosition]:
        return [self._positions[symbol] for symbol in sorted(self._positions)]

    def flags(self) -> dict[str, datetime | None]:
        return dict(self._flags)

    def save_flags(self, flags: Mapping[str, datetime | None]) -> None:
        self._flags = dict(flags)

    def move_clock(self, now: datetime, minutes_played: int) -> None:
        self._clock = (now, minutes_played)

    def record(self, change: LedgerChange, *, durable: bool = True) -> None:
        self.move_clock(change.now, change.minutes_played)
        self._cash, self._last_day = change.cash, change.last_day
        for order in change.orders.added:
            self._ids[order.client_order_id] = order.id
        for order in (*change.orders.added, *change.orders.changed):
            self._orders[order.id] = order
        self._executions += change.executions
        self._withheld.update((bar.time, bar.symbol) for bar in change.withheld)
        self._actions.update((each.action.action_id, each) for each in change.actions)
        for symbol, held in (change.positions or {}).items():
            if held is None:
                self._positions.pop(symbol, None)
            else:
                self._positions[symbol] = held
        if (given := change.adjustment) is not None:
            moved = AccountMovement(
                change.now, given.symbol, given.qty, given.cash, from_outside=True
            )
            self._outside.append((moved, given.activity or ActivityNote.of(given.cash)))

    # Its orders

    def last_execution(self) -> int:
        return self._executions[-1].number if self._executions else 0

    def newest_order(self) -> ExchangeOrder | None:
        return next(reversed(self._orders.values()), None)

    def order(self, order_id: UUID) -> ExchangeOrder | None:
        return self._orders.get(order_id)

    def order_by_client_id(self, client_order_id: str) -> ExchangeOrder | None:
        order_id = self._ids.get(client_order_id)
        return None if order_id is None else self._orders[order_id]

    def taken_ids(self, client_order_ids: Collection[str]) -> set[str]:
        return {each for each in client_order_ids if each in self._ids}

    def open_orders(self) -> list[ExchangeOrder]:
        return [order for order in self._orders.values() if order.open]

    def orders_since(self, time: datetime | None) -> list[ExchangeOrder]:
        newest_first = reversed(self._orders.values())
        found = takewhile(lambda order: time is None or order.submitted_at >= time, newest_first)
        return [*found][::-1]

    def find_orders(self, wanted: OrderFilter) -> list[ExchangeOrder]:
        orders = self._orders.values()
        ordered = reversed(orders) if wanted.newest_first else iter(orders)
        return list(islice((each for each in ordered if _is_listed(each, wanted)), wanted.limit))

    def legs(self, parent: UUID) -> list[ExchangeOrder]:
        return [
            order
            for order in self._orders.values()
            if order.parent_id == parent and order.status is not OrderStatus.REPLACED
        ]

    def executions(self, since: datetime | None = None) -> list[Execution]:
        return [each for each in self._executions if since is None or each.time >= since]

    def activities(
        self,
        limit: int | None,
        after_number: int | None,
        oldest_first: bool,
        since: datetime | None,
        until: datetime | None,
    ) -> list[Execution]:
        def of_the_page() -> Iterator[Execution]:
            for each in self._executions if oldest_first else reversed(self._executions):
                number = each.number if oldest_first else -each.number
                if after_number is not None and number <= (
                    after_number if oldest_first else -after_number
                ):
                    continue
                if since is not None and not _is_after(each.time, since):
                    continue
                if until is None or each.time < until:
                    yield each

        return list(islice(of_the_page(), limit))

    def movements(self) -> list[AccountMovement]:
        outside = [moved for moved, _ in self._outside]
        return movements(self._executions, outside, self._actions.values())

    def cash_activities(self) -> list[CashActivityEntry]:
        return [
            CashActivityEntry(number, moved.time, moved.cash, note)
            for number, (moved, note) in enumerate(self._outside, 1)
            if moved.cash
        ]

    def close(self) -> None:
        """Nothing is open."""


def _is_after(time: datetime, since: datetime) -> bool:
    """Whether a fill comes after a time. It is of some moment of its second: one within that does not exclude it."""
    second = since.replace(microsecond=0)
    return time.replace(microsecond=0) >= second if since.microsecond else time > since


def _is_listed(order: ExchangeOrder, wanted: OrderFilter) -> bool:
    """Whether a filter lets an order through, but for its limit; hidden ones are not listed."""
    return (
        not order.hidden
        and (wanted.status == "all" or (wanted.status == "open") == order.open)
        and (wanted.after is None or order.submitted_ns > wanted.after)
        and (wanted.until is None or order.submitted_ns < wanted.until)
        and (wanted.after_seq is None or order.seq > wanted.after_seq)
        and (wanted.before_seq is None or order.seq < wanted.before_seq)
        and (wanted.side is None or order.side is wanted.side)
        and (wanted.symbols is None or order.symbol in wanted.symbols)
        and not (wanted.parents_only and order.parent_id is not None)
    )
