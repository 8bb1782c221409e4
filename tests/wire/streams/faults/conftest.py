"""Ways to ask for faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def fault(call: Any) -> Callable[..., Any]:
    """Ask for a fault by the admin call."""

    def fault(kind: str, **fields: Any) -> Any:
        response = call("POST", "/_exchange/faults", json={"kind": kind, **fields})
        assert response.status_code == 200, response.text
        return response.json()

    return fault


@pytest.fixture
def count(call: Any) -> Callable[[str], int]:
    """How often a fault has struck."""
    return lambda name: call.get("/_exchange")["faults"][name]


@pytest.fixture
def client_order_ids(call: Any) -> Callable[[], list[str]]:
    """Whose orders the exchange has, asked past all faults."""
    return lambda: [order["client_order_id"] for order in call.get("/v2/orders", status="all")]
