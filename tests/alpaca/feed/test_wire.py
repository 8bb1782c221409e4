"""The feed on a real exchange over loopback, with real streams, stepped and paced, in fair weather and foul."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from smabot_exchange.streams.stream_access import StreamLimits

pytest.importorskip("smabot_exchange.http.server")

from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import Bar, Batch, Mark, Order, OrderUpdate
from smabot.errors import BrokerError, ConfigError, UnknownOutcome
from smabot.hooks.ports import Feed
from smabot_alpaca import endpoints
from smabot_alpaca.broker import AlpacaBroker
from smabot_alpaca.connection import AlpacaConnection
from smabot_alpaca.credentials import Credentials
from smabot_alpaca.feed.alpaca_feed import AlpacaFeed
from smabot_alpaca.rest.client import RestClient
from smabot_alpaca.settings import AlpacaSettings
from smabot_alpaca.streams.event_queue import DATA
from smabot_exchange.exchange import Exchange
from smabot_exchange.http.auth import ApiKeys
from smabot_exchange.http.server import ReplayPace, ServerThread, listen
from smabot_exchange.http.venue import Venue

KEY, SECRET = "PKTEST", "the secret"
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTES = 40
DEADLINE = 60.0
CLOSES: dict[str, Sequence[float | None]] = {
    "KO": [50 + n % 7 / 4 for n in range(MINUTES)],
    "SPY": [100 + n % 5 / 2 for n in range(MINUTES)],
}


@dataclass
class Seen:
    """What a feed delivered."""

    bars: list[Bar] = field(default_factory=list)
    revisions: list[Bar] = field(default_factory=list)
    updates: list[OrderUpdate] = field(default_factory=list)
    resyncs: int = 0
    doubts: list[str] = field(default_factory=list)

    def take(self, batch: Batch) -> None:
        assert len({bar.time for bar in batch.bars}) <= 1
        assert not (batch.resync and batch.bars)
        self.bars += batch.bars
        self.revisions += batch.revisions
        self.updates += batch.updates
        self.resyncs += batch.resync
        if batch.doubt:
            self.doubts.append(batch.doubt)

    @property
    def ends(self) -> dict[str, tuple[Status, Decimal]]:
        """How each order ended."""
        ended = [update for update in self.updates if update.status.terminal]
        return {update.client_order_id: (update.status, update.filled_qty) for update in ended}


class World:
    """An exchange that is served, and a bot's broker and feed on it."""

    def __init__(self, stack: ExitStack, folder: Path, write: Any) -> None:
        self.stack = stack
        self.folder = folder
        self.write = write

    def serve(
        self, closes: Any = None, *, pace: ReplayPace | None = None, faults: Any = (), **venue: Any
    ) -> World:
        tape = self.write(self.folder / "tape.csv", closes or CLOSES, volume=100_000)
        exchange = Exchange(self.folder / "ledger.db", str(tape))
        self.stack.callback(exchange.close)
        clock = "stepped" if pace is None else "paced"
        there = Venue(exchange, ApiKeys({KEY: SECRET}), clock=clock, **venue)
        self.serving = ServerThread(there, listen(), pace)
        self.serving.start()
        self.stack.callback(self.serving.stop)
        self.url = self.serving.url
        if faults:
            self.call("POST", "/_exchange/faults", {"faults": list(faults)})
        return self

    def call(self, method: str, path: str, body: Any = None) -> Any:
        with requests.Session() as session:
            session.trust_env = False
            headers = {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET}
            answer = session.request(
                method, self.url + path, json=body, headers=headers, timeout=DEADLINE
            )
        assert answer.ok, answer.text
        return answer.json()

    def connect(self, secret: str = SECRET, **settings: Any) -> tuple[AlpacaBroker, AlpacaFeed]:
        credentials = Credentials(SecretStr(KEY), SecretStr(secret), "the test")
        connection = AlpacaConnection(
            endpoints.at(self.url, "iex"), credentials, AlpacaSettings(**settings)
        )
        self.connection = connection
        broker, feed = AlpacaBroker(connection), AlpacaFeed(connection)
        typed: Feed = feed
        assert typed
        self.stack.callback(broker.close)
        self.stack.callback(feed.close)
        return broker, feed

    def order(self, feed: AlpacaFeed, name: str, side: Side = Side.BUY, qty: int = 5) -> Order:
        now = feed.now()
        return Order(
            name, "sma", "SPY", side, Decimal(qty), OrderType.MARKET, None, TimeInForce.DAY,
            now - MINUTE, 1, side is Side.SELL, now,
        )  # fmt: skip

    def trade(self, **settings: Any) -> Seen:
        """Play the tape to its end; buy every ten minutes, sell five minutes later."""
        broker, feed = self.connect(**settings)
        feed.subscribe(["KO", "SPY"])
        seen, sent, deadline = Seen(), set(), time.monotonic() + DEADLINE
        while (batch := feed.next(0.2)) is not None:
            assert time.monotonic() < deadline, f"stuck at {feed.now()}: {batch}"
            seen.take(batch)
            minute = len({bar.time for bar in seen.bars})
            if batch.bars and minute % 5 == 0 and minute not in sent and minute < MINUTES:
                sent.add(minute)
                side = Side.SELL if minute % 10 == 5 and minute > 5 else Side.BUY
                answer = broker.submit(self.order(feed, f"smabot-{minute}", side))
                assert answer.status is not Status.REJECTED, answer.reason
        return seen


