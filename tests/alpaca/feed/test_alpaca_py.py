"""alpaca-py's streams are imported without its models and pandas, and nobody who wants them notices."""

from __future__ import annotations

import subprocess
import sys

import pytest

AFTER = """
import sys
from smabot_alpaca.streams import alpaca_py as library
data, trading = library.streams()
assert (data.__name__, trading.__name__) == ("StockDataStream", "TradingStream")
assert not [name for name in sys.modules if name.startswith(("alpaca.data", "alpaca.trading"))]
assert not {"pandas", "numpy"} & {*sys.modules}
assert library.streams() == (data, trading)
"""
BARS = """
from alpaca.data.models import BarSet
row = {"t": "2026-11-25T14:30:00Z", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "n": 1, "vw": 1}
assert list(BarSet({"SPY": [row]}).df["close"]) == [1.0]
import pandas
assert pandas.DataFrame is sys.modules["pandas"].DataFrame
assert pandas.__file__
"""
MODELS = """
from alpaca.data import Bar
from msgpack import Timestamp
bar = {"S": "SPY", "T": "b", "t": Timestamp(1795617000), "o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "n": 1, "vw": 1}
assert type(data("key", "secret")._cast(bar)) is Bar
"""
BOTH_WAYS = """
from alpaca.data.live import StockDataStream
from alpaca.trading import TradeUpdate, TradingStream
from alpaca.trading import stream
assert stream.TradeUpdate is TradeUpdate
assert StockDataStream.__init__.__doc__ == data.__init__.__doc__
"""
ACTIONS = """
from datetime import date
from alpaca.trading.requests import GetCorporateAnnouncementsRequest
GetCorporateAnnouncementsRequest(ca_types=[], since=date(2026, 3, 2), until=date(2026, 3, 3))
"""
BEFORE = """
import sys
import {before}
from smabot_alpaca.streams import alpaca_py as library
library.streams()
assert sys.modules["{before}"] is {before}
assert {before}.__file__
"""
BOTH = [BEFORE.format(before=name) for name in ("pandas", "numpy", "alpaca.trading.stream")]


def run(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_spared_comes_when_it_is_used() -> None:
    run(AFTER + MODELS + BOTH_WAYS + ACTIONS + BARS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "script", [AFTER, AFTER + BARS, AFTER + MODELS, AFTER + BOTH_WAYS, AFTER + ACTIONS, *BOTH]
)
def test_it_comes_whatever_is_used_first(script: str) -> None:
    run(script)
