"""How times look on the screen."""

from datetime import UTC, datetime

from smabot.cli.times import Times

MORNING = datetime(2026, 3, 2, 15, 31, 7, tzinfo=UTC)
SUMMER = datetime(2026, 7, 1, 14, 0, tzinfo=UTC)
LAST_YEAR = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)
"""New Year's day by UTC, and still the last year in New York."""


def same(time):
    return time


def test_a_time_in_a_sentence_has_its_date_and_zone():
    assert Times().full(MORNING) == "2026-03-02 10:31 ET"
    assert Times().full(SUMMER) == "2026-07-01 10:00 ET"
    assert Times(utc=True).full(MORNING, seconds=True) == "2026-03-02 15:31:07 UTC"
    assert Times().full(None) == ""


def test_a_column_of_one_year_has_the_year_in_its_title():
    title, cell = Times().column([MORNING, SUMMER], same)
    assert title == "2026 ET"
    assert [cell(MORNING), cell(SUMMER), cell(None)] == ["03-02 10:31", "07-01 10:00", ""]


def test_a_column_of_several_years_has_the_year_in_its_cells():
    title, cell = Times().column([MORNING, LAST_YEAR], same, seconds=True)
    assert title == "ET"
    assert [cell(MORNING), cell(LAST_YEAR)] == ["2026-03-02 10:31:07", "2025-12-31 22:00:00"]
    assert Times(utc=True).column([MORNING, LAST_YEAR], same)[0] == "2026 UTC"


def test_a_column_without_times_has_its_zone():
    title, cell = Times().column([], same)
    assert (title, cell(None)) == ("ET", "")


def test_times_in_a_stored_text_are_shown_in_the_screens_zone():
    text = "no price since 2026-03-02 14:40 UTC, asked at 15:42:00 UTC and 2026-03-02 15:42Z"
    assert Times().in_text(text, near=MORNING) == (
        "no price since 2026-03-02 09:40 ET, asked at 10:42:00 ET and 2026-03-02 10:42 ET"
    )
    assert Times(utc=True).in_text("at 15:42Z", near=MORNING) == "at 15:42 UTC"
    assert Times().in_text("cash at 2026-03-02 14:40:00+00:00") == "cash at 2026-03-02 09:40:00 ET"
    assert Times().in_text("the bar of 14:40Z", near=SUMMER) == "the bar of 10:40 ET"


def test_what_is_no_utc_time_in_a_text_stays():
    for text in (
        "smabot-sma-SPY-20260302T1535Z-1", "2026-03-02T15:30:00Z", "at 25:99 UTC", "15:42 ET",
        "2026-13-02 10:00 UTC", "ratio 10:30",
    ):  # fmt: skip
        assert Times().in_text(text, near=MORNING) == text
    assert Times().in_text("at 15:42 UTC") == "at 15:42 UTC"
