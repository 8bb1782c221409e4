from __future__ import annotations

import csv
import gzip
import math
import subprocess
import sys
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smabot.domain.calendar import EXCHANGE_ZONE
from smabot.domain.records import Bar, Signal
from smabot_sma.batch import signals
from smabot_sma.plugin import Sma
from smabot_sma.settings import SmaSettings

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
TAPE = Path(__file__).parents[3] / "shared/data/minute/pyalgotrade/SPY.csv.gz"

CENTS = st.integers(9_990, 10_010).map(lambda cents: cents / 100)
"""Few different prices, so that equal averages and flat stretches are common."""
ANY_PRICE = st.floats(0.0001, 90_000, allow_nan=False)
CLOSES = st.lists(CENTS, max_size=120) | st.lists(ANY_PRICE, max_size=120)
WINDOWS = st.tuples(st.integers(1, 12), st.integers(1, 12)).map(lambda w: (w[0], w[0] + w[1]))


def sma(fast: int, slow: int) -> Sma:
    return Sma(SmaSettings(fast=fast, slow=slow))


def bars(closes: list[float], symbol: str = "SPY") -> list[Bar]:
    return [
        Bar(symbol, OPEN + timedelta(minutes=minute), close, close, close, close, 100.0)
        for minute, close in enumerate(closes)
    ]


def live(plugin: Sma, tape: list[Bar]) -> list[int | None]:
    """Return the target that each bar's signal asks for, None where there is no signal."""
    answers = [plugin.on_bar(bar) for bar in tape]
    return [signal.target if signal else None for signal in answers]


def batch(closes: list[float], fast: int, slow: int) -> list[int | None]:
    result = signals(pd.Series(closes, dtype="float64"), fast, slow)
    return [None if math.isnan(target) else int(target) for target in result]


def by_definition(closes: list[float], fast: int, slow: int) -> list[int | None]:
    """The rule as words say it, in fractions."""
    prices = [Fraction(round(close * 1_000_000)) for close in closes]
    average = [
        None if n < slow else (sum(prices[n - fast : n]) / fast, sum(prices[n - slow : n]) / slow)
        for n in range(1, len(prices) + 1)
    ]
    targets: list[int | None] = []
    for before, now in zip([None, *average], average, strict=False):
        crossing = None
        if before and now:
            if before[0] <= before[1] and now[0] > now[1]:
                crossing = 1
            elif before[0] >= before[1] and now[0] < now[1]:
                crossing = 0
        targets.append(crossing)
    return targets


def test_a_crossing_is_a_signal_with_its_bar() -> None:
    tape = bars([10.0, 10.0, 10.0, 13.0, 13.0, 4.0])
    plugin = sma(1, 3)
    assert [plugin.on_bar(bar) for bar in tape[:3]] == [None, None, None]
    assert plugin.on_bar(tape[3]) == Signal(
        "SPY", 1, tape[3].time, 13.0, reason="fast average crossed above slow", label="BUY"
    )
    assert plugin.on_bar(tape[4]) is None
    assert plugin.on_bar(tape[5]) == Signal(
        "SPY", 0, tape[5].time, 4.0, reason="fast average crossed below slow", label="SELL"
    )


def test_it_does_not_buy_because_it_was_started_while_fast_is_above_slow() -> None:
    rising = [100 + minute / 10 for minute in range(60)]
    assert live(sma(10, 30), bars(rising)) == [None] * 60


def test_equal_averages_are_neither_above_nor_below() -> None:
    assert live(sma(1, 2), bars([5.0, 6.0, 6.0, 7.0])) == [None, None, None, 1]
    assert live(sma(1, 2), bars([5.0, 5.0, 5.0, 5.0])) == [None] * 4


def test_symbols_do_not_mix_and_have_their_own_windows() -> None:
    plugin = Sma(
        SmaSettings.model_validate({"fast": 1, "slow": 2, "symbols": {"IBM": {"slow": 4}}})
    )
    closes = [9.0, 8.0, 7.0, 6.0, 9.0, 5.0]
    both = [
        (plugin.on_bar(spy), plugin.on_bar(ibm))
        for spy, ibm in zip(bars(closes), bars(closes, "IBM"), strict=True)
    ]
    assert [s and s.target for s, _ in both] == live(sma(1, 2), bars(closes))
    assert [s and s.target for _, s in both] == live(sma(1, 4), bars(closes))


@given(CLOSES, WINDOWS)
def test_live_batch_and_definition_agree(closes: list[float], windows: tuple[int, int]) -> None:
    expected = by_definition(closes, *windows)
    assert live(sma(*windows), bars(closes)) == expected
    assert batch(closes, *windows) == expected


@given(CLOSES, WINDOWS, st.data())
def test_a_restart_with_the_lookback_changes_nothing(
    closes: list[float], windows: tuple[int, int], data: st.DataObject
) -> None:
    tape = bars(closes)
    never_stopped = live(sma(*windows), tape)
    stop = data.draw(st.integers(0, len(tape)), label="stopped after this many bars")
    restarted = sma(*windows)
    warm_up = tape[max(0, stop - restarted.lookback()) : stop]
    again = live(restarted, warm_up)
    assert live(restarted, tape[stop:]) == never_stopped[stop:]
    assert again[-1:] == never_stopped[:stop][-1:], "the last bar is decided alike once more"


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_the_average_does_not_drift(seed: int) -> None:
    wild = [((seed + n * 2_654_435_761) % 2**32) / 50_000 + 0.0001 for n in range(3_000)]
    assert live(sma(3, 7), bars(wild)) == by_definition(wild, 3, 7)


def test_the_batch_form_keeps_the_index_and_takes_an_empty_series() -> None:
    index = pd.date_range("2026-03-02T14:30Z", periods=4, freq="min")
    result = signals(pd.Series([5.0, 6.0, 6.0, 7.0], index=index), 1, 2)
    assert list(result.index) == list(index)
    assert result.dropna().to_dict() == {index[3]: 1.0}
    assert signals(pd.Series([], dtype="float64"), 1, 2).empty


def test_the_batch_form_refuses_what_it_can_not_sum_exactly() -> None:
    with pytest.raises(OverflowError, match="is too high for windows 9999 and 10000"):
        signals(pd.Series([1e6]), 9_999, 10_000)


@pytest.mark.skipif(not TAPE.exists(), reason="the tape is not here")
def test_live_and_batch_agree_on_the_real_tape() -> None:
    closes = []
    with gzip.open(TAPE, "rt", newline="") as lines:
        for row in csv.DictReader(lines):
            local = datetime.fromisoformat(row["timestamp"]).astimezone(EXCHANGE_ZONE)
            if time(9, 30) <= local.time() < time(16):
                closes.append(float(row["close"]))
    assert len(closes) == 43 * 390
    targets = live(sma(10, 30), bars(closes))
    assert targets == batch(closes, 10, 30)
    assert targets == by_definition(closes, 10, 30)
    assert targets.count(1) > 250
    assert targets.count(0) > 250


def test_the_plugin_starts_without_pandas() -> None:
    code = "import sys, smabot_sma.plugin, smabot_sma.batch; print({'pandas', 'numpy'} & {*sys.modules})"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
