"""Data that go on: an old market's ledger, more sessions of a market, and a file that has grown."""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from smabot.errors import ConfigError
from smabot_exchange.exchange import Exchange
from smabot_exchange.ledger.beginning import Beginning

LEDGERS = Path(__file__).with_name("ledgers")
WAVES = "simulated:symbols=1,sessions=1,start=2026-11-27"
"""How the stored ledger was begun, in a release that knew no shapes; its account holds ten shares."""
FIRST_BAR_OF_WAVES = (658.59, 658.85, 658.13, 658.66)
SMALL = "simulated:symbols=2,start=2026-11-27"
MONDAY, TUESDAY = "2026-03-02", "2026-03-03"
TABLES = ("bars", "assets", "sessions", "orders", "fills", "positions", "state")


def stored(path: Path, tables: tuple[str, ...] = TABLES) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(path)) as db:
        return {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in tables}


@pytest.fixture
def begun_with_waves(lab: Any) -> Path:
    path: Path = lab.folder / "waves.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript((LEDGERS / "waves.sql").read_text())
    return path


@pytest.mark.parametrize("data", [WAVES, f"{WAVES},shape=waves", f"{WAVES},seed=1"])
def test_a_ledger_of_waves_goes_on_with_them(lab: Any, begun_with_waves: Path, data: str) -> None:
    for _ in range(2):
        exchange = lab.open(data, begun_with_waves.name)
        assert exchange.half_spread == 0
        (first, *_), *_ = exchange.history()
        assert first[2:6] == FIRST_BAR_OF_WAVES
        assert exchange.position("SPY").qty == 10
        exchange.advance()
        exchange.close()
    signature = "made 1 symbols=1 sessions=1 seed=1 start=2026-11-27"
    assert ("signature", signature) in stored(begun_with_waves, ("meta",))["meta"]


def test_waves_go_on_with_waves(lab: Any, begun_with_waves: Path, capfd: Any) -> None:
    longer = WAVES.replace("sessions=1", "sessions=2")
    lab.open(longer, begun_with_waves.name).close()
    lab.open(f"{longer},shape=waves", "at-once.db").close()
    assert stored(begun_with_waves, ("bars",)) == stored(lab.folder / "at-once.db", ("bars",))
    assert capfd.readouterr() == ("", "")


def test_another_shape_is_refused_where_it_is_named(lab: Any, begun_with_waves: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"it was simulated:.*shape=waves, this is .*shape=random"
    ):
        lab.open(f"{WAVES},shape=random", begun_with_waves.name)


def trade(exchange: Any, client: Any, until: int) -> None:
    """Play up to a minute, with an order now and then, and one that waits for the next session."""
    trader = client(exchange)
    while exchange.minutes[0] < until:
        if exchange.minutes[0] % 50 == 10:
            side = trader.buy if exchange.minutes[0] % 100 == 10 else trader.sell
            side(10, id=f"order {exchange.minutes[0]}")
        exchange.advance()
    trader.buy(1, limit="1", tif="gtc", id=f"resting {until}")
    trader.buy(5, id=f"waiting {until}")


def test_more_sessions_are_as_if_they_had_been_there(lab: Any, client: Any) -> None:
    """Half a session played, or all of them and an order that waits for the next: the same tables."""
    for name, played in (("half.db", 100), ("whole.db", 210)):
        exchange = lab.open(f"{SMALL},sessions=1", name)
        trade(exchange, client, played)
        exchange.close()
        exchange = lab.open(f"{SMALL},sessions=3", name)
        assert exchange.minutes == (played, 210 + 2 * 390)
        lab.play(exchange)
        at_once = lab.open(f"{SMALL},sessions=3", f"at-once-{name}")
        trade(at_once, client, played)
        lab.play(at_once)
        exchange.close()
        at_once.close()
        tables = stored(lab.folder / name)
        assert tables == stored(lab.folder / f"at-once-{name}")
        assert [row[-1] for row in tables["sessions"]][:4] == [1, 1, 1, 0]


def test_a_ledger_says_what_has_more(lab: Any) -> None:
    exchange = lab.open(f"{SMALL},sessions=1,seed=7", "ledger.db")
    lab.play(exchange)
    exchange.close()
    *_, note = lab.open(f"{SMALL},sessions=1,seed=7", "ledger.db").notes
    longer = "simulated:symbols=2,sessions=2,seed=7,start=2026-11-27"
    assert note == f"nothing left to replay: give --data {longer} for more"
    lab.close()
    *_, note = lab.open(longer, "ledger.db").notes
    assert note.endswith("2 sessions, 1,200 bars, resumes at 2026-11-27 18:00Z")


