"""An exchange that is served, and `smabot alpaca probe` at it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("smabot_alpaca")
pytest.importorskip("smabot_exchange.http.server")

from smabot.cli import main
from smabot_alpaca.probe import order_procedures, probe_account
from smabot_exchange.as_seen.behaviours import AsSeen
from smabot_exchange.embedded import KEY_ID, SECRET_KEY
from smabot_exchange.exchange import Exchange
from smabot_exchange.faults.fault_files import parse_faults
from smabot_exchange.http.auth import ApiKeys
from smabot_exchange.http.rate_limit import RequestQuota
from smabot_exchange.http.server import ServerThread, listen
from smabot_exchange.http.venue import Venue

MINUTES = 5


class Place:
    """A served exchange one minute after its open; SPY is at 100."""

    def __init__(self, exchange: Exchange, url: str) -> None:
        self.exchange = exchange
        self.url = url

    def arm(self, *faults: dict[str, Any]) -> None:
        self.exchange.faults.add(parse_faults({"faults": list(faults)})[1])

    def end(self) -> None:
        """Replay all: the market is closed for good."""
        while self.exchange.advance() is not None:
            pass

    @property
    def untouched(self) -> bool:
        """Whether no order is open, and nothing has ever filled."""
        filled = [order for order in self.exchange.orders("all") if order.filled_qty]
        return not (self.exchange.orders("open") or filled or self.exchange.positions())


class Probed(NamedTuple):
    code: int
    out: str
    err: str
    file: dict[str, Any]
    """What was written; empty where nothing was."""

    @property
    def results(self) -> dict[int, str]:
        return {each["number"]: each["result"] for each in self.file["assumptions"]}

    def seen(self, number: int) -> str:
        return str(self.of(number)["seen"])

    def of(self, number: int) -> dict[str, Any]:
        (found,) = (each for each in self.file["assumptions"] if each["number"] == number)
        assert isinstance(found, dict)
        return found


@pytest.fixture
def serve(in_tmp: Path, tape_writer: Any) -> Iterator[Callable[..., Place]]:
    """Serve an exchange that behaves as it is told."""
    with ExitStack() as stack:

        def serve(as_seen: AsSeen | None = None, keys: dict[str, str] | None = None) -> Place:
            number = len(list(in_tmp.glob("*.csv")))
            tape = tape_writer(in_tmp / f"tape{number}.csv", {"SPY": [100.0] * MINUTES})
            exchange = Exchange(in_tmp / f"ledger{number}.db", str(tape))
            stack.callback(exchange.close)
            venue = Venue(
                exchange,
                ApiKeys(keys or {KEY_ID: SECRET_KEY}),
                RequestQuota(100_000),
                as_seen=as_seen or AsSeen(),
            )
            serving = ServerThread(venue, listen())
            serving.start()
            stack.callback(serving.stop)
            exchange.advance()
            return Place(exchange, serving.url)

        yield serve


@pytest.fixture
def probe(
    in_tmp: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Probed]:
    """Probe a place, with so many looks for what does not come as a test has time for."""
    monkeypatch.setattr(probe_account, "GONE_LOOKS", (0.0, 0.02))
    out = in_tmp / "probe.json"

    def probe(place: Place | None, *arguments: str) -> Probed:
        where = ["--url", place.url] if place else []
        out.unlink(missing_ok=True)
        code = main(["alpaca", "probe", *where, "--out", str(out), *arguments])
        written = json.loads(out.read_text()) if out.exists() else {}
        return Probed(code, *capsys.readouterr(), written)

    return probe


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put another procedure in the place of the fifth assumption's."""

    def instead(procedure: Callable[[Any], Any]) -> None:
        from dataclasses import replace

        from smabot_alpaca.probe import catalogue

        changed = tuple(
            replace(each, procedure=procedure) if each.number == 5 else each
            for each in catalogue.ASSUMPTIONS
        )
        assert order_procedures.amounts in {each.procedure for each in catalogue.ASSUMPTIONS}
        monkeypatch.setattr(catalogue, "ASSUMPTIONS", changed)

    return instead