@pytest.fixture
def world(tmp_path: Path, tape_writer: Any) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack, tmp_path, tape_writer)


def minutes_of(bars: Sequence[Bar]) -> list[datetime]:
    return sorted({bar.time for bar in bars})


def as_the_tape() -> list[tuple[str, datetime, float]]:
    return [
        (symbol, OPEN + n * MINUTE, float(CLOSES[symbol][n] or 0))
        for n in range(MINUTES)
        for symbol in ("KO", "SPY")
    ]


def told(bars: Sequence[Bar]) -> list[tuple[str, datetime, float]]:
    return [(bar.symbol, bar.time, bar.close) for bar in bars]


def test_a_stepped_run_delivers_the_tape(world: World) -> None:
    seen = world.serve().trade()
    assert told(seen.bars) == as_the_tape()
    assert seen.revisions == []
    assert seen.doubts == []
    assert seen.resyncs == 1
    assert len(seen.ends) == 7
    assert set(seen.ends.values()) == {(Status.FILLED, Decimal(5))}


def test_a_fill_comes_with_the_bars_of_its_minute(world: World) -> None:
    broker, feed = world.serve().connect()
    feed.subscribe(["SPY"])
    while not (batch := feed.next(1)).bars:  # type: ignore[union-attr]
        pass
    broker.submit(world.order(feed, "smabot-1"))
    batch = feed.next(1)
    assert batch is not None
    assert [bar.time for bar in batch.bars] == [OPEN + MINUTE]
    assert batch.time == OPEN + 2 * MINUTE
    assert batch.updates[-1].status is Status.FILLED


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "disconnect", "stream": "data", "nth": 7},
        {"kind": "disconnect", "stream": "data", "nth": 7, "clean": True},
        {"kind": "disconnect", "stream": "trade", "nth": 7},
        {"kind": "disconnect", "stream": "trade", "at": "update", "nth": 3},
        {"kind": "garbage", "stream": "data", "nth": 7},
        {"kind": "garbage", "stream": "data", "nth": 7, "form": "text"},
        {"kind": "garbage", "stream": "trade", "nth": 7, "form": "cut"},
        {"kind": "mute", "stream": "data", "nth": 7},
        {"kind": "mute", "stream": "trade", "nth": 7},
        {"kind": "bar_missing", "symbol": "SPY", "nth": 7},
        {"kind": "bar_late", "symbol": "SPY", "nth": 7},
        {"kind": "minute_missing", "nth": 7},
        {"kind": "update_dropped", "event": "fill"},
        {"kind": "update_doubled"},
        {"kind": "update_late", "nth": 4},
        {"kind": "update_swapped", "nth": 4},
        {"kind": "update_replayed", "times": 3},
        {"kind": "update_unknown", "nth": 4},
        {"kind": "unknown_status", "times": 3},
        {"kind": "reset", "path": "/v2/stocks/bars", "nth": 1},
    ],
    ids=lambda fault: "-".join(str(fault[k]) for k in ("kind", "stream", "form", "at", "event", "when") if k in fault),
)  # fmt: skip
def test_nothing_is_lost_or_doubled_by_a_fault(world: World, fault: dict[str, Any]) -> None:
    seen = world.serve(faults=[fault]).trade(request_timeout=2)
    assert sum(world.call("GET", "/_exchange")["faults"].values()) > 0
    assert told(seen.bars) == as_the_tape()
    assert seen.revisions == []
    assert len(seen.ends) == 7
    assert set(seen.ends.values()) == {(Status.FILLED, Decimal(5))}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_minute_whose_answer_was_lost_is_not_played_twice(
    world: World, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    carry, calls = RestClient.trading, []

    def lossy(rest: RestClient, method: str, path: str, *more: Any, **named: Any) -> Any:
        calls.append(path)
        if calls.count("/_exchange/play") % 9 or path != "/_exchange/play":
            return carry(rest, method, path, *more, **named)
        if when == "after":
            carry(rest, method, path, *more, **named)
        raise UnknownOutcome("the connection broke")

    monkeypatch.setattr(RestClient, "trading", lossy)
    seen = world.serve().trade()
    assert told(seen.bars) == as_the_tape()
    assert len(seen.ends) == 7
    assert len([doubt for doubt in seen.doubts if "broke" in doubt]) >= 4


def test_a_refused_data_stream_costs_no_bar(world: World) -> None:
    faults = [
        {"kind": "disconnect", "stream": "data", "nth": 7},
        {"kind": "refuse", "stream": "data", "seconds": 600},
    ]
    seen = world.serve(faults=faults).trade()
    assert told(seen.bars) == as_the_tape()
    assert seen.doubts == []


def test_a_revision_is_told_as_one(world: World) -> None:
    seen = world.serve(faults=[{"kind": "bar_revised", "symbol": "SPY", "nth": 7}]).trade()
    assert told(seen.bars) == as_the_tape()
    (revised,) = seen.revisions
    (decided,) = [bar for bar in seen.bars if bar[:2] == revised[:2]]
    assert revised.close != decided.close


def test_orders_are_in_doubt_while_the_trade_stream_is_down(world: World) -> None:
    faults = [
        {"kind": "disconnect", "stream": "trade", "nth": 7},
        {"kind": "refuse", "stream": "trade", "seconds": 2},
    ]
    seen = world.serve(faults=faults).trade()
    assert told(seen.bars) == as_the_tape()
    assert any("no updates of orders" in doubt for doubt in seen.doubts)
    assert seen.resyncs == 2


def test_a_paced_run_delivers_the_tape(world: World) -> None:
    seen = world.serve(pace=ReplayPace(50)).trade()
    assert told(seen.bars) == as_the_tape()
    assert seen.revisions == []
    assert seen.doubts == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "disconnect", "stream": "data", "nth": 7},
        {"kind": "garbage", "stream": "data", "nth": 7},
        {"kind": "mute", "stream": "data", "nth": 7},
        {"kind": "minute_missing", "nth": 7},
        {"kind": "bar_missing", "symbol": "SPY", "nth": 7},
    ],
    ids=lambda fault: fault["kind"],
)
def test_a_paced_run_loses_no_bar_either(world: World, fault: dict[str, Any]) -> None:
    seen = world.serve(pace=ReplayPace(20), faults=[fault]).trade()
    assert sorted(told(seen.bars)) == sorted(as_the_tape())
    for symbol in CLOSES:
        times = [bar.time for bar in seen.bars if bar.symbol == symbol]
        assert times == sorted(times)


