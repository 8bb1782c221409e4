"""Filters of the commands that list records, and how their listings look."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.cli.records.equity_history import equity_days, points
from smabot.cli.records.record_filters import Span, rows_within
from smabot.domain.order_terms import OrderType, Side, Status
from smabot.domain.records import ZERO, Bar, EquityPoint, Fill, Order, Position, Signal, SignalState
from smabot.domain.risk_answers import Check, checks_text
from smabot.hooks.memory_journal import MemoryJournal

pytest.importorskip("smabot_persistence_sqlite")

Call = Callable[..., Any]
D = Decimal
FRIDAY = datetime(2026, 3, 6, 15, 30, tzinfo=UTC)
"""10:30 in New York; the clocks go forward on the Sunday after it."""
MONDAY = datetime(2026, 3, 9, 14, 30, tzinfo=UTC)
"""10:30 again."""
LONG = (
    "max_order_notional: an order of 26,012.50 US dollars is more than 25,000.00 US dollars; the size is "
    "that of the last signal"
)


def made(symbol: str, time: datetime, status: Status, **changes: Any) -> Order:
    strategy = changes.get("strategy", "sma")
    bar = time - timedelta(minutes=1)
    return Order(
        **{
            "client_order_id": f"smabot-{strategy}-{symbol}-{bar:%Y%m%dT%H%MZ}-1",
            "strategy": strategy, "symbol": symbol, "side": Side.BUY, "qty": D(10),
            "type": OrderType.MARKET, "limit_price": None, "time_in_force": "day", "bar_time": bar,
            "attempt": 1, "reduces": False, "created_at": time, "status": status, **changes,
        }
    )  # fmt: skip


ORDERS = [
    made("SPY", FRIDAY, Status.FILLED, filled_qty=D(10), filled_avg_price=D("1234.5")),
    made("KO", FRIDAY + timedelta(minutes=1, seconds=30), Status.BLOCKED, reason=LONG),
    made("SPY", FRIDAY + timedelta(hours=13, minutes=29), Status.REJECTED, reason="no"),  # 23:59
    made("SPY", FRIDAY + timedelta(hours=13, minutes=30), Status.EXPIRED),  # Saturday's 0:00
    made(
        "GOOGL", MONDAY - timedelta(minutes=30), Status.PARTIALLY_FILLED, strategy="mean_reverter",
        filled_qty=D(4), filled_avg_price=D("1170.25"), type=OrderType.LIMIT, limit_price=D("1170.5"),
    ),
    made(
        "AAPL", MONDAY - timedelta(minutes=20), Status.CANCELED, filled_qty=D(1),
        filled_avg_price=D("250"), reason="entry_timeout_minutes 5", cancel_reason="entry_timeout_minutes 5",
        cancel_requested_at=MONDAY - timedelta(minutes=15),
    ),
    made(
        "AAPL", MONDAY, Status.ACCEPTED, cancel_requested_at=MONDAY + timedelta(minutes=5),
        cancel_reason="halted", checks=checks_text([Check("max_loss", True, "12.00", "500.00")]),
    ),
]  # fmt: skip


@pytest.fixture
def ordered(journal: Any) -> None:
    holdings = {(order.strategy, order.symbol) for order in ORDERS}
    states = [SignalState(*holding, "BUY", 1, FRIDAY) for holding in holdings]
    end = MONDAY + timedelta(minutes=29)
    journal.commit([*ORDERS, *states], [Bar("SPY", end, 1.0, 1.0, 1.0, 1.0, 1.0)])
    journal.close()


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("", [0, 1, 2, 3, 4, 5, 6]),
        ("--status filled", [0]),
        ("--status blocked,Rejected --status expired", [1, 2, 3]),
        ("--status open", [4, 6]),
        ("--status open,cancelled", [4, 5, 6]),
        ("--status partially-filled", [4]),
        ("--open", [4, 6]),
        ("--symbol spy,ko", [0, 1, 2, 3]),
        ("--symbol spy --symbol KO --status blocked", [1]),
        ("--strategy mean_reverter", [4]),
        ("--strategy mean_reverter,sma --limit 2", [5, 6]),
        ("--date 2026-03-06", [0, 1, 2]),
        ("--date 2026-03-07", [3]),
        ("--date today", [4, 5, 6]),
        ("--since 2026-03-07", [3, 4, 5, 6]),
        ("--until 2026-03-06", [0, 1, 2]),
        ("--until 2026-03-06 --limit 1", [2]),
        ("--since 2026-03-06 --until 2026-03-06T10:31", [0, 1]),
        ("--until 2026-03-06T10:31:29", [0]),
        ("--until 2026-03-06t10:31:29", [0]),
        ("--until 2026-03-06T15:30Z", [0]),
        ("--until 2026-03-06T15:31:30.000001+00:00", [0, 1]),
        ("--utc --until 2026-03-06T15:30", [0]),
        ("--until 2026-03-06_15:30_UTC", [0]),
        ("--until 2026-03-06_10:30_ET", [0]),
        ("--since 10:10", [5, 6]),
        ("--since 10:10 --until 10:29", [5]),
        ("--utc --since 14:30", [6]),
        ("--since 14:30Z", [6]),
        ("--since 50m", [5, 6]),
        ("--since 1h", [4, 5, 6]),
        ("--since 58h", [3, 4, 5, 6]),
        ("--since 1w --until 2d", [0, 1, 2, 3]),
    ],
)
def test_orders_by_filters(ordered: None, call: Call, options: str, found: list[int]) -> None:
    given = [word.replace("_", " ") if word[:3] == "202" else word for word in options.split()]
    wanted = [ORDERS[number].client_order_id for number in found]
    document = call("orders", "--json", *given).json
    assert [order["client_order_id"] for order in document["orders"]] == wanted
    rows = csv.DictReader(io.StringIO(call("orders", "--csv", *given).out))
    assert [row["client_order_id"] for row in rows] == wanted


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("orders --status fild", "'--status': 'fild' is no status of an order (did you mean 'filled'?)"),
        ("orders --status zzz", "it is one of open, pending, unknown, submitted"),
        ("orders --symbol SPY,,KO", "'--symbol': 'SPY,,KO' has an empty name"),
        ("orders --since 25:00", "'--since': '25:00' is not a time: give 2026-03-02, "),
        ("trades --since yesterday", "'yesterday' is not a time"),
        ("trades --since 2026-03-02-10:30", "'2026-03-02-10:30' is not a time"),
        ("trades --since 2026-03-02T10", "'2026-03-02T10' is not a time"),
        ("trades --since 2026-03-02T10:30+01:00Z", "is not a time"),
        ("trades --until 2026-02-30", "'2026-02-30' is not a time"),
        ("pnl --until 0001-01-01", "'0001-01-01' is not a time"),
        ("signals --since 3y", "'3y' is not a time"),
        ("equity --date 2d", "'--date': '2d' is not a date: give 2026-03-02 or today"),
        ("orders --date today --since 2d", "--date is a span of its own: give it without --since"),
        ("orders --csv --json", "--csv and --json: give one of them"),
        ("--json pnl --csv", "--csv and --json: give one of them"),
        ("orders --open --status filled", "--open is --status open: give one of them"),
        ("orders --since today --until 2026-03-06", "--since 2026-03-09 00:00 ET is after --until"),
        ("orders SPY-20260306T1529Z --symbol SPY", "give no --status, --symbol or other filter"),
        ("orders SPY-20260306T1529Z --limit 1", "give no --status, --symbol or other filter"),
        ("orders SPY-20260306T1528Z-1", "(did you mean 'sma-SPY-20260306T1529Z-1'?)"),
        ("orders --limit 0", "0 is not in the range"),
        ("pnl --by hour", "'hour' is not one of 'day', 'week', 'month', 'year', 'symbol', 'strategy'"),
    ],
)  # fmt: skip
def test_a_wrong_filter_gets_one_line(ordered: None, call: Call, arguments: str, told: str) -> None:
    result = call(*arguments.split())
    assert (result.code, result.out) == (2, "")
    assert told in result.err
    assert result.err.count("\n") == 1


def test_what_depends_on_the_newest_data_says_so(ordered: None, call: Call) -> None:
    assert call("orders", "--since", "30m").out.splitlines()[-1] == (
        "since 2026-03-09 10:30 ET; the newest data is of 2026-03-09 11:00 ET"
    )
    assert "newest data" not in call("orders", "--since", "2026-03-09").out


def test_a_name_that_nothing_has_is_told(ordered: None, call: Call) -> None:
    result = call("orders", "--symbol", "GOGL,SPY", "--strategy", "smma")
    assert result.out.splitlines()[1:] == [
        "no orders",
        "no symbol GOGL was ever traded here (did you mean 'GOOGL'?)",
        "no strategy smma was ever traded here (did you mean 'sma'?)",
    ]


def test_orders_on_the_screen(ordered: None, on_terminal: Call) -> None:
    screen = without_styles(on_terminal("orders", columns=80))
    assert screen == [
        "PAPER data/trades.db",
        "2026 ET      symbol  side  qty  status                       limit     price",
        "03-06 10:30  SPY     buy    10  filled                              1,234.50",
        "    sma-SPY-20260306T1529Z-1",
        "03-06 10:31  KO      buy    10  blocked",
        "    sma-KO-20260306T1530Z-1",
        "    max_order_notional: an order of 26,012.50 US dollars is more than 25,000.00",
        "    US dollars; the size is that of the last signal",
        "03-06 23:59  SPY     buy    10  rejected",
        "    sma-SPY-20260307T0458Z-1",
        "    no",
        "03-07 00:00  SPY     buy    10  expired",
        "    sma-SPY-20260307T0459Z-1",
        "03-09 10:00  GOOGL   buy    10  filled 4 of 10            1,170.50  1,170.25",
        "    mean_reverter-GOOGL-20260309T1359Z-1",
        "03-09 10:10  AAPL    buy    10  filled 1 of 10, canceled              250.00",
        "    sma-AAPL-20260309T1409Z-1",
        "    entry_timeout_minutes 5",
        "03-09 10:30  AAPL    buy    10  accepted",
        "    sma-AAPL-20260309T1429Z-1",
        "    cancel unanswered since 2026-03-09 10:35 ET: halted",
    ]
    filled = without_styles(on_terminal("orders", "--status", "filled", "--utc", columns=80))
    assert filled[1:] == [
        "2026 UTC     symbol  side  qty  status     price  order",
        "03-06 15:30  SPY     buy    10  filled  1,234.50  sma-SPY-20260306T1529Z-1",
    ]


def test_an_order_in_full(ordered: None, call: Call, on_terminal: Call) -> None:
    screen = without_styles(on_terminal("orders", "aapl-20260309T1429", "ko", columns=80))
    assert screen[1:16] == [
        "order     smabot-sma-AAPL-20260309T1429Z-1",
        "strategy  sma",
        "symbol    AAPL",
        "kind      entry",
        "terms     buy 10, market, day",
        "status    accepted",
        "filled    0 of 10",
        "bar       2026-03-09 10:29 ET to 10:30",
        "attempt   1",
        "created   2026-03-09 10:30:00 ET",
        "cancel    requested 2026-03-09 10:35:00 ET: halted",
        "check             value   limit",
        "max_loss  passed  12.00  500.00",
        "",
        "order     smabot-sma-KO-20260306T1530Z-1",
    ]
    assert "reason    max_order_notional: an order of 26,012.50 US dollars is more than" in screen
    (order,) = call("orders", "AAPL-20260309T1429Z-1", "--json").json["orders"]
    assert order["checks"] == '[["max_loss", true, "12.00", "500.00", ""]]'
    assert order["risk_checks"] == [
        {"name": "max_loss", "passed": True, "value": "12.00", "limit": "500.00", "reason": ""}
    ]
    assert order["fills"] == []
    listed = call("orders", "--json").json["orders"]
    assert listed[-1]["risk_checks"] == order["risk_checks"]
    assert "fills" not in listed[-1]


@pytest.mark.parametrize(
    ("command", "heading"),
    [
        ("orders", "client_order_id,strategy,symbol,side,qty,type,limit_price,time_in_force,bar_time"),
        ("trades", "client_order_id,cumulative_qty,strategy,symbol,side,qty,price,realized_pnl,time"),
        ("trades --round-trips", "strategy,symbol,side,qty,entry_price,exit_price,realized_pnl"),
        ("signals", "symbol,target,bar_time,price,strategy,missed,reason,label"),
        ("equity", "time,equity,cash,positions_value,realized_pnl"),
        ("pnl", "day,orders_filled,fills,round_trips,wins,losses"),
    ],
)  # fmt: skip
def test_csv_of_nothing_is_its_heading(
    journal: Any, call: Call, command: str, heading: str
) -> None:
    result = call(*command.split(), "--csv")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(heading)
    assert result.out.count("\n") == 1


def test_csv_has_what_is_stored(journal: Any, call: Call) -> None:
    time = datetime(2026, 3, 2, 15, 0, 0, 250_000, tzinfo=UTC)
    reason = 'a "quoted" reason, with a comma\nand a line'
    journal.commit([
        made("SPY", time, Status.BLOCKED, qty=D("0.123456789"), reason=reason, collared=True)
    ])  # fmt: skip
    journal.close()
    (row,) = csv.DictReader(io.StringIO(call("orders", "--csv").out, newline=""))
    assert (row["qty"], row["created_at"], row["reason"], row["collared"], row["limit_price"]) == (
        "0.123456789", "2026-03-02T15:00:00.250000Z", reason, "true", "",
    )  # fmt: skip


def test_signals_are_of_their_bars_ends(journal: Any, call: Call) -> None:
    journal.commit([
        Signal("SPY", 1, FRIDAY, 100.0, "sma", label="BUY", reason="crossed above"),
        Signal("KO", 0, FRIDAY + timedelta(minutes=1), 50.0, "sma", missed=True, label="SELL"),
        Signal("KO", 1, FRIDAY, 50.0, "other", label="BUY"),
        *(SignalState(who, what, "BUY", 1, FRIDAY) for who, what in
          [("sma", "SPY"), ("sma", "KO"), ("other", "KO")]),
    ])  # fmt: skip
    journal.close()
    assert call("signals").out.splitlines()[1:] == [
        "2026 ET      strategy  symbol  signal  target   price",
        "03-06 10:31  other     KO      BUY          1   50.00",
        "03-06 10:31  sma       SPY     BUY          1  100.00",
        "    crossed above",
        "03-06 10:32  sma       KO      SELL         0   50.00  missed",
    ]
    times = call("signals", "--json", "--since", "2026-03-06T10:32").json["signals"]
    assert [signal["bar_time"] for signal in times] == ["2026-03-06T15:31:00Z"]
    assert len(call("signals", "--until", "2026-03-06T10:31", "--limit", "1").out.splitlines()) == 4
    assert [s["strategy"] for s in call("signals", "--symbol", "ko", "--json").json["signals"]] == [
        "other", "sma",
    ]  # fmt: skip


SYMBOLS, STRATEGY = ("SPY", "AAPL", "GOOGL", "BRK.B", "KO"), "mean_revert1"


@pytest.mark.parametrize(
    "command",
    [
        "orders", "trades", "trades --round-trips", "signals", "equity", "equity --points",
        "pnl", "pnl --by week", "pnl --by symbol", "pnl --by strategy",
    ],
)  # fmt: skip
def test_normal_data_fits_80_columns_with_every_cell(
    journal: Any, call: Call, on_terminal: Call, command: str
) -> None:
    rows: list[Any] = []
    for number in range(60):
        time = FRIDAY + timedelta(hours=number)
        symbol = SYMBOLS[number % 5]
        side = Side.BUY if number // 5 % 2 == 0 else Side.SELL
        order = made(
            symbol, time, Status.FILLED, strategy=STRATEGY, side=side, qty=D(100),
            reduces=side is Side.SELL, filled_qty=D(100), filled_avg_price=D("1234.56"),
            limit_price=D("1234.56") if number % 7 == 0 else None,
        )  # fmt: skip
        pnl = D("-1234.567891") if side is Side.SELL else ZERO
        rows += [
            order,
            Fill(
                order.client_order_id, D(100), STRATEGY, symbol, side, D(100), D("1234.56"), pnl, time,
                order.reduces,
            ),
            Signal(symbol, 1, time, 1234.56, STRATEGY, label="BUY", reason="x " * 60),
            EquityPoint(time, D(123_456 - number), D(123_456), D(-number), D(-12_345)),
        ]  # fmt: skip
    states = [SignalState(STRATEGY, symbol, "BUY", 1, FRIDAY) for symbol in SYMBOLS]
    journal.commit([*rows, *states])
    journal.close()
    screen = without_styles(on_terminal(*command.split(), columns=80))
    assert max(map(len, screen)) <= 80
    assert "…" not in "".join(screen)
    piped = [word for line in call(*command.split()).out.splitlines() for word in line.split()]
    shown = [word for line in screen for word in line.split()]
    assert sorted(shown) == sorted(word for word in piped if word not in {"order", "strategy"}) or (
        sorted(shown) == sorted(piped)
    )


# -- what a journal is asked -----------------------------------------------------------------------


class OfAnotherMaker:
    """Rows of a journal that was made before they could be read until a time."""

    def __init__(self, journal: Any) -> None:
        self._journal = journal

    def rows(
        self,
        kind: type,
        *,
        where: Any = None,
        since: Any = None,
        newest_by: Any = None,
        limit: Any = None,
    ) -> list[Any]:
        found: list[Any] = self._journal.rows(
            kind, where=where, since=since, newest_by=newest_by, limit=limit
        )
        return found


@pytest.mark.parametrize("limit", [None, 1, 3, 100])
@pytest.mark.parametrize("since", [None, FRIDAY + timedelta(hours=7)])
@pytest.mark.parametrize("until", [None, FRIDAY + timedelta(hours=61)])
def test_a_journal_that_reads_until_no_time_gives_the_same(
    journal: Any, limit: int | None, since: datetime | None, until: datetime | None
) -> None:
    made = [
        EquityPoint(FRIDAY + timedelta(hours=n), D(1000 + n * n), ZERO, ZERO, ZERO)
        for n in range(0, 90, 5)
    ]
    memory, span = MemoryJournal(), Span(since, until)
    for each in (journal, memory):
        each.commit(made)
    told = [
        (
            rows_within(rows, EquityPoint, "time", span, limit=limit),
            equity_days(rows, span, []),
            list(points(rows, span)),
        )
        for rows in (journal, memory, OfAnotherMaker(memory))
    ]
    assert told[0] == told[1] == told[2]
    assert told[0][2] == [p for p in made if (since or p.time) <= p.time <= (until or p.time)]


def test_a_default_screen_does_not_read_the_history(journal: Any, call: Call) -> None:
    """It reads as many rows of a table as it shows, and one more."""
    from smabot_persistence_sqlite.record_reader import SqliteRows

    rows: list[Any] = []
    for number in range(500):
        time = FRIDAY + timedelta(minutes=number)
        rows += [
            made("SPY", time, Status.FILLED),
            Fill(f"o{number}", D(1), "sma", "SPY", Side.BUY, D(1), D(1), ZERO, time, False),
            Signal("SPY", number % 2, time, 1.0, "sma", label="BUY"),
        ]
    journal.commit([*rows, SignalState("sma", "SPY", "BUY", 1, FRIDAY), Position(
        "sma", "SPY", D(500), D(500), D(1), ZERO, FRIDAY)])  # fmt: skip
    journal.close()
    read: list[int] = []
    with pytest.MonkeyPatch.context() as patched:
        decoded = SqliteRows._decoded

        def counting(self: Any, *given: Any) -> Any:
            for record in decoded(self, *given):
                read.append(1)
                yield record

        patched.setattr(SqliteRows, "_decoded", counting)
        for command in ("orders", "trades", "signals"):
            read.clear()
            assert call(command).out.splitlines()[-1] == "the newest 20; --limit N shows more"
            assert len(read) < 40, command


def without_styles(screen: str) -> list[str]:
    plain = re.sub("\x1b.*?m", "", screen).replace("\r", "")
    return [line.rstrip() for line in plain.splitlines()]
