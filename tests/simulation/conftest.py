"""What simulation tests share: a setup, made once for a process."""

from __future__ import annotations

import pytest

from smabot.testing.simulation.setup import Setup


@pytest.fixture(scope="session")
def setup() -> Setup:
    pytest.importorskip("smabot_exchange")
    pytest.importorskip("smabot_risk")
    return Setup()
