"""What a backtest says of its own figures: fills that no market would have given, and data that lack something."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

pytestmark = pytest.mark.plugins
FIRST = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
STRATEGY = """
from smabot.api import Bar, Signal, hookimpl

BUY, SELL = {buy!r}, {sell!r}

class Timed:
    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        at = f"{{bar.time:%d %H:%M}}"
        if at == BUY:
            return Signal.long(bar)
        return Signal.flat(bar) if at == SELL else None
"""


def minutes(day: int, begin: int = 0, end: int = 390) -> list[datetime]:
    """Return minutes of a session of March 2026, by their numbers in it."""
    return [FIRST.replace(day=day) + number * MINUTE for number in range(begin, end)]


def market(
    times: Iterable[datetime],
    price: Callable[[datetime], float] = lambda time: 50,
    volume: int = 10_000,
) -> None:
    rows = [
        f"SPY,{time:%Y-%m-%dT%H:%M:%SZ},{','.join([str(price(time))] * 4)},{volume}"
        for time in times
    ]
    Path("bars.csv").write_text("\n".join(["symbol,time,open,high,low,close,volume", *rows]))


@pytest.fixture
def notes(call: Callable[..., Any]) -> Callable[..., list[str]]:
    """Backtest a strategy that buys and sells after the bars of two minutes, and return its notes."""

    names = iter(("first", "second"))

    def notes(buy: str, sell: str) -> list[str]:
        strategy = Path(f"{next(names)}.py")  # a file is imported once
        strategy.write_text(STRATEGY.format(buy=buy, sell=sell))
        command = ("backtest", "--plugins", f"./{strategy}", "--data", "bars.csv")
        found = call("--json", *command)
        assert found.code == 0, found.err
        told: list[str] = found.json["notes"]
        screen = " ".join(call(*command).out.split())
        assert all(note.replace(" UTC", "")[:40] in screen for note in told)
        return told

    return notes


def about(notes: list[str], word: str) -> list[str]:
    return [note for note in notes if word in note]


def test_plain_trades_on_whole_data_are_told_nothing_of(notes: Callable[..., list[str]]) -> None:
    market([*minutes(2), *minutes(3)])
    told = notes("02 15:00", "03 15:00")
    for word in ("volume", "first minute", "hole", "split", "to be true"):
        assert not about(told, word)


def test_fills_that_take_much_of_a_volume_are_counted(notes: Callable[..., list[str]]) -> None:
    market(minutes(2), volume=150)
    (told,) = about(notes("02 15:00", "02 15:30"), "volume")
    assert told == (
        "2 of 2 fills took more than 5% of their bar's volume, 6.67% at most: trade less, or set a lower "
        "exchange.max_volume_share"
    )
    market(minutes(2), volume=4)
    (told,) = about(notes("02 15:00", "02 15:30"), "volume")
    assert told.startswith("20 of 20 fills took more than 5% of their bar's volume, 25% at most")


def test_fills_in_a_sessions_first_minute_are_counted(notes: Callable[..., list[str]]) -> None:
    market([*minutes(2), *minutes(3)])
    (told,) = about(notes("02 15:00", "02 20:59"), "first minute")
    assert told == (
        "1 of 2 fills is in a session's first minute, where the opening price is uncertain: trade later, "
        "or set exchange.slippage"
    )


def test_few_round_trips_are_told_with_what_to_do(notes: Callable[..., list[str]]) -> None:
    market(minutes(2))
    (told,) = about(notes("02 15:00", "02 15:30"), "round trip")
    assert told == "1 round trip: too few to tell skill from luck, take more sessions or symbols"


def test_what_blocked_every_order_is_told_with_its_setting(call: Callable[..., Any]) -> None:
    market(minutes(2))
    Path("buyer.py").write_text(STRATEGY.format(buy="02 15:00", sell="02 15:30"))
    words = ("--plugins", "./buyer.py,risk", "--data", "bars.csv", "--set", "sizing.shares=600")
    backtested = call("--json", "--db", "a.db", "backtest", *words)
    for found in (backtested, call("--json", "--db", "a.db", "report")):
        told = found.json["notes"]
        assert not about(told, "round trip")
        assert about(told, "blocked") == [
            "nothing was traded: every order was blocked, by risk.daily_limits.max_order_notional (1), "
            "risk.daily_limits.max_exposure_per_symbol (1): change the setting, or how much is ordered"
        ]


@pytest.mark.parametrize(
    ("times", "says"),
    [
        (
            minutes(2, 0, 60) + minutes(2, 67, 80) + minutes(2, 82),
            "2 holes in the data, 9 minutes in all, 7 in the longest: SPY from 2026-03-02 15:30 UTC",
        ),
        (
            minutes(2, 0, 385) + minutes(3, 3),
            "1 hole in the data, 8 minutes in all, 8 in the longest: SPY from 2026-03-02 20:55 UTC",
        ),
        (
            minutes(2) + minutes(5),
            "1 hole in the data, 780 minutes in all, 780 in the longest: SPY from 2026-03-02 21:00 UTC",
        ),
    ],
    ids=["in a session", "over a night", "whole sessions"],
)  # fmt: skip
def test_holes_under_a_position_are_counted_by_the_calendar(
    notes: Callable[..., list[str]], times: list[datetime], says: str
) -> None:
    market(times)
    last = f"{times[-1]:%d} 20:00"
    (told,) = about(notes("02 15:00", last), "hole")
    assert told == (
        f"positions were held over {says}; get those bars, or trade symbols that have them"
    )


def test_holes_without_a_position_are_not(notes: Callable[..., list[str]]) -> None:
    market(minutes(2, 0, 60) + minutes(2, 67))
    assert not about(notes("02 15:40", "02 15:50"), "hole")


def test_a_held_symbol_whose_bars_end_is_a_hole(
    notes: Callable[..., list[str]],
) -> None:
    """As those of a share that was delisted."""
    market(minutes(2, 0, 100))
    rows = Path("bars.csv").read_text()
    market(minutes(2))
    other = Path("bars.csv").read_text().replace("SPY", "IBM").split("\n", 1)[1]
    Path("bars.csv").write_text("\n".join([rows, other]))
    (told,) = about(notes("02 15:00", "02 20:30"), "hole")
    assert "1 hole in the data, 290 minutes in all, 290 in the longest: SPY" in told


def test_a_split_under_a_position_is_told(notes: Callable[..., list[str]]) -> None:
    times = minutes(2) + minutes(3)
    market(times, lambda time: 100 if time.day == 2 else 50)
    (told,) = about(notes("02 15:00", "03 15:00"), "held over what looks like")
    assert told == (
        "SPY was held over what looks like a 2:1 split on 2026-03-03, so its profit is not real: take adjusted "
        "bars, as `smabot data fetch --adjustment split` gets them"
    )
    assert not about(notes("02 15:00", "02 15:30"), "held over what looks like")


@pytest.mark.parametrize("database", [("--db", "kept.db"), ()])
@pytest.mark.parametrize(("new", "old"), [(1, 10), (2, 1)])
def test_a_split_that_the_bot_follows_is_no_bias_and_no_profit(
    notes: Callable[..., list[str]], call: Any, new: int, old: int, database: tuple[str, ...]
) -> None:
    times = minutes(2) + minutes(3)
    market(times, lambda time: 100 if time.day == 2 else 100 * old / new)
    Path("bars.corporate_actions.csv").write_text(
        f"symbol,ex_date,kind,new_shares,old_shares,new_symbol\nSPY,2026-03-03,split,{new},{old},\n"
    )
    assert not about(notes("02 15:00", "03 15:00"), "split")
    words = ("--plugins", "./first.py", "--data", "bars.csv", "--symbols", "SPY")
    found = call("--json", *database, "backtest", *words).json
    assert found["buy_and_hold"]["return"] == pytest.approx(0)
    assert found["buy_and_hold"]["max_drawdown"] == pytest.approx(0)
    assert not about(found["notes"], "hole")
    if database:
        reported = call("--json", *database, "report").json
        assert reported["buy_and_hold"]["return"] == pytest.approx(0)


def test_the_report_has_the_same_notes(notes: Callable[..., list[str]], call: Any) -> None:
    market([*minutes(2, 0, 385), *minutes(3)])
    told = notes("02 15:00", "03 14:30")
    command = ("backtest", "--plugins", "./first.py", "--data", "bars.csv", "--html", "r.html")
    assert call(*command).code == 0
    page = Path("r.html").read_text()
    assert about(told, "hole")
    assert "positions were held over 1 hole in the data" in page


FORESEEING = """
import csv
from smabot.api import Bar, Signal, hookimpl

class Foreseeing:
    def __init__(self) -> None:
        with open("bars.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        self.next = {old["time"]: float(new["close"]) for old, new in zip(rows, rows[2:])}

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal:
        rises = self.next.get(f"{bar.time:%Y-%m-%dT%H:%M:%SZ}", 0) > bar.close
        return Signal.long(bar) if rises else Signal.flat(bar)
"""


def test_what_only_the_future_gives_is_doubted(call: Callable[..., Any]) -> None:
    chance = Random(7)
    prices = {
        time: round(50 + chance.uniform(-1, 1), 2)
        for day in (2, 3, 4, 5, 6)
        for time in minutes(day)
    }
    market(prices, prices.__getitem__, volume=1_000_000)
    Path("foreseeing.py").write_text(FORESEEING)
    words = ("--plugins", "./foreseeing.py", "--data", "bars.csv")
    found = call("--json", "--db", "a.db", "backtest", *words)
    assert found.code == 0, found.err
    (told,) = about(found.json["notes"], "to be true")
    assert "a Sharpe ratio of" in told
    assert "over 5 sessions" in told
    assert "`smabot verify`" in told
    assert about(call("--json", "--db", "a.db", "report").json["notes"], "to be true") == [told]
