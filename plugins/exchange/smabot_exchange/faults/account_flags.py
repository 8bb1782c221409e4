"""The account's flags that keep it from trading, set by its owner, by a fault or by a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from smabot.provider import MINUTE
from smabot_exchange.faults.fault_plan import FaultPlan, Occasion
from smabot_exchange.matching.orders import RequestRefused

SUSPENDED = "trade_suspended_by_user"
FLAGS = ("trading_blocked", "account_blocked", SUSPENDED)
Until = Mapping[str, datetime | None]
"""The flags that are set, and until when; None: until they are lifted."""


class AccountFlags:
    """Which flags are set. They are in the ledger: a restart of the exchange lifts none.

    Changed by one thread at a time (`Exchange` sees to it), and replaced whole, so that any may read them.
    """

    def __init__(self, plan: FaultPlan, kept: Until, save: Callable[[Until], None]) -> None:
        self._plan = plan
        self._until = dict(kept)
        self._save = save

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._until)

    def set(self, flag: str, until: datetime | None = None) -> None:
        """Set a flag, until a time of the exchange or until it is lifted."""
        if flag not in FLAGS:
            raise ValueError(f"unknown flag {flag!r}: there are {', '.join(FLAGS)}")
        self._change({**self._until, flag: until})

    def lift(self, flag: str) -> None:
        self._change({name: until for name, until in self._until.items() if name != flag})

    def begin_minute(self, start: datetime) -> None:
        """Begin a minute: what is over is lifted, and faults strike."""
        over = [flag for flag, until in self._until.items() if until is not None and until <= start]
        for flag in over:
            self.lift(flag)
        if self._plan:
            self._strike(start)

    def check(self) -> None:
        """Raises RequestRefused where no order is taken, in Alpaca's words."""
        if SUSPENDED in self._until:
            raise RequestRefused(403, 40310000, "new orders are rejected by user request")
        if self._until:
            raise RequestRefused(403, 40310000, "account is not authorized to trade")

    def _strike(self, start: datetime) -> None:
        from smabot_exchange.faults.market_kinds import AccountFlag

        for fault in self._plan.strikes(AccountFlag, Occasion(f"account {start}", start)):
            until = None if fault.minutes is None else start + fault.minutes * MINUTE
            if not self._is_set_for_longer(fault.flag, until):
                self.set(fault.flag, until)

    def _is_set_for_longer(self, flag: str, until: datetime | None) -> bool:
        if flag not in self._until:
            return False
        its_end = self._until[flag]
        return its_end is None or (until is not None and its_end > until)

    def _change(self, until: Until) -> None:
        if until != self._until:
            self._save(until)
            self._until = dict(until)
