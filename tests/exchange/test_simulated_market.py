"""The simulated market: the same for everyone who asks, and shaped like a trading day."""

from __future__ import annotations

import itertools
from collections import defaultdict
from datetime import date
from statistics import mean

import pytest

from smabot.domain.records import Bar
from smabot.errors import ConfigError
from smabot_exchange.data.data_source import open_data
from smabot_exchange.data.simulated_market import SimulatedMarket, simulated_symbols


def by_symbol(spec: str) -> dict[str, list[Bar]]:
    bars = defaultdict(list)
    for bar in SimulatedMarket.parse(spec).bars():
        bars[bar.symbol].append(bar)
    return dict(bars)


def test_the_default_is_five_symbols_over_two_sessions() -> None:
    bars = by_symbol("simulated")
    assert sorted(bars) == ["AAPL", "IBM", "KO", "MSFT", "SPY"]
    assert all(len(of_one) == 780 for of_one in bars.values())
    assert bars["SPY"][0].time.isoformat() == "2026-03-02T14:30:00+00:00"


def test_bars_come_a_minute_at_a_time_sorted() -> None:
    keys = [
        (bar.time, bar.symbol)
        for bar in SimulatedMarket.parse("simulated:symbols=7,sessions=1").bars()
    ]
    assert keys == sorted(keys)
    assert len(keys) == 7 * 390


def test_a_symbol_depends_on_seed_symbol_and_date_alone() -> None:
    few = by_symbol("simulated:seed=3,sessions=2")
    many = by_symbol("simulated:seed=3,sessions=3,symbols=9,start=2026-02-27")
    assert few["IBM"] == many["IBM"][390:]
    assert few["IBM"] != by_symbol("simulated:seed=4")["IBM"]


def test_bars_are_sound_and_priced_in_cents() -> None:
    for of_one in by_symbol("simulated:symbols=40,sessions=1").values():
        for bar in of_one:
            assert 0 < bar.low <= min(bar.open, bar.close)
            assert max(bar.open, bar.close) <= bar.high
            assert all(round(price, 2) == price for price in bar[2:6])
            assert bar.volume >= 1
            assert bar.trade_count
            assert bar.vwap is not None
            assert bar.low <= bar.vwap <= bar.high


def test_the_day_is_busy_at_its_ends() -> None:
    spy = by_symbol("simulated:sessions=1")["SPY"]
    ends, middle = spy[:30] + spy[-30:], spy[150:240]
    assert mean(bar.volume for bar in ends) > 1.5 * mean(bar.volume for bar in middle)
    assert mean(b.high - b.low for b in ends) > 1.3 * mean(b.high - b.low for b in middle)


def test_there_are_gaps_over_night() -> None:
    spy = by_symbol("simulated:sessions=5")["SPY"]
    gaps = [abs(spy[i].open / spy[i - 1].close - 1) for i in range(390, len(spy), 390)]
    assert max(gaps) > 0.001
    assert max(gaps) < 0.05


@pytest.mark.parametrize("shape", ["random", "waves"])
def test_a_crossover_trades_a_handful_of_times_a_session(shape: str) -> None:
    for of_one in by_symbol(f"simulated:symbols=8,sessions=2,shape={shape}").values():
        closes = [bar.close for bar in of_one]
        above = [
            mean(closes[i - 9 : i + 1]) > mean(closes[i - 29 : i + 1])
            for i in range(30, len(closes))
        ]
        crossings = sum(a != b for a, b in itertools.pairwise(above))
        assert 4 <= crossings <= 45


def test_half_days_are_short() -> None:
    assert len(by_symbol("simulated:start=2026-11-27,sessions=1")["SPY"]) == 210


def test_a_start_on_a_holiday_begins_with_the_next_session() -> None:
    first = next(SimulatedMarket.parse("simulated:start=2026-12-25").bars())
    assert first.time.date() == date(2026, 12, 28)


def test_names_are_made_as_far_as_asked_for() -> None:
    names = simulated_symbols(11_000)
    assert names[5:7] == ["ZAAA", "ZAAB"]
    assert len(set(names)) == 11_000


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("simulated:symbol=3", "unknown setting 'symbol' (did you mean 'symbols'?)"),
        ("simulated:symbols=0", "symbols must be 1 to"),
        ("simulated:symbols=99999", "symbols must be 1 to"),
        ("simulated:sessions=0", "sessions must be 1 to"),
        ("simulated:seed=x", "must be whole numbers"),
        ("simulated:start=monday", "start must be a date like"),
        ("simulated:start=1800-01-01", "start must be in 1900 to 2200"),
        ("simulated:start=9999-12-31", "start must be in 1900 to 2200"),
        ("simulated:shape=wave", "shape must be random or waves (did you mean 'waves'?)"),
        ("simulated:seed", "'seed' must be given once"),
        ("simulated:seed=1,seed=2", "'seed' must be given once"),
    ],
)
def test_a_bad_spec_is_one_clear_line(spec: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_data(spec)
    assert complaint in str(caught.value)
    assert spec in str(caught.value)
