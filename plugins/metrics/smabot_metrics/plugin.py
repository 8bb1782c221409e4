"""The plugin: serves what the bot states of itself. Both hooks run beside the deciding thread."""

from __future__ import annotations

from typing import Any

from prometheus_client import start_http_server

from smabot.api import CommittedStep, ConfigError, Health, Plugin, hookimpl
from smabot_metrics.counters import Counters
from smabot_metrics.gauges import Gauges
from smabot_metrics.registry import new_registry
from smabot_metrics.settings import MetricsSettings


class Metrics(Plugin):
    """Without a port it does nothing."""

    def __init__(self, settings: MetricsSettings) -> None:
        self._settings = settings
        self._registry = new_registry()
        self._gauges = Gauges(self._registry)
        self._counters = Counters(self._registry)
        self._server: Any = None

    @hookimpl
    def on_health(self, health: Health) -> None:
        if self._settings.port:
            self._gauges.take(health)
            self._serve()

    @hookimpl
    def after_commit(self, step: CommittedStep) -> None:
        if self._settings.port:
            self._counters.take(step)

    def _serve(self) -> None:
        """Begin to serve, once. Raises ConfigError where the port is taken; it is tried again later."""
        if self._server is not None:
            return
        port, address = self._settings.port, self._settings.address
        try:
            self._server, _ = start_http_server(port, address, self._registry)
        except OSError as error:
            raise ConfigError(
                f"plugin.metrics: {address} port {port} can't be used ({error.strerror}): set another port"
            ) from None
