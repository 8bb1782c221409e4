"""The calendar of sessions: as an independent source has it, over summer time, and where it ends."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from exchange_calendars import get_calendar

from smabot.domain.calendar import Session
from smabot.errors import ConfigError
from smabot_exchange.data.sessions import first_sessions, regular_sessions, session_on, span
from smabot_exchange.doctor import CALENDAR_ENDS_DAYS, sessions_end


def test_every_session_is_as_exchange_calendars_has_it() -> None:
    """Where this fails, run plugins/exchange/tools/make_sessions.py."""
    first, last = span()
    schedule = get_calendar("XNYS", start=first, end=last).schedule[["open", "close"]]
    assert regular_sessions(first, last) == [
        Session(day.date(), opens.to_pydatetime(), closes.to_pydatetime())
        for day, opens, closes in schedule.itertuples(name=None)
    ]


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        ("2026-03-06", ("14:30", "21:00")),
        ("2026-03-09", ("13:30", "20:00")),
        ("2026-10-30", ("13:30", "20:00")),
        ("2026-11-02", ("14:30", "21:00")),
        ("2026-11-27", ("14:30", "18:00")),
        ("2028-07-03", ("13:30", "17:00")),
        ("2006-04-03", ("13:30", "20:00")),  # summer time still began in April
        ("1990-12-24", ("14:30", "19:00")),
    ],
)
def test_hours_are_those_of_new_york(day: str, hours: tuple[str, str]) -> None:
    opens, closes = (datetime.fromisoformat(f"{day}T{hour}Z") for hour in hours)
    assert session_on(date.fromisoformat(day)) == Session(opens.date(), opens, closes)


@pytest.mark.parametrize(
    "day", ["2026-03-07", "2026-03-08", "2026-07-03", "2025-01-09", "2012-10-29", "2001-09-11"]
)
def test_a_closed_day_has_no_session(day: str) -> None:
    assert session_on(date.fromisoformat(day)) is None


def test_the_calendar_reaches_to_its_ends_and_no_further() -> None:
    first, last = span()
    assert first_sessions(last, 1)[0].date == last
    day = timedelta(days=1)
    for outside in (first - day, last + day):
        with pytest.raises(ConfigError, match=f"no trading calendar for {outside}: it covers"):
            session_on(outside)


@pytest.mark.parametrize("day", ["1989-12-29", "2037-01-05"])
def test_data_outside_of_the_calendar_are_one_clear_line(lab: Any, day: str) -> None:
    tape = lab.tape(lab.rows("SPY", f"{day} 09:30", [10]))
    with pytest.raises(ConfigError) as caught:
        lab.open(tape, "outside.db")
    first, last = span()
    line = f"{tape.name}: no trading calendar for {day}: it covers {first} to {last}"
    assert line in str(caught.value)
    assert ("upgrade smabot-exchange" in str(caught.value)) == (day > str(last))
    assert not (lab.folder / "outside.db").exists()


def test_a_made_market_outside_of_the_calendar_is_one_clear_line(lab: Any) -> None:
    with pytest.raises(
        ConfigError, match="simulated market: no trading calendar for 1950-01-01: it"
    ):
        lab.open("made:start=1950-01-01")


def test_a_warning_says_that_the_calendar_ends() -> None:
    last = span()[1]
    assert sessions_end(last - timedelta(days=CALENDAR_ENDS_DAYS)) == []
    (found,) = sessions_end(last - timedelta(days=CALENDAR_ENDS_DAYS - 1))
    assert (found.level, f"ends on {last}" in found.text) == ("warning", True)
