"""The account's configuration: what its owner may switch.

https://docs.alpaca.markets/reference/getaccountconfig-1
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from smabot_exchange.exchange import Exchange
from smabot_exchange.faults.account_flags import SUSPENDED
from smabot_exchange.http.answers import bad_parameter
from smabot_exchange.matching.orders import plain

SUSPEND = "suspend_trade"

_CHOICES: dict[str, tuple[object, ...]] = {
    "trade_confirm_email": ("all", "none"),
    "suspend_trade": (True, False),
    "no_shorting": (True, False),
    "fractional_trading": (True, False),
    "max_margin_multiplier": ("1", "2", "4"),
    "max_options_trading_level": (0, 1, 2, 3),
    "ptp_no_exception_entry": (True, False),
    "disable_overnight_trading": (True, False),
}


class AccountConfiguration:
    """Kept in memory, but for ``suspend_trade``, which is a flag of the account: a new server begins with
    the defaults. Orders obey ``suspend_trade``, ``no_shorting`` and ``fractional_trading``."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._values: dict[str, Any] = {
            "trade_confirm_email": "all",
            "no_shorting": False,
            "fractional_trading": True,
            "max_margin_multiplier": "4",
            "max_options_trading_level": 0,
            "ptp_no_exception_entry": False,
            "disable_overnight_trading": False,
        }

    def shape(self) -> dict[str, Any]:
        """Return it as JSON shows it."""
        return {**self._values, SUSPEND: SUSPENDED in self._exchange.flags}

    def change(self, changes: dict[str, Any]) -> None:
        """Change what is given; nulls and settings unknown here are ignored, as at Alpaca.

        Raises RequestRefused for a value that a setting can't have, and then changes nothing.
        """
        wanted = {
            name: value for name, value in changes.items() if name in _CHOICES and value is not None
        }
        if type(wanted.get("max_margin_multiplier")) in (int, Decimal):
            wanted["max_margin_multiplier"] = plain(Decimal(wanted["max_margin_multiplier"]))
        for name, value in wanted.items():
            choices = _CHOICES[name]
            if not any(type(value) is type(choice) and value == choice for choice in choices):
                raise bad_parameter(f"invalid {name}: {value}")
        suspend = wanted.pop(SUSPEND, None)
        self._values |= wanted
        if suspend is not None:
            self._exchange.flag(SUSPENDED, bool(suspend))

    @property
    def no_shorting(self) -> bool:
        return bool(self._values["no_shorting"])

    @property
    def fractional_trading(self) -> bool:
        return bool(self._values["fractional_trading"])
