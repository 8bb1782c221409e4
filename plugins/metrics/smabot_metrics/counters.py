"""What has happened, counted from committed steps: each once, also where a step is told again."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from smabot.api import CommittedStep, Order, Status, read_checks
from smabot_metrics.registry import PREFIX


class Counters:
    """They begin at 0 with each process, as Prometheus expects it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._orders = Counter(
            f"{PREFIX}_orders", "Orders that came to a status", ["status"], registry=registry
        )
        self._blocked = Counter(
            f"{PREFIX}_orders_blocked", "Blocked orders, by each check that failed", ["check"], registry=registry,
        )  # fmt: skip
        self._fills = Counter(f"{PREFIX}_fills", "Fills", ["side"], registry=registry)
        self._events = Counter(
            f"{PREFIX}_events",
            "Events that an operator should know of",
            ["kind"],
            registry=registry,
        )
        self._died = Gauge(
            f"{PREFIX}_previous_run_died", "1 where the run before did not end by itself", registry=registry,
        )  # fmt: skip
        self._told_until = 0
        self._open: dict[str, Status] = {}
        """The last status of each order that has not ended."""

    def take(self, step: CommittedStep) -> None:
        """Count a step, unless it was counted before."""
        if step.number <= self._told_until:
            return
        self._told_until = step.number
        for order in step.orders:
            self._count(order)
        for fill in step.fills:
            self._fills.labels(str(fill.side)).inc()
        for event in step.events:
            self._events.labels(event.kind).inc()
        if step.died is not None:
            self._died.set(1)

    def _count(self, order: Order) -> None:
        name, status = order.client_order_id, order.status
        if self._open.get(name) is status:
            return  # another part of it has filled
        self._orders.labels(str(status)).inc()
        if status.terminal:
            self._open.pop(name, None)
        else:
            self._open[name] = status
        if status is Status.BLOCKED:
            for check in read_checks(order.checks):
                if not check.passed:
                    self._blocked.labels(check.name).inc()