def test_a_paced_tape_does_not_end_before_the_last_fills_are_told(world: World) -> None:
    faults = [
        {"kind": "disconnect", "stream": "trade", "nth": MINUTES - 5},
        {"kind": "refuse", "stream": "trade", "seconds": 600},
    ]
    seen = world.serve(pace=ReplayPace(40), faults=faults).trade()
    assert sum(world.call("GET", "/_exchange")["faults"].values()) >= 2
    there = world.call("GET", "/v2/orders?status=closed")
    assert {o["client_order_id"]: o["filled_qty"] for o in there} == {
        name: str(filled) for name, (_, filled) in seen.ends.items()
    }


def test_history_and_stream_join_without_a_seam(world: World) -> None:
    world.serve()
    for _ in range(10):
        world.call("POST", "/_exchange/play")
    _, feed = world.connect()
    past = [bar for minute in feed.history(["KO", "SPY"], None, 4) for bar in minute]
    assert minutes_of(past) == [OPEN + n * MINUTE for n in range(6, 10)]
    for _ in range(3):  # they pass between the history and the subscription
        world.call("POST", "/_exchange/play")
    feed.subscribe(["KO", "SPY"])
    seen = Seen()
    while (batch := feed.next(1)) is not None:
        seen.take(batch)
    assert told([*past, *seen.bars]) == as_the_tape()[12:]


