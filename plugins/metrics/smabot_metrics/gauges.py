"""What is as it is now, from the newest health."""

from __future__ import annotations

from datetime import datetime
from math import nan
from typing import SupportsFloat

from prometheus_client import CollectorRegistry, Enum, Gauge, Info

from smabot.api import Health
from smabot_metrics.registry import PREFIX

PHASES = ("starting", "trading", "waiting for the open", "stopping", "ended")

GAUGES = {
    "healthy": "1 where the bot is ok, 0 where it is degraded",
    "health_timestamp_seconds": "Wall time of the newest health; it grows old where the bot hangs",
    "start_timestamp_seconds": "Wall time at which the process began; it changes with each restart",
    "ready_seconds": "How long the start took",
    "session_open": "1 while a session of the exchange is on",
    "bar_age_seconds": "Market time since the end of the newest bar",
    "comparison_age_seconds": "Market time since the newest comparison with the broker that found no conflict",
    "last_commit_timestamp_seconds": "Wall time of the newest commit",
    "streams_up": "1 where order updates arrive",
    "entries_paused": "1 where no entry leaves: streams, broker, key or account",
    "halted": "1 where the operator has halted the bot",
    "blocks": "What else blocks orders, as a tripped breaker",
    "frozen_symbols": "Symbols without entries, as an order in them is unknown",
    "equity_dollars": "Cash and positions at their last prices",
    "cash_dollars": "Cash",
    "positions": "Open positions",
    "open_orders": "Open orders",
    "step_seconds": "The longest step since the health before",
}


class Gauges:
    """Each gauge, by its name without prefix; NaN where a value is not known yet."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._gauges = {
            name: Gauge(f"{PREFIX}_{name}", text, registry=registry)
            for name, text in GAUGES.items()
        }
        self._phase = Enum(f"{PREFIX}_phase", "What the bot does", states=PHASES, registry=registry)
        self._run = Info(f"{PREFIX}_run", "The run", registry=registry)

    def take(self, health: Health) -> None:
        """Set all of them."""
        market = health.feed_time
        values: dict[str, SupportsFloat | None] = {
            "healthy": not health.reasons,
            "health_timestamp_seconds": health.time.timestamp(),
            "start_timestamp_seconds": health.started_at.timestamp(),
            "ready_seconds": health.ready_seconds,
            "session_open": health.session_open is not None,
            "bar_age_seconds": _age(market, health.last_bar),
            "comparison_age_seconds": _age(market, health.compared_at),
            "last_commit_timestamp_seconds": _seconds(health.last_commit),
            "streams_up": health.streams_lost_since is None,
            "entries_paused": bool(health.entries_paused),
            "halted": bool(health.halted),
            "blocks": len(health.blocks),
            "frozen_symbols": len(health.frozen_symbols),
            "equity_dollars": health.equity,
            "cash_dollars": health.cash,
            "positions": health.positions,
            "open_orders": health.open_orders,
            "step_seconds": health.step_seconds,
        }
        for name, value in values.items():
            self._gauges[name].set(nan if value is None else float(value))
        self._phase.state(health.phase)
        self._run.info({"version": health.version, "mode": health.mode, "run_id": health.run_id})


def _age(now: datetime | None, then: datetime | None) -> float | None:
    return None if now is None or then is None else (now - then).total_seconds()


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()
