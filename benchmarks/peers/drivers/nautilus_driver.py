"""Averages of 10 and 30 closes with nautilus_trader.

It carries out a market order at once, at the last price. So each open is a quote of its own, bars move no
price, and an order takes a nanosecond to the exchange: it gets there with the next open.
"""

# mypy: ignore-errors
# Its library is in its own environment alone.

import json
import sys
from time import process_time

import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import LatencyModel
from nautilus_trader.config import LoggingConfig
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.objects import Money, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler, QuoteTickDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

MINUTE = pd.Timedelta(minutes=1)
SHARES = Quantity.from_int(10)


class Crossing(Strategy):
    """Holds 10 shares from a crossing above to one below."""

    def __init__(self, bar_type):
        super().__init__()
        self.bar_type = bar_type
        self.fast, self.slow = SimpleMovingAverage(10), SimpleMovingAverage(30)
        self.before = None
        self.fills = []

    def on_start(self):
        self.subscribe_bars(self.bar_type)

    def on_bar(self, bar):
        cents = round(bar.close.as_double() * 100)  # whole: equal averages stay equal
        self.fast.update_raw(cents)
        self.slow.update_raw(cents)
        if not self.slow.initialized:
            return
        before, now = self.before, self.fast.value - self.slow.value
        self.before = now
        if before is None:
            return
        symbol = self.bar_type.instrument_id
        if before <= 0 < now and self.portfolio.is_flat(symbol):
            self.order(symbol, OrderSide.BUY)
        elif now < 0 <= before and self.portfolio.is_net_long(symbol):
            self.order(symbol, OrderSide.SELL)

    def order(self, symbol, side):
        self.submit_order(self.order_factory.market(symbol, side, SHARES))

    def on_order_filled(self, event):
        side = "buy" if event.order_side == OrderSide.BUY else "sell"
        self.fills.append([event.ts_event // 10**9, side, float(event.last_px)])


def quotes(bars):
    """Return a quote at each bar's start: bid and ask are its open."""
    return pd.DataFrame(
        {"bid_price": bars.open, "ask_price": bars.open, "bid_size": 1e6, "ask_size": 1e6}
    )


def main(path):
    columns = ["timestamp", "open", "high", "low", "close", "volume"]
    bars = pd.read_csv(path, usecols=columns, index_col="timestamp", parse_dates=True)
    instrument = TestInstrumentProvider.equity("AAA", "XNAS")
    bar_type = BarType.from_str(f"{instrument.id}-1-MINUTE-LAST-EXTERNAL")
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        venue=instrument.id.venue, oms_type=OmsType.NETTING, account_type=AccountType.MARGIN,
        base_currency=USD, starting_balances=[Money(100_000, USD)], bar_execution=False,
        latency_model=LatencyModel(1),
    )  # fmt: skip
    engine.add_instrument(instrument)
    engine.add_data(QuoteTickDataWrangler(instrument).process(quotes(bars)))
    ends = bars.set_axis(bars.index + MINUTE - pd.Timedelta(1, "ns"))
    engine.add_data(BarDataWrangler(bar_type, instrument).process(ends))
    strategy = Crossing(bar_type)
    engine.add_strategy(strategy)
    begun = process_time()
    engine.run()
    seconds = process_time() - begun
    print(json.dumps({"bars": len(bars), "cpu": seconds, "trades": strategy.fills}))


main(sys.argv[1])