def test_sessions_that_are_not_named_are_the_ledgers(lab: Any) -> None:
    lab.open("simulated:symbols=1,sessions=3", "ledger.db").close()
    assert lab.open("simulated:symbols=1", "ledger.db").minutes == (0, 3 * 390)


def test_fewer_sessions_are_refused(lab: Any) -> None:
    lab.open(f"{SMALL},sessions=2", "ledger.db").close()
    words = r"it has 2 sessions already, this has 1; give the data it was created with"
    with pytest.raises(ConfigError, match=words):
        lab.open(f"{SMALL},sessions=1", "ledger.db")


@pytest.fixture
def monday(lab: Any) -> list[str]:
    """Two symbols' bars up to Monday's close."""
    return [
        *lab.rows("IBM", f"{MONDAY} 15:57", [20, 21, 22]),
        *lab.rows("SPY", f"{MONDAY} 15:57", [10, 11, 12]),
    ]


@pytest.fixture
def begun(lab: Any, monday: list[str], client: Any) -> Path:
    """A ledger on Monday's file, with a position and an order for the next session."""
    exchange = lab.open(lab.tape(monday, "first.csv"), "ledger.db")
    trader = client(exchange)
    trader.buy(10)
    lab.play(exchange)
    trader.sell(4, id="waiting")
    exchange.close()
    path: Path = lab.folder / "ledger.db"
    return path


def test_a_file_that_has_grown_goes_on(lab: Any, monday: list[str], begun: Path) -> None:
    lines = [
        *monday,
        *lab.rows("SPY", f"{TUESDAY} 09:30", [13, 14]),
        *lab.rows("ZZZ", f"{TUESDAY} 09:30", [5]),
    ]
    exchange = lab.open(lab.tape(sorted(lines, key=lambda x: x.split(",")[1])), begun.name)
    assert exchange.symbols == ("IBM", "SPY", "ZZZ")
    assert exchange.now == lab.time(f"{MONDAY} 16:00")
    assert exchange.minutes == (3, 5)
    lab.play(exchange)
    assert [(e.side, e.qty, e.price) for e in exchange.executions()][1:] == [("sell", 4, 13)]
    assert exchange.position("SPY").qty == 6


def test_a_folder_goes_on_with_another_file(lab: Any, monday: list[str], begun: Path) -> None:
    lab.tape(monday, "bars/1.csv")
    folder = lab.tape(lab.rows("IBM", f"{TUESDAY} 09:30", [23]), "bars/2.csv").parent
    assert lab.open(folder, begun.name).minutes == (3, 4)


def test_the_same_bars_in_other_files_are_the_same_data(
    lab: Any, monday: list[str], begun: Path
) -> None:
    packed = lab.folder / "packed.csv.gz"
    packed.write_bytes(gzip.compress(lab.tape(monday[3:] + monday[:3]).read_bytes()))
    for _ in range(2):
        exchange = lab.open(packed, begun.name)
        assert exchange.minutes == (3, 3)
        exchange.close()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda lab, lines: lines[1:], "the first difference is IBM at 2026-03-02T20:57Z"),
        (
            lambda lab, lines: [*lines[:-1], lab.row("SPY", f"{MONDAY} 15:59", 99)],
            "the first difference is SPY at 2026-03-02T20:59Z",
        ),
        (
            lambda lab, lines: [*lines, *lab.rows("ZZZ", f"{MONDAY} 15:58", [1])],
            "ZZZ has a bar at 2026-03-02T20:58Z that the ledger does not have",
        ),
    ],
)
def test_a_file_with_another_past_is_refused(
    lab: Any, monday: list[str], begun: Path, change: Any, complaint: str
) -> None:
    tomorrow = lab.rows("KO", f"{TUESDAY} 09:30", [13, 14])
    before = stored(begun)
    with pytest.raises(ConfigError) as caught:
        lab.open(lab.tape(change(lab, monday) + tomorrow), begun.name)
    assert f"was created with other data (data first.csv) than data tape.csv: {complaint}" in str(
        caught.value
    )
    assert stored(begun) == before


def test_bars_of_a_time_that_has_passed_are_refused(lab: Any) -> None:
    """A file that ended at noon: the day has ended since then."""
    morning = lab.rows("SPY", f"{MONDAY} 11:58", [10, 11])
    exchange = lab.open(lab.tape(morning, "first.csv"), "ledger.db")
    exchange.advance()
    exchange.close()
    whole = lab.tape(morning + lab.rows("SPY", f"{MONDAY} 12:00", [12]))
    exchange = lab.open(whole, "ledger.db")
    assert exchange.minutes == (1, 3)
    lab.play(exchange)
    exchange.close()
    later = lab.tape(lab.rows("SPY", f"{MONDAY} 11:58", [10, 11, 12, 13]))
    words = (
        r"its clock is at 2026-03-02T21:00Z, and data tape.csv has new bars from 2026-03-02T17:01Z"
    )
    with pytest.raises(ConfigError, match=words):
        lab.open(later, "ledger.db")


