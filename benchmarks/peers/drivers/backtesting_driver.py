"""Averages of 10 and 30 closes with backtesting.py."""

# mypy: ignore-errors
# Its library is in its own environment alone.

import json
import sys
from time import process_time

import pandas as pd
from backtesting import Backtest, Strategy


def mean(cents, bars):
    return pd.Series(cents).rolling(bars).sum() / bars


class Crossing(Strategy):
    """Holds 10 shares from a crossing above to one below; orders fill at the next open."""

    def init(self):
        # Whole cents: their sums are exact, and averages that are equal stay equal.
        cents = (self.data.Close * 100).round()
        self.fast = self.I(mean, cents, 10)
        self.slow = self.I(mean, cents, 30)

    def next(self):
        before, now = self.fast[-2] - self.slow[-2], self.fast[-1] - self.slow[-1]
        if before <= 0 < now and not self.position:
            self.buy(size=10)
        elif now < 0 <= before and self.position:
            self.position.close()


def main(path):
    columns = ["timestamp", "open", "high", "low", "close", "volume"]
    bars = pd.read_csv(path, usecols=columns, index_col="timestamp", parse_dates=True)
    bars.columns = bars.columns.str.capitalize()
    test = Backtest(bars, Crossing, cash=100_000)
    begun = process_time()
    result = test.run()
    seconds = process_time() - begun
    closed = result["_trades"]
    trades = [
        (at, "buy", price) for at, price in zip(closed.EntryTime, closed.EntryPrice, strict=True)
    ]
    trades += [
        (at, "sell", price) for at, price in zip(closed.ExitTime, closed.ExitPrice, strict=True)
    ]
    trades += [(t.entry_time, "buy", t.entry_price) for t in result["_strategy"].trades]
    made = sorted([int(at.timestamp()), side, float(price)] for at, side, price in trades)
    print(json.dumps({"bars": len(bars), "cpu": seconds, "trades": made}))


main(sys.argv[1])
