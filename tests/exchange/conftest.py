"""A lab for the exchange: small tapes in New York time, real ledgers in a temporary folder."""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.calendar import EXCHANGE_ZONE
from smabot.domain.order_terms import Side
from smabot_exchange.exchange import Exchange
from smabot_exchange.matching.account import RequestedTerms
from smabot_exchange.matching.orders import (
    ExchangeOrder,
    OrderClass,
    OrderEvent,
    OrderRequest,
    OrderType,
    StopLoss,
    TakeProfit,
    TimeInForce,
)
from smabot_exchange.replay import ReplayedMinute

PLAYER = Path(__file__).with_name("player.py")
HEADER = "symbol,timestamp,open,high,low,close,volume,trade_count,vwap"


class Lab:
    """Writes tapes, opens exchanges on them, and closes what was left open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: list[Exchange] = []
        self._ledgers = 0

    def killed_copies(self, name: str) -> tuple[list[Path], Callable[[], None]]:
        """Return ledgers as a kill would leave one, and what takes another one now."""
        copies: list[Path] = []

        def copy() -> None:
            folder = self.folder / f"killed{len(copies)}"
            folder.mkdir()
            for suffix in ("", "-wal"):
                shutil.copy(self.folder / f"{name}{suffix}", folder / f"ledger.db{suffix}")
            copies.append(folder / "ledger.db")

        return copies, copy

    @staticmethod
    def time(local: str) -> datetime:
        """``2026-03-02 09:30`` in New York, as UTC."""
        naive = datetime.fromisoformat(local)
        return naive.replace(tzinfo=EXCHANGE_ZONE).astimezone(UTC)

    def row(
        self, symbol: str, local: str, prices: float | Sequence[float], volume: float = 100_000
    ) -> str:
        """A line of CSV; ``prices`` is one price for all, or open, high, low and close."""
        four = prices if isinstance(prices, Sequence) else [prices] * 4
        texts = ",".join(str(price) for price in four)
        return f"{symbol},{self.time(local):%Y-%m-%dT%H:%M:%SZ},{texts},{volume},,"

    def rows(
        self,
        symbol: str,
        local: str,
        prices: Sequence[float | Sequence[float]],
        volume: float = 100_000,
    ) -> list[str]:
        """Consecutive minutes."""
        start = datetime.fromisoformat(local)
        return [
            self.row(symbol, str(start + timedelta(minutes=index)), price, volume)
            for index, price in enumerate(prices)
        ]

    def tape(self, lines: Sequence[str], name: str = "tape.csv", header: str = HEADER) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([header, *lines]) + "\n")
        return path

    def open(
        self,
        tape: Path | str,
        ledger: str | None = None,
        data_zone: str | None = None,
        **terms: Any,
    ) -> Exchange:
        """An exchange; on a new ledger unless one is named."""
        self._ledgers += ledger is None
        name = ledger or f"ledger{self._ledgers}.db"
        exchange = Exchange(
            self.folder / name, str(tape), RequestedTerms(**terms), data_zone=data_zone
        )
        self._open.append(exchange)
        return exchange

    def play(self, exchange: Exchange) -> list[ReplayedMinute]:
        """The rest of the tape."""
        minutes = []
        while (minute := exchange.advance()) is not None:
            minutes.append(minute)
        return minutes

    def close(self) -> None:
        while self._open:
            self._open.pop().close()


@pytest.fixture(scope="session")
def player() -> dict[str, Any]:
    """The client that decides by the clock alone."""
    return runpy.run_path(str(PLAYER))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.close()


class Client:
    """Sends orders with few words."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def buy(self, qty: object = None, symbol: str = "SPY", **more: Any) -> ExchangeOrder:
        return self.send(Side.BUY, qty, symbol, **more).order

    def sell(self, qty: object = None, symbol: str = "SPY", **more: Any) -> ExchangeOrder:
        return self.send(Side.SELL, qty, symbol, **more).order

    def send(
        self, side: Side, qty: object = None, symbol: str = "SPY", limit: object = None,
        tif: str = "day", id: str | None = None, stop: object = None, trail: object = None,
        percent: object = None, notional: object = None, kind: str | None = None,
        bracket: tuple[object, object] | None = None, oco: tuple[object, object] | None = None,
        oto: tuple[object, object] | None = None, stop_limit: object = None, **more: Any,
    ) -> OrderEvent:  # fmt: skip
        """``bracket``, ``oco`` and ``oto`` are the take-profit's limit and the stop-loss's stop."""
        legs = bracket or oco or oto
        kinds = {"bracket": bracket, "oco": oco, "oto": oto}
        if kind is None:
            kind = {
                (False, False): "market", (True, False): "limit",
                (False, True): "stop", (True, True): "stop_limit",
            }[limit is not None or oco is not None, stop is not None]  # fmt: skip
        if trail is not None or percent is not None:
            kind = "trailing_stop"
        if legs is not None:
            more |= {
                "order_class": OrderClass(next(name for name, given in kinds.items() if given)),
                "take_profit": None if legs[0] is None else TakeProfit(money(legs[0])),
                "stop_loss": None
                if legs[1] is None
                else StopLoss(money(legs[1]), money(stop_limit)),
            }
        return self.exchange.submit(
            OrderRequest(
                symbol, side, money(qty), OrderType(kind), money(limit), TimeInForce(tif), id,
                money(notional), money(stop), money(trail), money(percent), **more,
            )
        )  # fmt: skip

    def now(self, order: ExchangeOrder) -> ExchangeOrder:
        """The order as it is by now."""
        return self.exchange.order(order.id)


def money(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


@pytest.fixture
def client() -> type[Client]:
    return Client
