"""Opens the broker and the feed of a plugin under its checks, over simulated data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from smabot.domain.calendar import MINUTE
from smabot.domain.records import Bar, Batch, Order, OrderUpdate
from smabot.testing.sample_records import order
from smabot.testing.verifying.subject import Subject

DATA = "simulated:symbols=3,sessions=1"
STEPS = 400
"""Batches, or half seconds without one, that are waited for."""


@dataclass(slots=True)
class Connection:
    """An open feed, and the broker beside it where the plugin has one."""

    feed: Any
    broker: Any
    symbols: tuple[str, ...]
    batches: list[Batch] = field(default_factory=list)
    """What was delivered."""

    def subscribe(self) -> None:
        self.feed.subscribe(self.symbols)

    def next(self) -> Batch | None:
        batch: Batch | None = self.feed.next(0.5)
        if batch is not None:
            self.batches.append(batch)
        return batch

    def run(self, minutes: int) -> list[Batch]:
        """Return what arrives until so many minutes with bars have come, or the data end."""
        found: list[Batch] = []
        for _ in range(STEPS):
            if sum(bool(each.bars) for each in found) >= minutes:
                break
            if (batch := self.next()) is None:
                break
            found.append(batch)
        return found

    def bars(self) -> list[Bar]:
        return [bar for batch in self.batches for bar in batch.bars]

    def updates(self, client_order_id: str) -> list[OrderUpdate]:
        return [
            update
            for batch in self.batches
            for update in batch.updates
            if update.client_order_id == client_order_id
        ]

    def wait_for_end(self, client_order_id: str) -> OrderUpdate | None:
        """Let time pass until an order has ended; return its last state, None where it does not end."""
        for _ in range(STEPS):
            known = self.broker.order(client_order_id)
            if known is not None and known.status.terminal:
                self.next()
                last: OrderUpdate = known.update()
                return last
            if self.next() is None:
                break
        return None

    def order(self, number: int, **given: Any) -> Order:
        """Return an order of one share of the first symbol, made now; each number is another order."""
        now = self.feed.now()
        minute = now.replace(second=0, microsecond=0) - MINUTE
        fields = {"symbol": self.symbols[0], "strategy": "verify", "qty": Decimal(1), **given}
        return order(bar_time=minute, created_at=now, attempt=number, **fields)


@contextmanager
def connected(subject: Subject, name: str) -> Iterator[Connection]:
    """Connect; what is durable is of that name, so that the same one reconnects."""
    settings = {"data": subject.config.data or DATA, "speed": "max", "live": False}
    if "broker" not in subject.config.model_fields_set:
        settings["broker"] = subject.name.partition(".")[0]
    config = subject.over(name, **settings)
    plugins = subject.alone()
    with ExitStack() as opened:
        broker = None
        if "open_broker" in subject.hooks:
            broker = plugins.open_broker(config)
            opened.callback(broker.close)
        feed = plugins.open_feed(config)
        opened.callback(feed.close)
        yield Connection(feed, broker, tuple(feed.tradable(config.symbols)))
