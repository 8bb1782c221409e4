"""Averages of 10 and 30 closes with vectorbt, whose functions are compiled before the clock starts."""

# mypy: ignore-errors
# Its library is in its own environment alone.

import json
import sys
from time import process_time

import numpy as np
import pandas as pd
import vectorbt as vbt


def portfolio(bars):
    """Return what comes of signals that are carried out at the next bar's open."""
    cents = (bars.close * 100).round()  # whole: equal averages stay equal
    fast, slow = (vbt.MA.run(cents, size).ma for size in (10, 30))
    now = fast - slow
    before = now.shift()
    entries, exits = (before <= 0) & (now > 0), (before >= 0) & (now < 0)
    return vbt.Portfolio.from_signals(
        bars.close, entries.shift(fill_value=False), exits.shift(fill_value=False), price=bars.open,
        size=10, init_cash=100_000, freq="1min",
    )  # fmt: skip


def main(path):
    columns = ["timestamp", "open", "close"]
    bars = pd.read_csv(path, usecols=columns, index_col="timestamp", parse_dates=True)
    portfolio(bars.head(1_000)).orders.records  # noqa: B018
    begun = process_time()
    orders = portfolio(bars).orders.records
    seconds = process_time() - begun
    starts = bars.index[orders["idx"]]
    sides = np.where(orders["side"] == 0, "buy", "sell")
    made = [
        [int(at.timestamp()), str(side), float(price)]
        for at, side, price in zip(starts, sides, orders["price"], strict=True)
    ]
    print(json.dumps({"bars": len(bars), "cpu": seconds, "trades": made}))


main(sys.argv[1])
