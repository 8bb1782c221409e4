"""From a row of a data file to a bar's values, or to a line that says why it is none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from math import inf
from typing import Any

from smabot.provider import Bar, bar_fault
from smabot_exchange.data.column_names import Columns
from smabot_exchange.data.decimal_commas import with_point
from smabot_exchange.data.ticker_names import ticker
from smabot_exchange.data.time_stamps import BadTime, TimeReader

Values = tuple[str, datetime, float, float, float, float, float, int | None, float | None]
"""A bar's fields."""

_NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|inf|infinity)", re.ASCII | re.I
)
_BILLION = 10**9
_PRICES = ("open", "high", "low", "close")


class BadRow(ValueError):
    """A row that is no bar; ``kind`` says in which way, for counting."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class RowReader:
    """Reads the rows of one file."""

    def __init__(
        self,
        columns: Columns,
        symbol: str | None,
        times: TimeReader,
        *,
        decimal_commas: bool = False,
    ) -> None:
        self.times = times
        self._columns = columns
        self._in_billionths = columns.in_billionths
        self._symbol = symbol
        """Of all rows, where the file has no column for it."""
        self.decimal_commas = decimal_commas
        self._numbers = {
            name: place
            for name, place in columns.places.items()
            if name not in ("symbol", "timestamp")
        }

    def values(self, row: Sequence[Any]) -> Values:
        """Return what a row says, the symbol in capitals and the time in UTC. Raises BadRow."""
        columns = self._columns
        if len(row) != len(columns.header):
            raise BadRow("fields", f"{len(row)} fields where {len(columns.header)} are expected")
        places = columns.places
        if self.decimal_commas:
            row = self._with_points(row)
        try:
            symbol = self._symbol or ticker(_text(row[places["symbol"]]))
        except ValueError as error:
            raise BadRow("symbol", str(error)) from None
        try:
            time = self.times.read(self.stamp(row))
        except BadTime as error:
            raise BadRow(error.kind, str(error)) from None
        price = _price_of_databento if self._in_billionths else _number
        o, h, low, c = (price(name, row[places[name]]) for name in _PRICES)
        volume = _number("volume", row[places["volume"]])
        count = places.get("trade_count")
        vwap = places.get("vwap")
        values = (
            symbol, time, o, h, low, c, volume,
            None if count is None else _whole("trade_count", row[count]),
            None if vwap is None or _is_missing(row[vwap]) else _number("vwap", row[vwap]),
        )  # fmt: skip
        if wrong := bar_fault(Bar(*values)):
            raise BadRow(_kind_of_fault(Bar(*values)), wrong)
        return values

    def numbers(self, row: Sequence[Any]) -> list[str]:
        """Return a row's numbers that are texts."""
        return [row[place] for place in self._numbers.values() if isinstance(row[place], str)]

    def _with_points(self, row: Sequence[Any]) -> list[Any]:
        changed = list(row)
        for name, place in self._numbers.items():
            text = row[place]
            if isinstance(text, str):
                if "." in text and "," not in text:
                    raise BadRow(
                        "number",
                        f"{name} {text!r} has a point where other numbers have decimal commas",
                    )
                changed[place] = with_point(text)
        return changed

    def stamp(self, row: Sequence[Any]) -> Any:
        """Return a row's time as the file has it; a date and a time of day as one text."""
        stamp = row[self._columns.places["timestamp"]]
        clock = self._columns.clock
        return stamp if clock is None else f"{_text(stamp)} {_text(row[clock])}"


def _kind_of_fault(bar: Bar) -> str:
    """Return in which way a bar is at fault, for counting; in the order in which `bar_fault` looks."""
    if not all(0 < price < inf for price in (bar.open, bar.high, bar.low, bar.close)):
        return "no price"
    if bar.high < bar.low:
        return "prices"
    if not (bar.low <= bar.open <= bar.high and bar.low <= bar.close <= bar.high):
        return "outside"
    if not 0 <= bar.volume < inf:
        return "volume"
    return "optional"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _is_missing(value: Any) -> bool:
    """Whether a field is empty; NaN is so only where it is a number, as in Parquet."""
    return value is None or value == "" or (isinstance(value, float) and value != value)


def is_plain(cells: Sequence[str]) -> bool:
    """Whether nothing in a row makes Python read a number where others read none, as 1_000."""
    text = "".join(cells)
    return text.isascii() and "_" not in text


def _number(name: str, value: Any) -> float:
    return float(_checked_number(name, value))


def _price_of_databento(name: str, value: Any) -> float:
    """Return a price that is given in dollars, or without a decimal point in billionths of them."""
    number = _checked_number(name, value)
    whole = isinstance(number, int) or (isinstance(number, str) and number.strip().isdecimal())
    return float(number) / _BILLION if whole else float(number)


def _checked_number(name: str, value: Any) -> int | float | Decimal | str:
    """Return a value that `float` takes for the number that is written. Raises BadRow."""
    if isinstance(value, str):
        if _NUMBER.fullmatch(value.strip(" ")):
            return value
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return value
    hint = ""
    if isinstance(value, str) and "," in value:
        hint = (
            ": whether its comma is a decimal one, or one of thousands, the file does not say for certain; "
            "write numbers with a decimal point and without separators, as 1234.5"
        )
    raise BadRow("number", f"{name} {value!r} is not a number{hint}")


def _whole(name: str, value: Any) -> int | None:
    if _is_missing(value):
        return None
    number = Decimal(_checked_number(name, value))
    if not number.is_finite() or number != number.to_integral_value():
        raise BadRow("number", f"{name} {value!r} is not a whole number")
    if abs(number) >= 2**63:
        raise BadRow("number", f"{name} {value!r} is too large to be kept")
    return int(number)