def test_catching_up_delivers_nothing(world: World) -> None:
    _, feed = world.serve().connect()
    feed.catch_up(OPEN + 5 * MINUTE)
    assert feed.now() == OPEN + 5 * MINUTE
    feed.subscribe(["KO", "SPY"])
    seen = Seen()
    while (batch := feed.next(1)) is not None:
        seen.take(batch)
    assert minutes_of(seen.bars)[0] == OPEN + 5 * MINUTE
    progress = feed.progress()
    assert progress is not None
    assert progress.done == progress.total


def test_symbols_are_checked(world: World) -> None:
    _, feed = world.serve().connect()
    assert feed.tradable(()) == ("KO", "SPY")
    assert feed.tradable(["SPY"]) == ("SPY",)
    with pytest.raises(ConfigError, match=r"'SPX'.*did you mean 'SPY'"):
        feed.tradable(["KO", "SPX"])


def test_too_many_symbols_are_told_at_the_start(world: World) -> None:
    _, feed = world.serve(stream_limits=StreamLimits(symbols=1)).connect()
    with pytest.raises(ConfigError, match="refuses the 2 symbols"):
        feed.subscribe(["KO", "SPY"])


def test_a_feed_ends_when_it_is_closed(world: World) -> None:
    _, feed = world.serve().connect()
    feed.subscribe(["KO", "SPY"])
    begun = time.monotonic()
    feed.close()
    assert time.monotonic() - begun < DEADLINE


def test_next_does_not_block_where_time_goes_by_itself(world: World) -> None:
    _, feed = world.serve(pace=ReplayPace(0.01)).connect()
    feed.subscribe(["KO", "SPY"])
    while (batch := feed.next(0.1)) is not None and (batch.resync or batch.bars):
        pass
    begun = time.monotonic()
    assert feed.next(0.3) is not None
    assert 0.25 < time.monotonic() - begun < DEADLINE


def test_an_exchange_that_comes_back_is_found_again(world: World) -> None:
    world.serve()
    _, feed = world.connect(request_timeout=2)
    feed.subscribe(["KO", "SPY"])
    seen, deadline = Seen(), time.monotonic() + DEADLINE
    port = int(world.url.rpartition(":")[2])
    while len(seen.bars) < 20:
        batch = feed.next(1)
        assert batch is not None
        seen.take(batch)
    world.serving.stop()
    while not seen.doubts:
        batch = feed.next(0.2)
        assert batch is not None
        seen.take(batch)
        assert time.monotonic() < deadline
    again = ServerThread(
        Venue(world.serving.venue.exchange, ApiKeys({KEY: SECRET})), listen(port=port)
    )
    again.start()
    world.stack.callback(again.stop)
    while (batch := feed.next(0.2)) is not None:
        seen.take(batch)
        assert time.monotonic() < deadline
    assert told(seen.bars) == as_the_tape()
    assert seen.resyncs >= 2


