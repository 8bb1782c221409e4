"""Points of equity at which the circuit breaker only raises its peak: a comparison tells most of them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from smabot.api import Book, EquityPoint, replace
from smabot_risk.breaker_state import BreakerState, seen_until
from smabot_risk.settings import CircuitBreakerSettings

if TYPE_CHECKING:
    from smabot.provider import Account

MARGIN = Decimal(1)
"""Dollars above the equity that trips: from there on down the drawdown is computed, and rounded, in full."""


class QuietPoints:
    """Knows the breaker's row and the lowest equity at which it does not trip, while both last."""

    def __init__(self, settings: CircuitBreakerSettings) -> None:
        self._session_limit = settings.max_session_drawdown
        self._peak_limit = settings.max_peak_drawdown
        self._state: BreakerState | None = None
        self._account: Account | None = None
        self._floor = Decimal("-Infinity")

    def take(self, point: EquityPoint, book: Book) -> bool:
        """Take a point in that the breaker has nothing to decide about; False: it must decide itself."""
        state = self._state
        if state is None or book.row(BreakerState, "main") is not state:
            return False
        account = book.account
        if account is not self._account:
            if account is None or account.opening_cash != state.opening_cash:
                return False
            self._account = account
        date, peak, equity = state.session_date, state.peak_equity, point.equity
        if date is None or peak is None or equity <= self._floor:
            return False
        if book.calendar.trading_date(point.time) > date:
            return False
        if equity > peak:
            seen = seen_until(state, book, point.time)
            book.apply(replace(state, peak_equity=equity, seen_at=seen))
            self.begin(book)
        return True

    def begin(self, book: Book) -> None:
        """Go by the breaker's row as it is now; a tripped breaker decides about every point."""
        state = book.row(BreakerState, "main")
        self._state = state if state is not None and not state.tripped else None
        if self._state is not None:
            session = self._lowest(self._state.session_equity, self._session_limit)
            self._floor = max(session, self._lowest(self._state.peak_equity, self._peak_limit))

    def _lowest(self, base: Decimal | None, limit: Decimal) -> Decimal:
        if base is None or base <= 0 or not limit:
            return Decimal("-Infinity")
        return base - base * limit + MARGIN
