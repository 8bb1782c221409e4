"""A broker and feed in memory that breaks the promise which its setting names; without one it keeps them."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from smabot.provider import Config, ConflictError, Settings, Status, hookimpl
from smabot.testing import FakeExchange, bars

CLOSES = [100 + (minute * 7 % 11) / 10 for minute in range(90)]
KEPT: dict[Any, FakeExchange] = {}


class VenueSettings(Settings):
    breaks: str = ""


class UnsafeVenue:
    def __init__(self, settings: VenueSettings) -> None:
        self.breaks = settings.breaks

    @hookimpl
    def open_broker(self, config: Config) -> Any:
        return Broken(self.exchange(config), self.breaks)

    @hookimpl
    def open_feed(self, config: Config) -> Any:
        return Broken(self.exchange(config).open_feed(config), self.breaks)

    def exchange(self, config: Config) -> FakeExchange:
        given = [*bars("AAA", CLOSES), *bars("BBB", CLOSES[::-1])]
        return KEPT.setdefault(config.db, FakeExchange(given))


class Broken:
    def __init__(self, inner: FakeExchange, breaks: str) -> None:
        self.inner = inner
        self.breaks = breaks
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def account(self) -> Any:
        account = self.inner.account()
        return replace(account, cash=float(account.cash)) if self.breaks == "typed" else account

    def submit(self, order: Any) -> Any:
        if self.breaks == "twice":
            self.calls += 1
            order = replace(order, client_order_id=f"{order.client_order_id}-{self.calls}")
        try:
            answer = self.inner.submit(order)
        except ConflictError:
            if self.breaks == "no conflict":
                return self.inner.order(order.client_order_id).update()
            raise
        if self.breaks == "raises refusals" and answer.status is Status.REJECTED:
            raise ValueError(answer.reason)
        return answer

    def next(self, timeout: float) -> Any:
        batch = self.inner.next(timeout)
        if batch is None:
            return None
        if self.breaks == "last price":
            later = [replace(update, filled_avg_price=Decimal(1)) for update in batch.updates]
            return replace(batch, updates=(*batch.updates, *later))
        if self.breaks == "unsorted":
            return replace(batch, bars=batch.bars[::-1])
        if self.breaks == "doubled":
            return replace(batch, bars=tuple(sorted([*batch.bars, *batch.bars])))
        return batch

    def now(self) -> datetime:
        now = self.inner.now()
        if self.breaks == "local":
            return now.replace(tzinfo=None)
        if self.breaks == "steps back":
            self.calls += 1
            return now - timedelta(seconds=self.calls)
        return now

    def history(self, *args: Any) -> Any:
        for number, minute in enumerate(self.inner.history(*args)):
            if self.breaks == "forgets" and number == 3:
                continue
            yield [bar._replace(close=1.0) for bar in minute] if self.breaks == "other" else minute

    def tradable(self, symbols: Any) -> Any:
        return (
            tuple(symbols) or ("AAA", "BBB")
            if self.breaks == "takes all"
            else self.inner.tradable(symbols)
        )
