"""`smabot data fetch` in this process, at an exchange that is served with a past of some months."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("smabot_exchange.http.server")

from smabot.cli import main
from smabot_exchange.embedded import KEY_ID, SECRET_KEY
from smabot_exchange.exchange import Exchange
from smabot_exchange.faults.fault_files import parse_faults
from smabot_exchange.http.auth import ApiKeys
from smabot_exchange.http.server import ServerThread, listen
from smabot_exchange.http.venue import Venue
from smabot_exchange.ledger.beginning import Beginning

SESSIONS = 42
"""From 2 March 2026 on: two months, as far as 30 April."""


class Answer(NamedTuple):
    code: int
    out: str
    err: str


class Served:
    """A served exchange."""

    def __init__(self, venue: Venue, server: ServerThread) -> None:
        self.venue, self.url = venue, server.url

    def strike(self, **fault: Any) -> None:
        """Let it misbehave from now on."""
        self.venue.faults.add(parse_faults(fault)[1])


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """SPY, AAPL and MSFT; 42 sessions are the past, one is to come."""
    folder = tmp_path_factory.mktemp("market")
    data = f"simulated:symbols=3,sessions={SESSIONS + 1}"
    exchange = Exchange(folder / "market.db", data, beginning=Beginning(SESSIONS))
    venue = Venue(exchange, ApiKeys({KEY_ID: SECRET_KEY}))
    server = ServerThread(venue, listen())
    server.start()
    yield Served(venue, server)
    server.stop()
    exchange.close()


@pytest.fixture
def served(market: Served) -> Iterator[Served]:
    """The same, without faults."""
    yield market
    market.venue.faults.clear()
    market.venue.quota = None


@pytest.fixture
def fetch(
    in_tmp: Path, served: Served, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Call `smabot data fetch` with more arguments."""

    def fetch(*arguments: str, symbols: str = "SPY,AAPL") -> Answer:
        common = ("--symbols", symbols, "--url", served.url)
        code = main(["data", "fetch", *common, *arguments])
        return Answer(code, *capsys.readouterr())

    return fetch
