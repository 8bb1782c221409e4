"""The same rule over a whole series at once, with pandas, for backtests and research."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smabot_sma.crossover import SCALE

if TYPE_CHECKING:
    import pandas as pd


def signals(closes: pd.Series, fast: int, slow: int) -> pd.Series:
    """Return 1.0 where fast crosses above slow, 0.0 where it crosses below, NaN elsewhere.

    ``closes`` are one symbol's, in US dollars and in time order; the index is kept. Raises
    OverflowError when a price times both windows is more than 64 bits hold exactly: above 90,000
    dollars at the longest windows, never in practice at shorter ones.
    """
    import pandas as pd

    prices = (closes * SCALE).round().astype("int64")
    if len(prices) and int(prices.max()) * fast * slow >= 2**63:
        raise OverflowError(f"a close of {closes.max()} is too high for windows {fast} and {slow}")
    total = prices.cumsum()
    fast_sum = total - total.shift(fast, fill_value=0)
    slow_sum = total - total.shift(slow, fill_value=0)
    difference = fast_sum * slow - slow_sum * fast
    above, below = difference > 0, difference < 0

    crossings = pd.Series(float("nan"), index=closes.index)
    crossings[above & ~above.shift(fill_value=False)] = 1.0
    crossings[below & ~below.shift(fill_value=False)] = 0.0
    crossings.iloc[:slow] = float("nan")
    return crossings