def test_a_key_that_is_refused_at_once(world: World) -> None:
    with pytest.raises(BrokerError):
        world.serve().connect(secret="another")


def test_where_the_plan_allows_fewer_symbols_the_first_are_streamed_and_the_rest_asked_for(
    world: World,
) -> None:
    names = [f"S{number:02}" for number in range(31)]
    closes: dict[str, Sequence[float | None]] = {s: [50.0, 51.0, 52.0] for s in names}
    _, feed = world.serve(closes, stream_limits=StreamLimits(symbols=30)).connect()
    feed.subscribe(["S30", *names[:-1]])
    bars: list[Bar] = []
    while (batch := feed.next(0.2)) is not None:
        bars += batch.bars
    assert {bar.symbol for bar in bars} == set(names)
    assert len(bars) == 93
    assert feed._streams is not None
    stream: Any = feed._streams._streams[DATA]
    assert stream._symbols == ("S30", *names[:29])


@pytest.mark.parametrize(("held", "source"), [("KO", "position"), ("SPY", "trade")])
def test_prices_are_the_latest_trades_or_else_the_positions(
    world: World, held: str, source: str
) -> None:
    """KO has no bar for more than five minutes: where it is held the account knows more."""
    closes: dict[str, Sequence[float | None]] = {
        "KO": [50.0] * 8 + [None] * 9,
        "SPY": [100.0 + n for n in range(17)],
    }
    broker, feed = world.serve(closes).connect()
    feed.subscribe(["KO", "SPY"])
    while feed.now() < OPEN + 4 * MINUTE:
        feed.next(1)
    broker.submit(replace(world.order(feed, "smabot-1"), symbol=held))
    while feed.now() < OPEN + 15 * MINUTE:
        feed.next(1)
    assert feed.prices(["SPY", "KO", "NONE"]) == [
        Mark("KO", Decimal(50), feed.now(), source),
        Mark("SPY", Decimal(114), feed.now(), "trade"),
    ]


@pytest.mark.parametrize("read_again", [True, False])
def test_bars_beyond_the_known_calendar_come_once_it_is_read_again_and_are_told_of_before(
    world: World, tape_writer: Any, monkeypatch: pytest.MonkeyPatch, read_again: bool
) -> None:
    """The server knows one session at first; the second one's bars are played all the same."""
    end = datetime(2026, 3, 2, 20, 58, tzinfo=UTC)
    world.write = lambda path, closes, **options: tape_writer(path, closes, start=end, **options)
    late = [None] * (3 * 24 * 60 + 1050)
    broker, feed = world.serve({"SPY": [100.0, 101.0, *late, 102.0, 103.0]}).connect()
    ask, last = world.connection.rest.trading, f"{end:%Y-%m-%d}"

    def trading(method: str, path: str, *given: Any, **more: Any) -> Any:
        answer = ask(method, path, *given, **more)
        if path != "/v2/calendar":
            return answer
        return [day for day in answer if day["date"] <= last]

    monkeypatch.setattr(world.connection.rest, "trading", trading)
    feed.subscribe(["SPY"])
    seen, events = Seen(), []
    while (batch := feed.next(0.2)) is not None:
        seen.take(batch)
        events += batch.events
        if len(seen.bars) == 2 and read_again and last < "2027":
            last = "2027"
            known = broker.calendar()
            assert known is world.connection.calendar
            assert known.sessions[-1].date > end.date()
    assert [bar.close for bar in seen.bars] == [100, 101] + [102, 103] * read_again
    told_of = [(event.kind, event.text, event.grave) for event in events]
    assert told_of == [] if read_again else told_of[0] == (
        "dropped_bars", "1 bars of the data stream were dropped: no session is known for that time", True,
    )  # fmt: skip
