"""Points of equity at which the circuit breaker only raises its peak: a comparison tells most of them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from smabot.api import Book, EquityBounds, EquityPoint, end_of, replace
from smabot_risk.breaker_state import BreakerState, seen_until
from smabot_risk.equity_floor import NEVER, equity_floor
from smabot_risk.settings import CircuitBreakerSettings

if TYPE_CHECKING:
    from smabot.provider import Account


class QuietPoints:
    """Knows the breaker's row and the lowest equity at which it does not trip, while both last."""

    def __init__(self, settings: CircuitBreakerSettings) -> None:
        self._settings = settings
        self._state: BreakerState | None = None
        self._account: Account | None = None
        self._peak = self._session_floor = self._floor = NEVER

    def take(self, point: EquityPoint, account: Account | None, book: Book) -> bool:
        """Take a point in that the breaker has nothing to decide about; False: it must decide itself."""
        state, equity = self._state, point.equity
        if state is None or equity <= self._floor or book.row(BreakerState, "main") is not state:
            return False
        if account is not self._account:
            if account is None or account.opening_cash != state.opening_cash:
                return False
            self._account = account
        if (
            state.session_date is None
            or book.calendar.trading_date(point.time) > state.session_date
        ):
            return False
        if equity > self._peak:
            self._raise_peak(state, point, book)
        return True

    @property
    def bounds(self) -> EquityBounds | None:
        """Between what no point has to be told: neither a new peak nor a limit is reached, nor another date."""
        state = self._state
        if state is None or state.session_date is None:
            return None
        return EquityBounds(self._floor, self._peak, end_of(state.session_date))

    def begin(self, book: Book) -> None:
        """Go by the breaker's row as it is now; a tripped breaker decides about every point."""
        state = self._state = book.row(BreakerState, "main")
        if state is None or state.tripped or state.peak_equity is None:
            self._state = None
            return
        limit = self._settings.max_session_drawdown
        self._session_floor = equity_floor(state.session_equity, limit)
        self._set_peak(state.peak_equity)

    def _raise_peak(self, state: BreakerState, point: EquityPoint, book: Book) -> None:
        seen = seen_until(state, book, point.time)
        raised = replace(state, peak_equity=point.equity, seen_at=seen)
        if book.apply(raised):
            self._state = raised
            self._set_peak(point.equity)

    def _set_peak(self, peak: Decimal) -> None:
        self._peak = peak
        floor = equity_floor(peak, self._settings.max_peak_drawdown)
        self._floor = max(self._session_floor, floor)
