"""The registry: this bot's metrics, and those of its process."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, ProcessCollector

PREFIX = "smabot"


def new_registry() -> CollectorRegistry:
    """Return a registry that has memory, processor time and open files of the process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry
