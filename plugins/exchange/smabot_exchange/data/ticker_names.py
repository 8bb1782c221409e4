"""Tickers: as a data file writes them, and as its name tells them."""

from __future__ import annotations

import re
from pathlib import Path

_TICKER = re.compile(r"[A-Z][A-Z0-9.]{0,11}")
_US = re.compile(r"\.US$", re.IGNORECASE)
"""Of Stooq and others: a share that is traded in the United States."""

_OF_A_NAME = re.compile(r"([A-Z]{1,5}|[a-z]{2,5})(?:[.-]([ABCabc]))?")
_NO_TICKERS = re.compile(
    "bars?|data|day|daily|file|hist|mins?|month|ohlcv?|price|quote|stock|tape|test|trade|usa?|week|year"
)
"""Words that name files: no tickers, unless they are in capitals."""
_EXCHANGES = ("AMEX", "ARCA", "BATS", "CBOE", "NASDAQ", "NYSE", "NYSEARCA")
_PARTS = re.compile(r"\d+|\d*(?:m|t|min|mins|minute|minutes)|m\d+|intraday", re.IGNORECASE)
"""What else a name may have: numbers, as of a date, and lengths of bars. With another word it is not
clear which one is the ticker: ``yf_hist.csv`` holds no shares of YF."""


def ticker(text: str) -> str:
    """Return a symbol in capitals, as ``BRK.B``. Raises ValueError that says what is wrong."""
    name = _US.sub("", text.strip())
    if name.islower():
        name = name.upper()
    if not _TICKER.fullmatch(name):
        raise ValueError(f"symbol {text!r} is not a ticker in capitals, like BRK.B")
    return name


def ticker_of_file(file: Path) -> str | None:
    """Return the symbol that a file's name begins with, None where that is not clear.

    ``SPY.csv``, ``AAPL_1min.csv``, ``spy-2024.csv.gz``, ``brk.b.us.txt``: the first word is the ticker,
    and the others are dates or lengths of bars.
    """
    stem = re.sub(r"\.(csv|txt|parquet)(\.gz)?$", "", file.name, flags=re.IGNORECASE)
    first, *others = re.split(r"[_\s,]+|[.-](?![ABCabc](?:[._\s-]|$))", _US.sub("", stem))
    if first in _EXCHANGES and others:
        first, *others = others
    found = _OF_A_NAME.fullmatch(_US.sub("", first))
    if found is None or _NO_TICKERS.fullmatch(first):
        return None
    if not all(_PARTS.fullmatch(part) for part in others if part):
        return None
    return found[1].upper() + (f".{found[2].upper()}" if found[2] else "")
