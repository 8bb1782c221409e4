"""Splits and changes of name: the list beside the bars, and what the exchange makes of it."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from smabot.domain.corporate_actions import ActionKind
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import Bar, Order
from smabot.errors import ConfigError
from smabot_exchange.data.corporate_actions import listed_action
from smabot_exchange.data.data_source import open_data
from smabot_exchange.data.given_bars import GivenBars
from smabot_exchange.exchange import Exchange
from smabot_exchange.in_process import ExchangeBroker, ExchangeFeed, SharedExchange
from smabot_exchange.ledger.memory_ledger import LedgerImage
from smabot_exchange.matching.account import RequestedTerms
from smabot_exchange.matching.orders import ExchangeOrder

HEADER = "symbol,ex_date,kind,new_shares,old_shares,new_symbol"
DAY, EVE = "2026-03-03", "2026-03-02"
SINCE, UNTIL = date(2026, 3, 1), date(2026, 3, 31)


def write(lab: Any, rows: list[str], ratio: float = 2, header: str = HEADER) -> Path:
    """A folder with SPY at 100, and from Tuesday on at 100 by the ratio; KO stays at 50."""
    lines = []
    for day, price in ((EVE, 100.0), (DAY, 100 / ratio), ("2026-03-04", 100 / ratio)):
        lines += lab.rows("KO", f"{day} 09:30", [50] * 4)
        lines += lab.rows("SPY", f"{day} 09:30", [price] * 4)
    path: Path = lab.tape(sorted(lines, key=lambda row: row.split(",")[1]), "bars/all.csv")
    path.with_name("corporate_actions.csv").write_text("\n".join([header, *rows]) + "\n")
    return path.parent


def play_until(exchange: Exchange, local: str, lab: Any) -> None:
    while exchange.now < lab.time(local):
        assert exchange.advance() is not None


def held(exchange: Exchange, symbol: str = "SPY") -> Decimal:
    return next((each.qty for each in exchange.positions() if each.symbol == symbol), Decimal(0))


@pytest.mark.parametrize(
    ("new", "old", "before", "after"),
    [("2", "1", "30", "60"), ("1", "10", "30", "3"), ("3", "2", "25", "37.5"), ("1", "3", "10", "3.333333333")],
)  # fmt: skip
@pytest.mark.parametrize("short", [False, True])
def test_a_split_changes_shares_and_keeps_their_cost_and_the_accounts_worth(
    lab: Any, client: Any, new: str, old: str, before: str, after: str, short: bool
) -> None:
    ratio = Decimal(new) / Decimal(old)
    exchange = lab.open(write(lab, [f"SPY,{DAY},split,{new},{old},"], float(ratio)))
    trader = client(exchange)
    trader.sell(before) if short else trader.buy(before)
    play_until(exchange, f"{EVE} 09:34", lab)
    sign = -1 if short else 1
    position, equity = exchange.position("SPY"), exchange.account().equity
    assert position.qty == Decimal(before) * sign
    minute = exchange.advance()
    assert minute is not None
    assert minute.time == lab.time(f"{DAY} 09:31")
    split = exchange.position("SPY")
    assert split.qty == Decimal(after) * sign
    assert split.cost == position.cost
    assert abs(exchange.account().equity - equity) < Decimal("0.00001")
    assert abs(exchange.account().last_equity - equity) < Decimal("0.00001")
    assert exchange.previous_close("SPY") == pytest.approx(Decimal(100) / ratio)
    assert exchange.previous_close("KO") == 50


def test_prices_are_in_new_shares_from_midnight_on_and_not_before(lab: Any, client: Any) -> None:
    exchange = lab.open(write(lab, [f"SPY,{DAY},split,2,1,"]))
    client(exchange).buy(10)
    play_until(exchange, f"{EVE} 09:34", lab)
    exchange.pass_time(lab.time(f"{EVE} 23:59"))
    assert (held(exchange), exchange.last_price("SPY")) == (10, 100)
    exchange.pass_time(lab.time(f"{DAY} 00:00"))
    assert (held(exchange), exchange.last_price("SPY")) == (20, 50)
    assert exchange.account().equity == 100_000
    points = exchange.equity_history(
        lab.time(f"{EVE} 09:30"), lab.time(f"{DAY} 09:30"), timedelta(minutes=1)
    )
    assert {(point.equity, point.profit_loss) for point in points} == {
        (Decimal(100_000), Decimal(0))
    }
    lab.play(exchange)
    points = exchange.equity_history(lab.time(f"{EVE} 09:30"), exchange.now, timedelta(minutes=1))
    assert {point.profit_loss for point in points} == {Decimal(0)}


@pytest.mark.parametrize(
    ("late", "due"), [("-600", f"{EVE} 23:30"), ("0", f"{DAY} 09:30"), ("2", f"{DAY} 09:32")]
)
def test_an_account_follows_early_or_late(lab: Any, client: Any, late: str, due: str) -> None:
    exchange = lab.open(
        write(lab, [f"SPY,{DAY},split,2,1,,{late}"], header=f"{HEADER},minutes_late")
    )
    client(exchange).buy(10)
    play_until(exchange, f"{EVE} 09:34", lab)
    seen = []
    for _ in range(4):
        exchange.pass_time(lab.time(due))
        seen.append((exchange.now >= lab.time(due), held(exchange), exchange.account().equity))
        exchange.advance()
    assert (True, Decimal(20), Decimal(100_000)) in seen
    assert all(qty == (20 if is_due else 10) for is_due, qty, _ in seen)
    early = [equity for is_due, _, equity in seen if not is_due]
    assert all(equity == 99_500 for equity in early), "half of it seems to be lost meanwhile"


def test_shares_bought_on_the_day_are_new_ones_though_the_account_follows_late(
    lab: Any, client: Any
) -> None:
    exchange = lab.open(write(lab, [f"SPY,{DAY},split,2,1,,2"], header=f"{HEADER},minutes_late"))
    client(exchange).buy(10)
    play_until(exchange, f"{DAY} 09:31", lab)
    client(exchange).buy(5)
    lab.play(exchange)
    assert held(exchange) == 25


def test_open_orders_for_old_shares_are_canceled_and_those_with_legs_stay(
    lab: Any, client: Any
) -> None:
    exchange = lab.open(write(lab, [f"SPY,{DAY},split,2,1,"]))
    trader = client(exchange)
    events: list[Any] = []
    exchange.listen(events.extend)
    trader.buy(10)
    exchange.advance()
    resting = trader.buy(1, limit=20, tif="gtc")
    other = trader.buy(1, "KO", limit=20, tif="gtc")
    legged = trader.sell(5, oco=(150, 30), tif="gtc")
    play_until(exchange, f"{EVE} 09:34", lab)
    exchange.pass_time(lab.time(f"{EVE} 20:00"))
    waiting = trader.sell(3, limit=90)
    exchange.advance()

    def state(order: ExchangeOrder) -> str:
        return str(trader.now(order).status)

    assert [state(each) for each in (resting, other, legged, waiting)] == [
        "canceled",
        "new",
        "new",
        "canceled",
    ]
    assert trader.now(resting).canceled_at == lab.time(f"{DAY} 00:00")
    assert {e.order.id for e in events if e.event == "canceled"} == {resting.id, waiting.id}
    assert held(exchange) == 20
    after = trader.sell(3)
    exchange.advance()
    assert state(after) == "filled"


def test_a_reverse_split_cancels_orders_with_legs_too(lab: Any, client: Any) -> None:
    exchange = lab.open(write(lab, [f"SPY,{DAY},split,1,10,"], 0.1))
    trader = client(exchange)
    trader.buy(10)
    exchange.advance()
    legged = trader.sell(10, oco=(1500, 30), tif="gtc")
    lab.play(exchange)
    assert trader.now(legged).status == "canceled"
    assert (held(exchange), exchange.available("SPY")) == (1, 1)


@pytest.mark.parametrize("new", ["2", "1"])
def test_orders_may_stay_as_they_are(lab: Any, client: Any, new: str) -> None:
    old = "1" if new == "2" else "4"
    exchange = lab.open(
        write(
            lab, [f"SPY,{DAY},split,{new},{old},,keep"], float(new) / float(old), f"{HEADER},orders"
        )
    )
    trader = client(exchange)
    trader.buy(8)
    exchange.advance()
    resting = trader.sell(6, limit=900, tif="gtc")
    lab.play(exchange)
    left = "new" if new == "2" else "canceled"
    assert trader.now(resting).status == left, "no exit may close more than there is"
    assert trader.now(resting).qty == 6


def test_orders_may_come_back_for_new_shares_under_another_id(lab: Any, client: Any) -> None:
    exchange = lab.open(write(lab, [f"SPY,{DAY},split,2,1,,replace"], header=f"{HEADER},orders"))
    trader = client(exchange)
    events: list[Any] = []
    exchange.listen(events.extend)
    trader.buy(10, id="bot-1")
    exchange.advance()
    stop = trader.sell(4, stop=90, tif="gtc", id="bot-2")
    limit = trader.sell(3, limit="130.25", tif="gtc", id="bot-3")
    trailing = trader.sell(1, trail=10, tif="gtc", id="bot-4")
    play_until(exchange, f"{DAY} 09:32", lab)
    pairs = [
        (trader.now(old), exchange.order(trader.now(old).replaced_by))
        for old in (stop, limit, trailing)
    ]
    for before, after in pairs:
        assert (before.status, after.status) == ("replaced", "new")
        assert after.replaces == before.id
        assert not after.client_order_id.startswith("bot-")
        assert after.submitted_at == lab.time(f"{DAY} 00:00")
        assert after.qty == before.qty * 2
    stops, limits, trails = (after for _, after in pairs)
    assert (stops.stop_price, limits.limit_price) == (Decimal(45), Decimal("65.12"))
    assert (trails.trail_price, trails.hwm, trails.stop_price) == (5, 50, 45)
    assert exchange.available("SPY") == 4
    assert [each.event for each in events].count("replaced") == 3
    assert {order.id for order in exchange.orders("open")} == {after.id for _, after in pairs}


def test_an_order_of_which_no_share_is_left_is_canceled(lab: Any, client: Any) -> None:
    exchange = lab.open(write(lab, [f"SPY,{DAY},split,1,10,,replace"], 0.1, f"{HEADER},orders"))
    trader = client(exchange)
    few = trader.buy(9, limit=20, tif="gtc")
    many = trader.buy(25, limit=20, tif="gtc")
    lab.play(exchange)
    assert trader.now(few).status == "canceled"
    after = exchange.order(trader.now(many).replaced_by)
    assert (after.qty, after.limit_price, after.status) == (2, 200, "new")


def test_a_renamed_position_goes_on_under_its_new_symbol(lab: Any, client: Any) -> None:
    lines = lab.rows("FB", f"{EVE} 09:30", [100] * 3) + lab.rows("META", f"{DAY} 09:30", [101] * 3)
    tape = lab.tape(lines, "names.csv")
    tape.with_name("names.corporate_actions.csv").write_text(f"{HEADER}\nFB,{DAY},rename,,,META\n")
    exchange = lab.open(tape)
    trader = client(exchange)
    trader.buy(10, "FB")
    exchange.advance()
    resting = trader.sell(5, "FB", limit=200, tif="gtc")
    lab.play(exchange)
    assert trader.now(resting).status == "canceled"
    (position,) = exchange.positions()
    assert (position.symbol, position.qty, position.cost) == ("META", 10, 1000)
    assert exchange.account().equity == 100_010
    points = exchange.equity_history(lab.time(f"{EVE} 09:30"), exchange.now, timedelta(minutes=1))
    assert points[-1].equity == 100_010


def test_the_brokers_list_is_that_of_the_data_as_far_as_it_is_announced(lab: Any) -> None:
    folder = write(
        lab,
        [f"SPY,{DAY},split,2,1,,", f"KO,2026-03-04,split,3,2,,{DAY}", "KO,2026-04-01,split,2,1,,", f"FB,{DAY},rename,,,META,"],
        header=f"{HEADER},announced",
    )  # fmt: skip
    exchange = lab.open(folder)
    broker = ExchangeBroker(SharedExchange(exchange))
    found = broker.corporate_actions({"SPY", "KO"}, SINCE, UNTIL)
    assert [(each.symbol, each.kind, each.text) for each in found] == [
        ("SPY", ActionKind.SPLIT, f"2:1 split of SPY on {DAY}")
    ]
    lab.play(exchange)
    again = broker.corporate_actions(["SPY", "KO"], SINCE, UNTIL)
    assert [each.symbol for each in again] == ["SPY", "KO"]
    assert again[0] == found[0], "an action keeps its id"
    (rename,) = broker.corporate_actions({"FB"}, SINCE, UNTIL)
    assert (rename.kind, rename.new_symbol) == (ActionKind.RENAME, "META")
    assert broker.corporate_actions({"SPY"}, date(2026, 3, 4), UNTIL) == []
    broker.close()


def test_a_bots_broker_and_feed_see_it_with_the_first_minute(lab: Any) -> None:
    exchange = lab.open(write(lab, [f"SPY,{DAY},split,2,1,"]))
    shared = SharedExchange(exchange)
    broker, feed = ExchangeBroker(shared), ExchangeFeed(shared)
    feed.subscribe(["SPY"])
    feed.keep()
    order = Order(
        "bot-1", "sma", "SPY", Side.BUY, Decimal(10), OrderType.MARKET, None, TimeInForce.DAY,
        feed.now(), 1, False, feed.now(),
    )  # fmt: skip
    broker.submit(order)
    while feed.now() < lab.time(f"{EVE} 09:34"):
        feed.next(0)
        feed.keep()
    assert [(each.qty, each.price) for each in broker.positions()] == [(10, 100)]
    batch = feed.next(0)
    while batch is not None and not batch.bars:
        batch = feed.next(0)
    assert batch is not None
    assert batch.bars[0].open == 50
    assert [(each.qty, each.avg_price, each.price) for each in broker.positions()] == [(20, 50, 50)]
    found = broker.order("bot-1")
    assert found is not None
    assert found.status is Status.FILLED
    assert found.qty == 10
    broker.close()
    feed.close()


def test_bars_that_a_program_gives_may_have_splits(lab: Any) -> None:
    bars = [
        Bar("SPY", lab.time(f"{day} 09:30"), price, price, price, price, 1000.0)
        for day, price in ((EVE, 100.0), (DAY, 25.0))
    ]
    split = listed_action("SPY", date.fromisoformat(DAY), Decimal(4))
    exchange = Exchange.in_memory(LedgerImage(GivenBars(bars, actions=[split]), RequestedTerms()))
    exchange.adjust("SPY", Decimal(3), Decimal(100))
    while exchange.advance() is not None:
        pass
    assert held(exchange) == 12


# The list


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("spy us,2026-03-03,split,2,1,", "symbol 'spy us' is not a ticker"),
        ("SPY,03/03/2026,split,2,1,", "ex_date '03/03/2026' is no date like"),
        ("SPY,2026-03-03,merger,2,1,", "kind 'merger' is neither split nor rename"),
        ("SPY,2026-03-03,split,two,1,", "new_shares 'two' is no number of shares"),
        ("SPY,2026-03-03,split,2,0,", "old_shares '0' is no number of shares"),
        ("SPY,2026-03-03,split,2,,", "old_shares '' is no number of shares"),
        ("SPY,2026-03-03,split,nan,1,", "new_shares 'nan' is no number of shares"),
        ("SPY,2026-03-03,split,1,1,", "new_shares '1' are as many as the old ones"),
        ("SPY,2026-03-03,split,2,1,QQQ", "new_symbol 'QQQ' of a split is empty"),
        ("SPY,2026-03-03,rename,,,", "new_symbol '' is not a ticker"),
        ("SPY,2026-03-03,rename,,,SPY", "new_symbol 'SPY' is the symbol itself"),
        ("SPY,2026-03-03,rename,2,1,QQQ", "new_shares '2' of a rename is 1 or empty"),
        ("SPY,2026-03-03,split,2,1", "5 fields where 6 are expected"),
        ("SPY,2026-03-05,split,2,1,", "SPY has a second split on 2026-03-05: keep one"),
    ],
)
def test_a_wrong_row_is_named_by_file_line_and_column(lab: Any, row: str, reason: str) -> None:
    folder = write(lab, ["SPY,2026-03-05,split,2,1,", "", row])
    with pytest.raises(ConfigError) as refused:
        lab.open(folder)
    assert f"{folder}/corporate_actions.csv line 4: {reason}" in str(refused.value)
    assert not list(lab.folder.glob("*.db")), "no ledger is begun"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty; its first line must be symbol,ex_date"),
        ("symbol,exdate,kind,new_shares,old_shares,new_symbol\n", "line 1: no column ex_date"),
        (f"{HEADER},symbol\n", "line 1: has column symbol twice"),
        (f"{HEADER},minutes_late\nSPY,2026-03-03,split,2,1,,1.5\n", "line 2: minutes_late '1.5' is no whole"),
        (f"{HEADER},minutes_late\nSPY,2026-03-03,split,2,1,,-2000\n", "line 2: minutes_late '-2000' is no"),
        (f"{HEADER},orders\nSPY,2026-03-03,split,2,1,,drop\n", "line 2: orders 'drop' is neither"),
        (f"{HEADER},orders\nSPY,2026-03-03,rename,,,QQQ,keep\n", "line 2: orders 'keep' of a rename"),
        (f"{HEADER},announced\nSPY,2026-03-03,split,2,1,,soon\n", "line 2: announced 'soon' is no date"),
    ],
)  # fmt: skip
def test_a_wrong_list_is_refused_in_a_line(lab: Any, text: str, reason: str) -> None:
    folder = write(lab, [])
    folder.joinpath("corporate_actions.csv").write_text(text)
    with pytest.raises(ConfigError, match=reason):
        lab.open(folder)


def test_a_ledger_refuses_other_actions_than_those_it_carried_out(lab: Any, client: Any) -> None:
    folder = write(lab, [f"SPY,{DAY},split,2,1,"])
    exchange = lab.open(folder, "one.db")
    client(exchange).buy(10)
    play_until(exchange, f"{DAY} 09:32", lab)
    exchange.close()
    actions = folder / "corporate_actions.csv"
    actions.write_text(f"{HEADER}\nSPY,{DAY},split,3,1,\n")
    with pytest.raises(
        ConfigError, match=f"carried out a 2:1 split of SPY on {DAY}, the data list 3:1"
    ):
        lab.open(folder, "one.db")
    actions.write_text(f"{HEADER}\nSPY,{DAY},split,2,1,\nKO,{DAY},split,2,1,\n")
    with pytest.raises(
        ConfigError, match=f"lists a 2:1 split of KO on {DAY}, and the ledger's clock"
    ):
        lab.open(folder, "one.db")
    actions.write_text(f"{HEADER}\nSPY,{DAY},split,2,1,\nKO,2026-03-04,split,2,1,\n")
    again = lab.open(folder, "one.db")
    lab.play(again)
    assert held(again) == 20


# Killed anywhere


@pytest.mark.slow(seconds=10)
@pytest.mark.parametrize(
    ("new", "old", "more"),
    [(2, 1, ","), (1, 10, ","), (3, 2, ","), (3, 2, "-600,replace"), (2, 1, "1,keep")],
)
def test_killed_at_every_commit_and_opened_again_it_ends_the_same(
    lab: Any, player: dict[str, Any], new: int, old: int, more: str
) -> None:
    folder = write(
        lab, [f"SPY,{DAY},split,{new},{old},,{more}"], new / old, f"{HEADER},minutes_late,orders"
    )
    copies, copy = lab.killed_copies("whole.db")

    def act(exchange: Exchange) -> None:
        player["act"](exchange, copy)

    exchange = lab.open(folder, "whole.db", multiplier=Decimal(2))
    exchange.adjust("SPY", Decimal(7), Decimal(100))
    player["play"](exchange, copy)
    exchange.close()
    whole = player["contents"](lab.folder / "whole.db")
    assert len(whole["corporate_actions"]) == 1
    assert len(copies) > 20
    for ledger in copies:
        again = lab.open(folder, str(ledger.relative_to(lab.folder)), multiplier=Decimal(2))
        player["play"](again)
        again.close()
        assert player["contents"](ledger) == whole, ledger


@pytest.mark.slow(seconds=12)
def test_killed_for_real_around_a_split(lab: Any, player: dict[str, Any]) -> None:
    """SIGKILL at random moments of a play that the split stands in the middle of."""
    folder = write(lab, [f"SPY,{DAY},split,3,2,,,replace"], 1.5, f"{HEADER},minutes_late,orders")
    exchange = lab.open(folder, "whole.db", multiplier=Decimal(2))
    player["play"](exchange)
    exchange.close()
    lab.open(folder, "ledger.db", multiplier=Decimal(2)).close()
    rng, killed = Random(4), 0
    command = [sys.executable, player["__file__"], str(lab.folder / "ledger.db"), str(folder)]
    for _ in range(6):
        process = subprocess.Popen([*command, "0.03"], stderr=subprocess.PIPE)
        try:
            process.wait(0.3 + rng.uniform(0, 0.5))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += 1
        _, errors = process.communicate()
        assert not errors
    assert killed
    subprocess.run([*command, "0"], check=True, timeout=60)
    whole = player["contents"](lab.folder / "whole.db")
    assert player["contents"](lab.folder / "ledger.db") == whole
    assert len(whole["corporate_actions"]) == 1


def test_in_memory_a_split_is_what_it_is_on_a_file(
    lab: Any, player: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(lab.folder / "cache"))
    folder = write(lab, [f"SPY,{DAY},split,3,2,", "KO,2026-03-04,split,2,1,"], 1.5)
    exchanges = [
        lab.open(folder),
        Exchange.in_memory(LedgerImage(open_data(str(folder)), RequestedTerms())),
    ]
    while True:
        for each in exchanges:
            player["act"](each, lambda: None)
        exchanges = [each.opened_again() for each in exchanges]
        minutes = [each.advance() for each in exchanges]
        assert minutes[0] == minutes[1]
        seen = [
            (
                each.account(), each.positions(), each.every_order(), each.followed_actions(),
                [(each.last_price(name), each.previous_close(name)) for name in each.symbols],
                each.equity_history(lab.time(f"{EVE} 09:30"), each.now, timedelta(minutes=1)),
            )
            for each in exchanges
        ]  # fmt: skip
        assert seen[0] == seen[1]
        if minutes[0] is None:
            break


# The simulated market


def test_a_simulated_split_divides_prices_and_multiplies_volumes(lab: Any) -> None:
    plain, split = (
        list(open_data(f"simulated:symbols=2,sessions=2{more}").bars())
        for more in ("", f",split=SPY@{DAY}@2:1")
    )
    assert len(plain) == len(split)
    for one, other in zip(plain, split, strict=True):
        if one.symbol != "SPY" or one.time < lab.time(f"{DAY} 00:00"):
            assert one == other
        else:
            assert other.close == pytest.approx(one.close / 2, abs=0.006)
            assert other.volume == one.volume * 2
            assert (
                other.low
                <= min(other.open, other.close)
                <= max(other.open, other.close)
                <= other.high
            )


def test_a_ledger_goes_on_with_its_simulated_splits_and_refuses_others(
    lab: Any, client: Any
) -> None:
    spec = "simulated:symbols=1,sessions=2"
    exchange = lab.open(f"{spec},split=SPY@{DAY}@10:1", "simulated.db")
    client(exchange).buy(2)
    exchange.advance()
    exchange.close()
    again = lab.open(spec, "simulated.db")
    play_until(again, f"{DAY} 09:31", lab)
    assert held(again) == 20
    again.close()
    with pytest.raises(ConfigError, match="was created with other data"):
        lab.open(f"{spec},split=SPY@{DAY}@5:1", "simulated.db")


@pytest.mark.parametrize(
    "text", ["SPY", "SPY@2026-03-03", "SPY@soon@2:1", "SPY@2026-03-03@2:2", "KO@2026-03-03@2:1"]
)
def test_a_wrong_simulated_split_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="split"):
        open_data(f"simulated:symbols=1,split={text}")
