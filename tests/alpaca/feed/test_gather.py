"""The minute barrier: whole minutes, oldest first, nothing lost and nothing doubled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from smabot.domain.calendar import MINUTE, Calendar
from smabot.domain.records import Bar
from smabot_alpaca.feed.minute_assembly import MinuteAssembly, MissingBars

MakeBar = Callable[..., Bar]
At = Callable[[str], datetime]
QUIET = 0.25


def gathering(
    calendar: Calendar, at: At, symbols: str = "A B", before: str = "09:30"
) -> MinuteAssembly:
    """One that begins on the half-day, with all delivered that started before a time."""
    checked = at(f"2026-11-27 {before}") - MINUTE
    return MinuteAssembly(symbols.split(), calendar, QUIET, checked)


def test_a_whole_minute_leaves_at_once(calendar: Calendar, at: At, make_bar: MakeBar) -> None:
    gather = gathering(calendar, at)
    b, a = make_bar("B", "2026-11-27 09:30"), make_bar("A", "2026-11-27 09:30")
    gather.add([b], 0)
    assert gather.take(0) == []
    gather.add([a], 0.1)
    assert gather.take(0.1) == [[a, b]]
    assert gather.gap(b.time) is None


def test_a_lacking_minute_leaves_after_a_quiet_time(
    calendar: Calendar, at: At, make_bar: MakeBar
) -> None:
    gather = gathering(calendar, at, "A B C")
    a, b = make_bar("A", "2026-11-27 09:30"), make_bar("B", "2026-11-27 09:30")
    gather.add([a], 0)
    gather.add([b], 0.2)
    assert gather.due() == 0.2 + QUIET
    assert gather.take(0.4) == []
    assert gather.take(0.45) == [[a, b]]
    assert gather.gap(a.time) == MissingBars(("C",), a.time, a.time)


def test_a_later_minute_pushes_the_one_before_out(
    calendar: Calendar, at: At, make_bar: MakeBar
) -> None:
    gather = gathering(calendar, at)
    first, second = make_bar("A", "2026-11-27 09:30"), make_bar("A", "2026-11-27 09:31")
    gather.add([first, second], 0)
    assert gather.take(0) == [[first]]
    gather.check(first.time)
    assert gather.take(QUIET) == [[second]]


def test_doubled_bars_are_dropped(calendar: Calendar, at: At, make_bar: MakeBar) -> None:
    gather = gathering(calendar, at, "A")
    bar = make_bar("A", "2026-11-27 09:30")
    gather.add([bar, bar], 0)
    assert gather.take(0) == [[bar]]
    gather.add([bar], 1)
    assert gather.take(9) == []
    assert gather.revisions == []


def test_a_changed_bar_is_a_revision_once_it_has_left(
    calendar: Calendar, at: At, make_bar: MakeBar
) -> None:
    gather = gathering(calendar, at, "A")
    bar = make_bar("A", "2026-11-27 09:30", 10)
    early, late = bar._replace(close=11.0), bar._replace(close=12.0)
    gather.add([bar], 0)
    gather.revise([early], 0)
    assert gather.take(0) == [[early]]
    gather.revise([early, late, late], 30)
    assert gather.take(99) == []
    assert gather.revisions == [late]


def test_a_revision_of_a_bar_that_never_came_is_that_bar(
    calendar: Calendar, at: At, make_bar: MakeBar
) -> None:
    gather = gathering(calendar, at, "A")
    bar = make_bar("A", "2026-11-27 09:30")
    gather.revise([bar], 0)
    assert gather.take(0) == [[bar]]


def test_a_straggler_leaves_if_its_symbol_has_nothing_newer(
    calendar: Calendar, at: At, make_bar: MakeBar
) -> None:
    gather = gathering(calendar, at)
    a, b = make_bar("A", "2026-11-27 09:30"), make_bar("B", "2026-11-27 09:30")
    gather.add([a], 0)
    assert gather.take(1) == [[a]]
    gather.add([b], 2)
    assert gather.take(2) == [[b]]
    newer, older = make_bar("A", "2026-11-27 09:32"), make_bar("A", "2026-11-27 09:31")
    gather.add([newer], 3)
    gather.check(older.time)
    assert gather.take(4) == [[newer]]
    gather.add([older], 5)
    assert gather.take(9) == []
    assert gather.revisions == [older]


def test_no_minute_leaves_past_a_hole(calendar: Calendar, at: At, make_bar: MakeBar) -> None:
    gather = gathering(calendar, at, "A")
    missed, newer = make_bar("A", "2026-11-27 09:30"), make_bar("A", "2026-11-27 09:31")
    gather.add([newer], 0)
    assert gather.take(99) == []
    assert gather.due() is None
    assert gather.held == newer.time
    assert gather.gap(missed.time) == MissingBars(("A",), missed.time, missed.time)
    gather.add([missed], 1)
    gather.check(missed.time)
    assert gather.take(1) == [[missed], [newer]]


def test_a_hole_that_rest_knows_to_be_empty_holds_nothing(
    calendar: Calendar, at: At, make_bar: MakeBar
) -> None:
    gather = gathering(calendar, at, "A")
    newer = make_bar("A", "2026-11-27 09:31")
    gather.add([newer], 0)
    gather.check(newer.time - MINUTE)
    assert gather.held is None
    assert gather.take(0) == [[newer]]


def test_bars_that_lack_are_waited_for_before_a_newer_minute(
    calendar: Calendar, at: At, make_bar: MakeBar
) -> None:
    gather = gathering(calendar, at)
    a, b = make_bar("A", "2026-11-27 09:30"), make_bar("B", "2026-11-27 09:30")
    next_a, next_b = make_bar("A", "2026-11-27 09:31"), make_bar("B", "2026-11-27 09:31")
    gather.add([a], 0)
    gather.add([next_a, next_b], 60)
    assert gather.take(60) == [[a]]
    assert gather.held == next_a.time
    gather.add([b], 61)
    assert gather.take(61) == [[b], [next_a, next_b]]


def test_only_minutes_of_sessions_are_missing(calendar: Calendar, at: At) -> None:
    gather = gathering(calendar, at, "A", before="12:59")
    gather.note(at("2026-11-30 09:32"))
    last = at("2026-11-27 12:59")
    assert gather.gap(at("2026-11-28 12:00")) == MissingBars(("A",), last, last)
    gap = gather.gap(at("2026-11-30 09:31"))
    assert gap == MissingBars(("A",), last, at("2026-11-30 09:31"))


def test_bars_of_other_symbols_are_left_out(calendar: Calendar, at: At, make_bar: MakeBar) -> None:
    gather = gathering(calendar, at, "A")
    gather.add([make_bar("X", "2026-11-27 09:30")], 0)
    assert gather.take(99, all_there=True) == []
    assert gather.gap(at("2026-11-27 09:30")) is None


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
    gather = MinuteAssembly(SYMBOLS, calendar, QUIET, opens - MINUTE)
    now, came, batches = 0.0, set(), []
    for symbol, minute, close, what, number in arrivals:
        time = opens + minute * MINUTE
        bar = Bar(symbol, time, 1.0, 1.0, 1.0, float(close), 1.0)
        if what == "bar":
            gather.add([bar], now)
            came.add((symbol, time))
        elif what == "revision":
            gather.revise([bar], now)
            came.add((symbol, time))
        elif what == "take":
            batches += gather.take(now)
        elif what == "check":
            gather.check(opens + number * MINUTE)
        elif what == "note":
            gather.note(opens + number * MINUTE)
        else:
            now += number / 10
    gather.check(opens + 20 * MINUTE)
    batches += gather.take(now + QUIET, all_there=told_when_all_is_there)

    left = [bar for batch in batches for bar in batch]
    assert all(len({bar.time for bar in batch}) == 1 for batch in batches)
    assert all([b.symbol for b in batch] == sorted({b.symbol for b in batch}) for batch in batches)
    for symbol in SYMBOLS:
        times = [bar.time for bar in left if bar.symbol == symbol]
        assert times == sorted(set(times))
    out = {(bar.symbol, bar.time) for bar in [*left, *gather.revisions]}
    assert out == came
    assert gather.take(now + 99) == []
    assert gather.gap(opens + 20 * MINUTE) is None
