"""Nothing held is out of sight: what is held is followed, valued and exited, whatever may be entered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.cli.screen import Screen
from smabot.domain.bot_records import Event
from smabot.domain.calendar import Calendar
from smabot.domain.order_terms import Status
from smabot.domain.records import EquityPoint, Mark, Order
from smabot.engine.start.recovery import recover
from smabot.errors import BrokerError

LONG, FLAT = 1, 0
NO_LIMITS = {
    "max_exposure_per_symbol": 0, "max_exposure": 0, "max_loss": 0, "max_order_notional": 0,
}  # fmt: skip
RISK = {
    "plugins": ("risk",),
    "sizing": {"method": "notional", "notional": 20_000},
    "plugin": {"risk": {"daily_limits": NO_LIMITS}},
}


@pytest.fixture
def fallen(make_world: Any) -> Any:
    """200 SPY were bought at 100; the price collapses after the restart that leaves SPY out."""
    world = make_world(
        {"SPY": [100.0] * 10 + [5.0] * 20, "IBM": [50.0] * 30}, price_collar=0, **RISK
    )
    world.follow(s={("SPY", 2): LONG, ("SPY", 20): FLAT, ("IBM", 15): LONG, ("SPY", 25): LONG})
    world.play(8)
    assert world.held() == {("s", "SPY"): 200}
    return world


def test_a_held_symbol_that_is_left_out_trips_the_breaker_as_it_falls(fallen: Any) -> None:
    fallen.play(symbols=("IBM",))
    assert fallen.ask("SELECT tripped FROM circuit_breaker") == [(1,)]
    assert [o.status for o in fallen.rows(Order) if o.symbol == "IBM"] == [Status.BLOCKED]
    points = [point.equity for point in fallen.rows(EquityPoint)]
    assert min(points) == 81_000


def test_a_held_symbol_that_is_left_out_is_exited_and_not_entered_again(fallen: Any) -> None:
    fallen.settings["plugins"] = ()
    fallen.play(symbols=("IBM",))
    assert fallen.held() == {("s", "IBM"): 400}
    orders = [o for o in fallen.rows(Order) if o.symbol == "SPY"]
    assert [(o.status, o.reason) for o in orders] == [
        (Status.FILLED, ""),
        (Status.FILLED, ""),
        (Status.BLOCKED, "SPY is not among the symbols to trade"),
    ]


def test_the_minutes_a_held_symbol_fell_while_down_are_caught_up(fallen: Any) -> None:
    fallen.pass_by(10)
    with fallen.started(symbols=("IBM",)) as (session, _):
        assert session.symbols == ("SPY", "IBM")
        assert session.enterable == ("IBM",)
        assert session.book.equity() == 81_000
        assert any("not among the symbols to trade" in note for note in session.report.notes)


def test_an_entry_that_waited_is_dropped_where_its_symbol_is_left_out(make_world: Any) -> None:
    world = make_world({"SPY": [100.0] * 30, "IBM": [50.0] * 30})
    world.follow(s={("SPY", 2): LONG})
    world.killed_before_sending()
    world.play(symbols=("IBM",))
    (order,) = world.rows(Order)
    assert order.status is Status.ABANDONED
    assert world.held() == {}


def test_a_held_symbol_without_bars_here_is_told(make_world: Any, make_order: Any) -> None:
    world = make_world({"SPY": [100.0] * 30})
    world.follow(s={("SPY", 2): LONG})
    world.play(8)
    with world.opened() as session:
        tradable = session.feed.tradable
        session.feed.tradable = lambda symbols: (
            _unknown() if "SPY" in symbols else tradable(symbols)
        )
        from smabot.engine.start.followed_symbols import followed_symbols

        session.enterable = ()
        assert followed_symbols(session) == ()
        assert "no bars come for it" in session.report.notes[-1]


def _unknown() -> None:
    from smabot.errors import ConfigError

    raise ConfigError("symbol 'SPY' is not known")


# -- a price that no bar brings --------------------------------------------------------------------


@pytest.fixture
def thin(make_world: Any) -> Any:
    """200 SPY are held, and from the tenth minute on SPY has no bar for a while."""
    world = make_world(
        {"SPY": [100.0] * 10 + [None] * 30 + [100.0] * 5, "IBM": [50.0] * 45}, **RISK
    )
    world.follow(s={("SPY", 2): LONG, ("IBM", 20): LONG})
    return world


Answer = Callable[[datetime], list[Mark]]


def lived(world: Any, answer: Answer, **settings: Any) -> list[datetime]:
    """Live through all minutes; returns when the feed was asked for prices."""
    asked: list[datetime] = []
    with world.opened(**settings) as session:
        feed = session.feed

        def prices(symbols: Any) -> list[Mark]:
            assert list(symbols) == ["SPY"]
            asked.append(feed.now())
            return answer(feed.now())

        feed.prices = prices
        assert recover(session).run() == "ended"
    return asked


def fails(now: datetime) -> list[Mark]:
    raise BrokerError("GET /v2/stocks/trades/latest: 503")


def test_a_price_older_than_five_minutes_is_asked_for_once_a_minute(thin: Any) -> None:
    def falling(now: datetime) -> list[Mark]:
        return [Mark("SPY", Decimal(99), now, "trade")]

    asked = lived(thin, falling)
    first = datetime.fromisoformat("2026-03-02T14:45:00Z")
    assert asked == [first + timedelta(minutes=n) for n in range(26)]
    values = {point.time: point.equity for point in thin.rows(EquityPoint)}
    assert values[first] == 99_800
    assert thin.held() == {("s", "SPY"): 200, ("s", "IBM"): 400}
    (mark,) = thin.rows(Mark)
    assert (mark.price, mark.source) == (99, "trade")


def test_a_price_that_was_asked_for_trips_the_breaker(thin: Any) -> None:
    lived(thin, lambda now: [Mark("SPY", Decimal(5), now, "position")])
    assert thin.ask("SELECT tripped FROM circuit_breaker") == [(1,)]
    assert thin.held() == {("s", "SPY"): 200}


@pytest.mark.parametrize("answer", [fails, lambda now: []], ids=["fails", "knows none"])
def test_without_a_price_of_what_is_held_nothing_is_entered(thin: Any, answer: Answer) -> None:
    lived(thin, answer)
    (blocked,) = (order for order in thin.rows(Order) if order.symbol == "IBM")
    assert blocked.status is Status.BLOCKED
    assert blocked.reason == "SPY, which is held, has no price since 2026-03-02 14:40 UTC"
    told = [(e.kind, e.subject, e.grave) for e in thin.rows(Event)]
    assert told == [("no_price", "SPY", True), ("price_again", "SPY", False)]
    (again,) = (event.text for event in thin.rows(Event) if event.kind == "price_again")
    assert again == "it has a price again: 100"


def test_an_exit_needs_no_price(thin: Any) -> None:
    thin.follow(s={("SPY", 2): LONG, ("IBM", 4): LONG, ("IBM", 20): FLAT})
    lived(thin, fails)
    assert thin.held() == {("s", "SPY"): 200}


def test_the_price_before_it_failed_counts_for_its_five_minutes(thin: Any) -> None:
    """A question that is not answered once blocks nothing."""

    def sometimes(now: datetime) -> list[Mark]:
        return fails(now) if now.minute % 4 != 1 else [Mark("SPY", Decimal(99), now, "trade")]

    lived(thin, sometimes)
    assert thin.held() == {("s", "SPY"): 200, ("s", "IBM"): 400}
    assert thin.rows(Event) == []


class Mute:
    """A feed that can't be asked for prices."""

    def __init__(self, feed: Any) -> None:
        self._feed = feed

    def __getattr__(self, name: str) -> Any:
        if name == "prices":
            raise AttributeError(name)
        return getattr(self._feed, name)


