"""What the limits on losses forbid, by the exchange's own ledger: computed anew, without the bot's records."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from smabot.domain.book import Book
from smabot.domain.calendar import Calendar
from smabot.domain.records import ZERO
from smabot.hooks.simulated_exchange import SimulatedExchange

BREAKER, LIMITS = "risk.circuit_breaker", "risk.daily_limits"
MARGIN = Decimal("0.002")
"""Of equity: the bot may have seen another price at the session's end."""
CENT = Decimal("0.01")


class Limits(NamedTuple):
    """The fraction of the session opening equity, and the US dollars, at whose loss entries end."""

    drawdown: Decimal
    loss: Decimal


class LimitsOracle:
    """Follows equity at the exchange, and what it has reached where the bot can know it.

    It can where its positions and its equity are the exchange's, and nobody else has traded.
    """

    def __init__(
        self,
        exchange: SimulatedExchange,
        risk: dict[str, Any],
        resets: Callable[[], int],
        deposited: Callable[[], Decimal],
    ) -> None:
        """``risk``: the settings of the risk plugins; ``resets``: how often the breaker was reset;
        ``deposited``: the cash that came from outside, less what went."""
        self._exchange = exchange
        self._deposited = deposited
        self._limits = Limits(
            Decimal(risk.get("circuit_breaker", {}).get("max_session_drawdown", 0)),
            Decimal(risk.get("daily_limits", {}).get("max_loss", 0)),
        )
        self._resets = resets
        self._resets_seen = 0
        self._calendar = Calendar()
        self._day: date | None = None
        self._last = self._day_base = self._breaker_base = exchange.equity()
        self._fallen = ""
        self._lost = ""

    def minute_traded(self, book: Book | None) -> None:
        """Note equity at the end of a minute; the first of a date is compared with the one before it.

        ``book``: the process's, which knows the calendar.
        """
        self._calendar = book.calendar if book is not None else self._calendar
        day = self._calendar.trading_date(self._exchange.now)
        if day != self._day:
            self._day, self._day_base, self._breaker_base = day, self._last, self._last
            self._lost = ""
        self._last = self._earned()

    def look(self, book: Book, plugins: Collection[str]) -> None:
        """Note which limits have been reached, of those plugins that are part of the run."""
        worth = self._exchange.equity()
        equity = worth - self._deposited()
        self._note_resets()
        spared = self._day_base * MARGIN
        least = self._breaker_base * (1 - self._limits.drawdown) - spared
        lost = self._day_base - equity
        fallen = self._limits.drawdown and BREAKER in plugins and equity <= least
        too_much = self._limits.loss and LIMITS in plugins and lost >= self._limits.loss + spared
        if not (fallen or too_much) or not self._is_known_to(book, worth):
            return
        if fallen:
            self._fallen = f"equity fell from {self._breaker_base:.2f} to {equity:.2f}"
        if too_much:
            self._lost = f"{lost:.2f} were lost on {self._day}"

    def forbids_entries(self) -> str:
        """Return why no entry may leave any more; empty: it may."""
        self._note_resets()
        return self._fallen or self._lost

    def _note_resets(self) -> None:
        if (resets := self._resets()) != self._resets_seen:
            self._resets_seen, self._fallen = resets, ""
            self._breaker_base = min(self._earned(), self._last)

    def _earned(self) -> Decimal:
        return self._exchange.equity() - self._deposited()

    def _is_known_to(self, book: Book, worth: Decimal) -> bool:
        if book.account is None or book.account.cash != self._exchange.cash():
            return False
        held = {symbol: qty for _, symbol in book.positions if (qty := book.net(symbol)) != ZERO}
        return held == self._exchange.positions() and abs(book.equity() - worth) < CENT
