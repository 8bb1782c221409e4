"""What a user may set in ``[default.plugin.sma]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator
from smabot.config import Settings

Bars = Annotated[int, Field(gt=0, le=10_000)]


class SymbolSettings(Settings):
    """The windows of one symbol; what is not given is as for all symbols."""

    fast: Bars | None = None
    slow: Bars | None = None


class SmaSettings(Settings):
    """The windows of the two averages, in bars of one minute."""

    fast: Bars = 10
    slow: Bars = 30
    symbols: dict[str, SymbolSettings] = Field(default_factory=dict)
    """One table a symbol, as ``[default.plugin.sma.symbols.SPY]``."""

    @field_validator("symbols")
    @classmethod
    def _upper_case(cls, symbols: dict[str, SymbolSettings]) -> dict[str, SymbolSettings]:
        upper = {symbol.upper(): own for symbol, own in symbols.items()}
        if len(upper) < len(symbols):
            raise ValueError("a symbol has two tables, in upper and in lower case: keep one")
        return upper

    @model_validator(mode="after")
    def _fast_is_shorter(self) -> SmaSettings:
        for symbol in ("", *self.symbols):
            fast, slow = self.windows(symbol)
            if fast >= slow:
                where = f"symbols.{symbol}: " if symbol else ""
                raise ValueError(f"{where}fast ({fast}) must be smaller than slow ({slow})")
        return self

    def windows(self, symbol: str) -> tuple[int, int]:
        """Return the fast and the slow window of a symbol."""
        own = self.symbols.get(symbol)
        if own is None:
            return self.fast, self.slow
        return own.fast or self.fast, own.slow or self.slow

    @property
    def longest(self) -> int:
        """The longest window of any symbol, in bars."""
        return max(self.windows(symbol)[1] for symbol in ("", *self.symbols))
