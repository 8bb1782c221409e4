"""The first sessions of the data may be the past: the clock starts after them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from smabot.errors import ConfigError
from smabot_exchange.exchange import Exchange
from smabot_exchange.ledger.beginning import Beginning

DAYS = ["2026-03-02", "2026-03-03", "2026-03-04"]


@pytest.fixture
def three_days(lab: Any) -> Any:
    rows = [
        row
        for number, day in enumerate(DAYS)
        for row in lab.rows("SPY", f"{day} 09:30", [100 + number, 101 + number])
    ]
    return lab.tape(rows)


def opened(lab: Any, data: Any, history: int | None = None, **more: Any) -> Exchange:
    beginning = Beginning(history, **more)
    return Exchange(lab.folder / "past.db", str(data), beginning=beginning)


def test_the_clock_starts_after_the_history(lab: Any, three_days: Any) -> None:
    exchange = opened(lab, three_days, 2)
    assert exchange.now == lab.time("2026-03-04 09:30")
    assert exchange.minutes == (0, 2)
    assert [bar.close for minute in exchange.history() for bar in minute] == [100, 101, 101, 102]
    assert exchange.last_price("SPY") == exchange.previous_close("SPY") == 102
    assert any("2 sessions of them history, up to 2026-03-03" in note for note in exchange.notes)
    lab.play(exchange)
    assert exchange.minutes == (2, 2)
    exchange.close()


def test_a_ledger_keeps_its_history(lab: Any, three_days: Any) -> None:
    opened(lab, three_days, 1).close()
    again = opened(lab, three_days)
    assert again.now == lab.time("2026-03-03 09:30")
    again.close()
    with pytest.raises(ConfigError, match="was opened with history 1, the settings say 2"):
        opened(lab, three_days, 2)
    opened(lab, three_days, 1).close()


def test_something_must_be_left_to_replay(lab: Any, three_days: Any) -> None:
    with pytest.raises(ConfigError, match="has 3 sessions, and 3 of them would be history"):
        opened(lab, three_days, 3)
    assert not (lab.folder / "past.db").exists()


def test_the_simulated_market_gets_so_many_sessions_more(lab: Any) -> None:
    exchange = opened(lab, "simulated:symbols=1", 3)
    assert exchange.now == lab.time("2026-03-05 09:30")
    assert exchange.minutes == (0, 2 * 390)
    exchange.close()
    again = opened(lab, "simulated:symbols=1")
    assert again.minutes == (0, 2 * 390)
    again.close()


def test_more_data_leave_the_history_as_it_was(lab: Any) -> None:
    opened(lab, "simulated:symbols=1,sessions=2", 1).close()
    longer = opened(lab, "simulated:symbols=1,sessions=3")
    assert longer.minutes == (0, 2 * 390)
    assert longer.now == lab.time("2026-03-03 09:30")
    longer.close()


@pytest.mark.parametrize(
    "now, first, minutes",
    [
        ("2026-03-04 11:00", "2026-03-04", 2 * 390 - 90),
        ("2026-03-04 06:00", "2026-03-04", 2 * 390),
        ("2026-03-07 12:00", "2026-03-09", 2 * 390),
    ],
)
def test_a_market_of_today_starts_in_the_middle_of_its_session(
    lab: Any, now: str, first: str, minutes: int
) -> None:
    exchange = opened(lab, "simulated:symbols=1", 1, time=lab.time(now))
    assert exchange.now == lab.time(now)
    assert exchange.minutes == (0, minutes)
    days = [session.date for session in exchange.calendar.sessions[:3]]
    assert days[1] == date.fromisoformat(first)
    exchange.close()


def test_a_market_of_today_goes_on_tomorrow(lab: Any) -> None:
    opened(lab, "simulated:symbols=1", 1, time=lab.time("2026-03-04 11:00")).close()
    again = opened(lab, "simulated:symbols=1", time=lab.time("2026-03-05 09:00"))
    assert again.calendar.sessions[1].date == date(2026, 3, 4)
    assert again.now == lab.time("2026-03-04 11:00")
    again.close()


def test_data_that_have_ended_are_not_of_today(lab: Any, three_days: Any) -> None:
    with pytest.raises(ConfigError, match=r"ends 2026-03-04 21:00Z, before now"):
        opened(lab, three_days, time=lab.time("2026-03-05 10:00"))


def test_time_passes_without_bars_up_to_the_next_one(
    lab: Any, three_days: Any, client: Any
) -> None:
    exchange = opened(lab, three_days, time=lab.time("2026-03-02 08:00"))
    early = client(exchange).buy(1)
    assert early.status == "accepted"
    exchange.pass_time(lab.time("2026-03-02 09:29"))
    assert (exchange.now, exchange.is_open) == (lab.time("2026-03-02 09:29"), False)
    exchange.pass_time(lab.time("2026-03-02 12:00"))
    assert (exchange.now, exchange.is_open) == (lab.time("2026-03-02 09:30"), True)
    assert client(exchange).now(early).status == "new"
    exchange.advance()
    assert client(exchange).now(early).status == "filled"
    lab.play(exchange)
    exchange.pass_time(lab.time("2026-03-06 12:00"))
    assert exchange.now == lab.time("2026-03-04 16:00")
    exchange.close()