def test_bars_that_a_halt_withheld_are_no_other_past(
    lab: Any, monday: list[str], client: Any
) -> None:
    exchange = lab.open(lab.tape(monday, "first.csv"), "ledger.db")
    exchange.advance()
    exchange.halts.halt("SPY")
    lab.play(exchange)
    exchange.close()
    longer = lab.tape(monday + lab.rows("SPY", f"{TUESDAY} 09:30", [13]))
    exchange = lab.open(longer, "ledger.db")
    assert [
        bar.time for bar in exchange.bars(["SPY"], *[lab.time(f"{MONDAY} 09:30"), exchange.now])
    ] == [lab.time(f"{MONDAY} 15:57")]
    assert exchange.minutes == (3, 4)


@pytest.fixture
def halted(lab: Any) -> list[str]:
    """Bars of one symbol, the last of which a halt withheld in ledger.db."""
    lines: list[str] = lab.rows("SPY", f"{MONDAY} 10:00", range(20, 50))
    exchange = lab.open(lab.tape(lines, "first.csv"), "ledger.db")
    for _ in range(20):
        exchange.advance()
    exchange.halts.halt("SPY")
    lab.play(exchange)
    exchange.close()
    return lines


@pytest.mark.parametrize("older", [False, True])
def test_data_go_on_after_a_halt_at_their_end(lab: Any, halted: list[str], older: bool) -> None:
    if older:
        with closing(sqlite3.connect(lab.folder / "ledger.db")) as db:
            db.execute("DELETE FROM meta WHERE key = 'last_bar'")
            db.commit()
    longer = lab.tape(halted + lab.rows("SPY", f"{TUESDAY} 09:30", [51, 52]))
    exchange = lab.open(longer, "ledger.db")
    assert exchange.minutes == (30, 32)
    lab.play(exchange)
    assert exchange.last_price("SPY") == 52
    assert len(stored(lab.folder / "ledger.db", ("bars",))["bars"]) == 22


@pytest.mark.parametrize(("dropped", "count"), [(25, 29), (None, 31)])
def test_another_past_is_refused_after_a_halt_too(
    lab: Any, halted: list[str], dropped: int | None, count: int
) -> None:
    """A bar that the halt withheld is missing, or there is one of another symbol."""
    if dropped is None:
        halted.append(lab.row("ZZZ", f"{MONDAY} 10:25", 1))
    else:
        del halted[dropped]
    longer = lab.tape(halted + lab.rows("KO", f"{TUESDAY} 09:30", [51]))
    with pytest.raises(ConfigError, match=f"up to 2026-03-02T15:29Z it has {count} bars, not 30"):
        lab.open(longer, "ledger.db")


def test_what_is_history_is_still_said(lab: Any) -> None:
    def notes(data: str) -> tuple[str, ...]:
        exchange = Exchange(lab.folder / "ledger.db", data, beginning=Beginning(1))
        exchange.close()
        return exchange.notes

    note = "1 session of them history, up to 2026-11-27"
    assert note in notes(f"{SMALL},sessions=2")
    assert note in notes(f"{SMALL},sessions=3")


@pytest.mark.parametrize("tif", ["day", "opg", "cls"])
def test_an_order_waits_for_the_next_session_that_there_is(
    lab: Any, monday: list[str], begun: Path, client: Any, tif: str
) -> None:
    """The file goes on, without a bar on Tuesday."""
    exchange = lab.open(lab.folder / "first.csv", begun.name)
    client(exchange).sell(2, id=f"waiting {tif}", tif=tif)
    exchange.close()
    wednesday = lab.rows("SPY", "2026-03-04 09:30", [13] + [14] * 389)
    exchange = lab.open(lab.tape(monday + wednesday), begun.name)
    (waiting,) = (o for o in exchange.orders() if o.client_order_id == f"waiting {tif}")
    ends = None if tif == "opg" else lab.time("2026-03-04 16:00")
    assert (waiting.opens_at, waiting.expires_at) == (lab.time("2026-03-04 09:30"), ends)
    lab.play(exchange)
    assert {o.status.value for o in exchange.orders("all")} == {"filled"}


def test_bad_bars_in_the_new_part_change_nothing(lab: Any, monday: list[str], begun: Path) -> None:
    before = stored(begun)
    bad = lab.tape([*monday, lab.row("SPY", f"{TUESDAY} 09:30", [10, 9, 11, 10])])
    with pytest.raises(ConfigError, match=r"tape\.csv line 8"):
        lab.open(bad, begun.name)
    assert stored(begun) == before
