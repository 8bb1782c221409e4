"""The plugin metrics: what Prometheus reads of a run, and that the run needs it for nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("prometheus_client")

from prometheus_client.parser import text_string_to_metric_families

from smabot.api import (
    CommittedStep,
    Event,
    Fill,
    Health,
    Order,
    Side,
    Status,
    replace,
)
from smabot.domain.bot_records import Run
from smabot.domain.order_terms import OrderType, TimeInForce
from smabot.domain.risk_answers import Check, checks_text
from smabot_metrics.counters import Counters
from smabot_metrics.gauges import GAUGES, Gauges
from smabot_metrics.plugin import Metrics
from smabot_metrics.registry import new_registry
from smabot_metrics.settings import MetricsSettings

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
SMABOT = str(Path(sys.executable).with_name("smabot"))
HEALTH = Health(
    "trading", NOON, 1.0, 7, "0.1.0", "PAPER", NOON - timedelta(hours=1), run_id="r",
    feed_time=NOON, session_open=NOON - timedelta(hours=2), last_bar=NOON - timedelta(seconds=20),
    equity=Decimal("99999.5"), positions=2, step_seconds=0.25,
)  # fmt: skip
ORDER = Order(
    "o", "sma", "SPY", Side.BUY, Decimal(10), OrderType.MARKET, None, TimeInForce.DAY, NOON, 1, False,
    NOON,
)  # fmt: skip
FILL = Fill(
    "o", Decimal(5), "sma", "SPY", Side.BUY, Decimal(5), Decimal(500), Decimal(0), NOON, False
)


def values(text: str) -> dict[str, float]:
    """Return the samples of a page by their names with labels."""
    return {
        f"{s.name}{json.dumps(s.labels) if s.labels else ''}": s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def of(registry: Any) -> dict[str, float]:
    from prometheus_client import generate_latest

    return values(generate_latest(registry).decode())


def test_a_health_is_shown_with_all_that_it_has() -> None:
    registry = new_registry()
    Gauges(registry).take(HEALTH)
    shown = of(registry)
    assert (
        shown["smabot_healthy"] == shown["smabot_session_open"] == shown["smabot_streams_up"] == 1
    )
    assert shown["smabot_equity_dollars"] == 99999.5
    assert shown["smabot_bar_age_seconds"] == 20
    assert shown["smabot_health_timestamp_seconds"] == NOON.timestamp()
    assert shown["smabot_ready_seconds"] != shown["smabot_ready_seconds"]
    assert shown['smabot_phase{"smabot_phase": "trading"}'] == 1
    assert shown['smabot_run_info{"mode": "PAPER", "run_id": "r", "version": "0.1.0"}'] == 1
    assert {f"smabot_{name}" for name in GAUGES} <= set(shown)
    bad = replace(HEALTH, reasons=("halted: lunch",), halted="lunch", streams_lost_since=NOON)
    Gauges(registry := new_registry()).take(bad)
    shown = of(registry)
    assert shown["smabot_healthy"] == shown["smabot_streams_up"] == 0
    assert shown["smabot_halted"] == 1


def test_what_happened_is_counted_once_whatever_is_told_again() -> None:
    counters = Counters(registry := new_registry())
    checks = checks_text([Check("max_loss", False), Check("max_trades", True)])
    partly = replace(ORDER, status=Status.PARTIALLY_FILLED)
    steps = [
        CommittedStep(1, orders=(ORDER,), events=(Event(NOON, "halt", "", ""),)),
        CommittedStep(2, orders=(partly,), fills=(FILL,)),
        CommittedStep(3, orders=(replace(partly, filled_qty=Decimal(7)),), fills=(FILL,)),
        CommittedStep(4, orders=(replace(partly, status=Status.FILLED),)),
        CommittedStep(5, orders=(replace(ORDER, client_order_id="p", status=Status.BLOCKED, checks=checks),)),
    ]  # fmt: skip
    for step in steps:
        counters.take(step)
        counters.take(replace(step, again=True))
    shown = {k: v for k, v in of(registry).items() if "_total" in k and "process" not in k}
    assert shown == {
        'smabot_orders_total{"status": "pending"}': 1,
        'smabot_orders_total{"status": "partially_filled"}': 1,
        'smabot_orders_total{"status": "filled"}': 1,
        'smabot_orders_total{"status": "blocked"}': 1,
        'smabot_orders_blocked_total{"check": "max_loss"}': 1,
        'smabot_fills_total{"side": "buy"}': 2,
        'smabot_events_total{"kind": "halt"}': 1,
    }
    assert of(registry)["smabot_previous_run_died"] == 0
    counters.take(CommittedStep(6, died=Run("r", 1, "0.1", "", "PAPER", NOON)))
    assert of(registry)["smabot_previous_run_died"] == 1


def free_port() -> int:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def scrape(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        return values(page.read().decode())


def test_without_a_port_nothing_listens_and_nothing_is_counted() -> None:
    plugin = Metrics(MetricsSettings())
    plugin.on_health(HEALTH)
    plugin.after_commit(CommittedStep(1, fills=(FILL,)))
    assert plugin._server is None
    assert 'smabot_fills_total{"side": "buy"}' not in of(plugin._registry)


def test_a_taken_port_is_said_and_used_once_it_is_free() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        plugin = Metrics(MetricsSettings(port=port))
        with pytest.raises(Exception, match=rf"127.0.0.1 port {port} can't be used"):
            plugin.on_health(HEALTH)
    try:
        plugin.on_health(HEALTH)
        assert scrape(port)["smabot_positions"] == 2
    finally:
        plugin._server.shutdown()
        plugin._server.server_close()


@pytest.mark.parametrize("wrong", [{"port": -1}, {"port": 70_000}, {"address": "everywhere"}])
def test_settings_that_can_not_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"port|address"):
        MetricsSettings(**wrong)


@contextmanager
def bot(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        SMABOT, "run", "--plugins", "sma,risk,metrics", "--broker", "exchange", "--speed", "5",
    ]  # fmt: skip
    variables = {**os.environ, "SMABOT_PLUGIN__METRICS__PORT": str(port)}
    with subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.slow(seconds=25)
@pytest.mark.plugins
def test_a_real_run_is_scraped_and_its_restart_is_seen(tmp_path: Path) -> None:
    port = free_port()

    def wait_for(name: str, least: float = 1) -> dict[str, float]:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                shown = scrape(port)
            except (urllib.error.URLError, ConnectionError):
                shown = {}
            if shown.get(name, 0) >= least:
                return shown
            time.sleep(0.1)
        raise AssertionError(name)

    trading = 'smabot_phase{"smabot_phase": "trading"}'
    with bot(tmp_path, port) as running:
        first = wait_for(trading)
        assert first["smabot_healthy"] == 1
        assert first["smabot_previous_run_died"] == 0
        subprocess.run([SMABOT, "halt"], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
        halted = wait_for("smabot_halted")
        assert halted["smabot_healthy"] == 0
        assert halted['smabot_events_total{"kind": "halt"}'] == 1
        running.send_signal(signal.SIGKILL)
    with bot(tmp_path, port):
        again = wait_for("smabot_previous_run_died")
        assert again["smabot_start_timestamp_seconds"] > first["smabot_start_timestamp_seconds"]


def test_the_page_names_every_metric_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "plugins/metrics/README.md").read_text()
    table = page.partition("## The metrics")[2].partition("## Alerts")[0]
    named = set(re.findall(r"`(smabot_\w+)", table))
    registry = new_registry()
    Gauges(registry).take(HEALTH)
    counters = Counters(registry)
    checks = checks_text([Check("max_loss", False)])
    blocked = replace(ORDER, status=Status.BLOCKED, checks=checks)
    counters.take(
        CommittedStep(1, orders=(blocked,), fills=(FILL,), events=(Event(NOON, "halt", "", ""),))
    )
    shown = {name.partition("{")[0] for name in of(registry)}
    assert named == {
        name for name in shown if name.startswith("smabot_") and not name.endswith("_created")
    }
    alerts = page.partition("## Alerts")[2]
    assert set(re.findall(r"\b(smabot_\w+)\b", alerts)) <= named