def test_a_feed_that_cannot_be_asked_blocks_entries(thin: Any) -> None:
    with thin.opened() as session:
        session.feed = Mute(session.feed)
        thin.go(recover(session), 45)
    assert thin.held() == {("s", "SPY"): 200}


def test_a_flat_symbol_with_an_old_price_is_not_entered(make_world: Any) -> None:
    """Decided on a bar that is still fresh by the settings, and older than a price may be."""
    world = make_world(
        {"SPY": [100.0] * 10 + [None] * 10, "IBM": [50.0] * 20}, max_bar_age_minutes=10
    )
    world.follow(s={("SPY", 9): LONG})
    with world.opened() as session:
        session.feed.catch_up(session.feed.now() + timedelta(minutes=17))
        recover(session)
    (order,) = world.rows(Order)
    assert (order.status, order.reason) == (
        Status.BLOCKED, "SPY has no price that is newer than 5 minutes"
    )  # fmt: skip


def test_the_night_makes_no_price_old(make_world: Any, script: Any) -> None:
    end = datetime.fromisoformat("2026-03-02T20:50:00Z")
    world = make_world({"SPY": [100.0] * 10 + [None] * 1050 + [100.0] * 10}, start=end)
    world.strategies = {"s": script({("SPY", 2): LONG}, end)}
    assert lived(world, fails) == []
    assert world.rows(Event) == []


# -- a calendar that ends --------------------------------------------------------------------------


@pytest.mark.parametrize("answers", [True, False])
def test_the_calendar_is_read_again_before_it_ends(
    make_world: Any, script: Any, answers: bool
) -> None:
    """The broker knew one session at the start; entries of the next day need the next one."""
    end = datetime.fromisoformat("2026-03-02T20:50:00Z")
    world = make_world({"SPY": [100.0] * 10 + [None] * 1050 + [100.0] * 10}, start=end)
    world.strategies = {"s": script({("SPY", 1062): LONG}, end)}
    with world.opened() as session:
        whole = session.book.calendar
        session.book.calendar = Calendar(whole.sessions[:1])
        if not answers:
            session.broker.calendar = lambda: fails(end)
        assert recover(session).run() == "ended"
        assert (session.book.calendar.sessions == whole.sessions) is answers
    assert world.held() == ({("s", "SPY"): 10} if answers else {})
    told = [(event.kind, event.grave) for event in world.rows(Event)]
    assert told == [] if answers else ("calendar_ends", True) in told


# -- what the screens say --------------------------------------------------------------------------


def test_screens_mark_old_prices(thin: Any, capsys: Any, monkeypatch: Any) -> None:
    from smabot.cli import main

    thin.follow(s={("SPY", 2): LONG})
    with thin.opened() as session:
        session.feed = Mute(session.feed)
        screen = Screen("PAPER", False)
        thin.go(recover(session, screen.show_committed), 40)
    shown = capsys.readouterr().out
    assert "2026-03-02, New York\n09:31  equity 100,000.00" in shown
    assert "! no price SPY: no price since 2026-03-02 09:40 ET, and none can be had" in shown
    assert "STALE: the price of SPY" in shown
    monkeypatch.chdir(thin.folder)
    assert main(["--db", str(thin.db), "status"]) == 0
    assert "STALE: the price of SPY is of 2026-03-02 09:40 ET" in capsys.readouterr().out
    assert main(["--db", str(thin.db), "--json", "status"]) == 0
    assert '"priced_at": "2026-03-02T14:40:00Z"' in capsys.readouterr().out
