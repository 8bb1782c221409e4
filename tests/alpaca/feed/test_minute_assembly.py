"""Minute assembly: whole minutes, oldest first, nothing lost and nothing doubled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from smabot.domain.calendar import MINUTE, Calendar
from smabot.domain.records import Bar
from smabot_alpaca.feed.minute_assembly import MinuteAssembly, MinuteState, MissingBars

MakeBar = Callable[..., Bar]
At = Callable[[str], datetime]
QUIET = 0.25


def new_assembly(
    calendar: Calendar, at: At, symbols: str = "A B", before: str = "09:30"
) -> MinuteAssembly:
    """One that begins on the half-day, with all delivered that started before a time."""
    checked = at(f"2026-11-27 {before}") - MINUTE
    return MinuteAssembly(symbols.split(), calendar, QUIET, checked)


def test_a_whole_minute_leaves_at_once(calendar: Calendar, at: At, make_bar: MakeBar) -> None:
    assembly = new_assembly(calendar, at)
    b, a = make_bar("B", "2026-11-27 09:30"), make_bar("A", "2026-11-27 09:30")
    assembly.add_bars([b], 0)
    assert assembly.take_minutes(0) == []
    assembly.add_bars([a], 0.1)
    assert assembly.take_minutes(0.1) == [[a, b]]
    assert assembly.missing_bars(b.time) is None


def test_a_lacking_minute_leaves_after_a_quiet_time(
    calendar: Calendar, at: At, make_bar: MakeBar
) -> None:
    assembly = new_assembly(calendar, at, "A B C")
    a, b = make_bar("A", "2026-11-27 09:30"), make_bar("B", "2026-11-27 09:30")
    assembly.add_bars([a], 0)
    assembly.add_bars([b], 0.2)
    assert assembly.ready_at() == 0.2 + QUIET
    assert assembly.take_minutes(0.4) == []
    assert assembly.take_minutes(0.45) == [[a, b]]
    assert assembly.missing_bars(a.time) == MissingBars(("C",), a.time, a.time)


def test_a_later_minute_pushes_the_one_before_out(
    calendar: Calendar, at: At, make_bar: MakeBar
) -> None:
    assembly = new_assembly(calendar, at)
    first, second = make_bar("A", "2026-11-27 09:30"), make_bar("A", "2026-11-27 09:31")
    assembly.add_bars([first, second], 0)
    assert assembly.take_minutes(0) == [[first]]
    assembly.mark_checked(first.time)
    assert assembly.take_minutes(QUIET) == [[second]]


def test_duplicate_bars_are_dropped(calendar: Calendar, at: At, make_bar: MakeBar) -> None:
    assembly = new_assembly(calendar, at, "A")
    bar = make_bar("A", "2026-11-27 09:30")
    assembly.add_bars([bar, bar], 0)
    assert assembly.take_minutes(0) == [[bar]]
    assembly.add_bars([bar], 1)
    assert assembly.take_minutes(9) == []
    assert assembly.revisions == []


def test_a_changed_bar_is_a_revision_once_it_has_left(
    calendar: Calendar, at: At, make_bar: MakeBar
) -> None:
    assembly = new_assembly(calendar, at, "A")
    bar = make_bar("A", "2026-11-27 09:30", 10)
    early, late = bar._replace(close=11.0), bar._replace(close=12.0)
    assembly.add_bars([bar], 0)
    assembly.revise_bars([early], 0)
    assert assembly.take_minutes(0) == [[early]]
    assembly.revise_bars([early, late, late], 30)
    assert assembly.take_minutes(99) == []
    assert assembly.revisions == [late]


def test_a_revision_of_a_bar_that_never_came_is_that_bar(
    calendar: Calendar, at: At, make_bar: MakeBar
) -> None:
    assembly = new_assembly(calendar, at, "A")
    bar = make_bar("A", "2026-11-27 09:30")
    assembly.revise_bars([bar], 0)
    assert assembly.take_minutes(0) == [[bar]]


def test_a_straggler_leaves_if_its_symbol_has_nothing_newer(
    calendar: Calendar, at: At, make_bar: MakeBar
) -> None:
    assembly = new_assembly(calendar, at)
    a, b = make_bar("A", "2026-11-27 09:30"), make_bar("B", "2026-11-27 09:30")
    assembly.add_bars([a], 0)
    assert assembly.take_minutes(1) == [[a]]
    assembly.add_bars([b], 2)
    assert assembly.take_minutes(2) == [[b]]
    newer, older = make_bar("A", "2026-11-27 09:32"), make_bar("A", "2026-11-27 09:31")
    assembly.add_bars([newer], 3)
    assembly.mark_checked(older.time)
    assert assembly.take_minutes(4) == [[newer]]
    assembly.add_bars([older], 5)
    assert assembly.take_minutes(9) == []
    assert assembly.revisions == [older]


def test_no_minute_leaves_past_a_hole(calendar: Calendar, at: At, make_bar: MakeBar) -> None:
    assembly = new_assembly(calendar, at, "A")
    missed, newer = make_bar("A", "2026-11-27 09:30"), make_bar("A", "2026-11-27 09:31")
    assembly.add_bars([newer], 0)
    assert assembly.take_minutes(99) == []
    assert assembly.ready_at() is None
    assert assembly.held_minute == newer.time
    assert assembly.missing_bars(missed.time) == MissingBars(("A",), missed.time, missed.time)
    assembly.add_bars([missed], 1)
    assembly.mark_checked(missed.time)
    assert assembly.take_minutes(1) == [[missed], [newer]]


def test_a_hole_that_rest_knows_to_be_empty_holds_nothing(
    calendar: Calendar, at: At, make_bar: MakeBar
) -> None:
    assembly = new_assembly(calendar, at, "A")
    newer = make_bar("A", "2026-11-27 09:31")
    assembly.add_bars([newer], 0)
    assembly.mark_checked(newer.time - MINUTE)
    assert assembly.held_minute is None
    assert assembly.take_minutes(0) == [[newer]]


def test_bars_that_lack_are_waited_for_before_a_newer_minute(
    calendar: Calendar, at: At, make_bar: MakeBar
) -> None:
    assembly = new_assembly(calendar, at)
    a, b = make_bar("A", "2026-11-27 09:30"), make_bar("B", "2026-11-27 09:30")
    next_a, next_b = make_bar("A", "2026-11-27 09:31"), make_bar("B", "2026-11-27 09:31")
    assembly.add_bars([a], 0)
    assembly.add_bars([next_a, next_b], 60)
    assert assembly.take_minutes(60) == [[a]]
    assert assembly.held_minute == next_a.time
    assembly.add_bars([b], 61)
    assert assembly.take_minutes(61) == [[b], [next_a, next_b]]


def test_only_minutes_of_sessions_are_missing(calendar: Calendar, at: At) -> None:
    assembly = new_assembly(calendar, at, "A", before="12:59")
    assembly.expect_until(at("2026-11-30 09:32"))
    last = at("2026-11-27 12:59")
    assert assembly.missing_bars(at("2026-11-28 12:00")) == MissingBars(("A",), last, last)
    gap = assembly.missing_bars(at("2026-11-30 09:31"))
    assert gap == MissingBars(("A",), last, at("2026-11-30 09:31"))


def test_bars_of_other_symbols_are_left_out(calendar: Calendar, at: At, make_bar: MakeBar) -> None:
    assembly = new_assembly(calendar, at, "A")
    assembly.add_bars([make_bar("X", "2026-11-27 09:30")], 0)
    assert assembly.take_minutes(99, all_there=True) == []
    assert assembly.missing_bars(at("2026-11-27 09:30")) is None


def test_a_minute_goes_through_its_states(calendar: Calendar, at: At, make_bar: MakeBar) -> None:
    assembly = new_assembly(calendar, at)
    first, second = at("2026-11-27 09:30"), at("2026-11-27 09:31")
    assert assembly.state_of(first, 0) is None
    assembly.expect_until(second)
    assert assembly.state_of(first, 0) is MinuteState.EXPECTED
    assembly.add_bars([make_bar("A", first)], 1)
    assert assembly.state_of(first, 1) is MinuteState.COLLECTING
    assert assembly.state_of(first, 1 + QUIET) is MinuteState.READY
    assembly.add_bars([make_bar("A", second), make_bar("B", second)], 2)
    assert assembly.state_of(first, 2) is MinuteState.READY
    assert assembly.state_of(second, 2) is MinuteState.HELD
    assert assembly.take_minutes(2) == [[make_bar("A", first)]]
    assert assembly.state_of(first, 2) is MinuteState.DELIVERED
    assembly.mark_checked(first)
    assert assembly.state_of(second, 2) is MinuteState.READY


SYMBOLS = ("A", "B", "C")
arrivals = st.lists(
    st.tuples(
        st.sampled_from(SYMBOLS),
        st.integers(0, 9),  # minute
        st.integers(1, 3),  # close
        st.sampled_from(["bar", "revision", "take", "check", "note", "wait"]),
        st.integers(0, 9),  # seconds, minutes
    ),
    max_size=60,
)


@given(arrivals, st.booleans())
def test_whatever_comes_in_whatever_order(
    arrivals: list[tuple[str, int, int, str, int]], told_when_all_is_there: bool
) -> None:
    from datetime import UTC, date

    from smabot.domain.calendar import Session

    opens = datetime(2026, 11, 27, 14, 30, tzinfo=UTC)
    calendar = Calendar([Session(date(2026, 11, 27), opens, opens + timedelta(hours=3.5))])
    assembly = MinuteAssembly(SYMBOLS, calendar, QUIET, opens - MINUTE)
    now, came, batches = 0.0, set(), []
    for symbol, minute, close, what, number in arrivals:
        time = opens + minute * MINUTE
        bar = Bar(symbol, time, 1.0, 1.0, 1.0, float(close), 1.0)
        if what == "bar":
            assembly.add_bars([bar], now)
            came.add((symbol, time))
        elif what == "revision":
            assembly.revise_bars([bar], now)
            came.add((symbol, time))
        elif what == "take":
            batches += assembly.take_minutes(now)
        elif what == "check":
            assembly.mark_checked(opens + number * MINUTE)
        elif what == "note":
            assembly.expect_until(opens + number * MINUTE)
        else:
            now += number / 10
    assembly.mark_checked(opens + 20 * MINUTE)
    batches += assembly.take_minutes(now + QUIET, all_there=told_when_all_is_there)

    left = [bar for batch in batches for bar in batch]
    assert all(len({bar.time for bar in batch}) == 1 for batch in batches)
    assert all([b.symbol for b in batch] == sorted({b.symbol for b in batch}) for batch in batches)
    for symbol in SYMBOLS:
        times = [bar.time for bar in left if bar.symbol == symbol]
        assert times == sorted(set(times))
    out = {(bar.symbol, bar.time) for bar in [*left, *assembly.revisions]}
    assert out == came
    assert assembly.take_minutes(now + 99) == []
    assert assembly.missing_bars(opens + 20 * MINUTE) is None
