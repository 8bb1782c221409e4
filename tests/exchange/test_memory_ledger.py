"""An exchange in memory says what one on a file says: the same data, orders and faults, every question."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from smabot.domain.order_terms import Side
from smabot_exchange.data.data_files import DataFiles
from smabot_exchange.exchange import Exchange
from smabot_exchange.faults.fault_kinds import KINDS
from smabot_exchange.faults.fault_plan import FaultPlan
from smabot_exchange.ledger.beginning import Beginning
from smabot_exchange.ledger.memory_ledger import LedgerImage
from smabot_exchange.matching.account import RequestedTerms
from smabot_exchange.matching.orders import OrderFilter, RequestRefused

SYMBOLS = ("IBM", "KO", "SPY")
DAYS = ("2026-03-02", "2026-03-03", "2026-03-05")
STATUSES: tuple[Literal["open", "closed", "all"], ...] = ("open", "closed", "all")
FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("halt", {"symbol": "KO", "minutes": 3}),
    ("halt", {"symbol": "*", "minutes": 2, "times": 2, "probability": 0.3}),
    ("cash_moved", {"amount": Decimal(250), "probability": 0.2}),
    ("lost_answer", {"times": 2}),
    ("stuck_pending", {"minutes": 2, "times": 3}),
    ("rejected_later", {"times": 2}),
    ("account_flag", {"minutes": 2, "probability": 0.2}),
)
TERMS = RequestedTerms(
    cash=Decimal(20_000),
    max_volume_share=Decimal("0.1"),
    half_spread=Decimal("0.01"),
    costs={"commission_minimum": Decimal(1), "taf_per_share": Decimal("0.000195")},
)
MINUTE = timedelta(minutes=1)


def write(lab: Any, rng: Random) -> Path:
    """A tape with gaps, whose symbols alternate within a minute, and that lacks some counts and averages."""
    lines = []
    prices = dict.fromkeys(SYMBOLS, 40.0)
    for day in DAYS:
        for minute in range(rng.randrange(3, 12)):
            for symbol in rng.sample(SYMBOLS, len(SYMBOLS)):
                if rng.random() < 0.3:
                    continue
                opens = prices[symbol]
                closes = prices[symbol] = round(opens + rng.uniform(-0.4, 0.4), 2)
                four = [opens, max(opens, closes) + 0.125, min(opens, closes) - 0.125, closes]
                row: str = lab.row(
                    symbol, f"{day} 09:{30 + minute}", four, rng.choice([0, 155, 4000])
                )
                said = rng.choice([",,", ",12,", f",,{closes}", f",0,{closes}"])
                lines.append(row.removesuffix(",,") + said)
    lines += [lab.row(symbol, "2026-03-06 09:30", 40) for symbol in ("SPY", "AXP")]
    tape = Path(lab.tape(lines))
    late, orders = rng.choice(["", "-700", "2"]), rng.choice(["", "keep", "replace"])
    tape.with_name("tape.corporate_actions.csv").write_text(
        "symbol,ex_date,kind,new_shares,old_shares,new_symbol,minutes_late,orders\n"
        f"SPY,2026-03-03,split,3,2,,{late},{orders}\n"
        f"KO,2026-03-04,split,1,{rng.choice([3, 10])},,,{orders}\n"
        "IBM,2026-03-06,rename,,,AXP,,\n"
    )
    return tape


def faulty(chosen: list[int], seed: int) -> FaultPlan:
    return FaultPlan(
        [KINDS[kind](**fields) for kind, fields in map(FAULTS.__getitem__, chosen)], seed
    )


def disturb(exchange: Exchange, rng: Random) -> None:
    """What comes to the account from outside."""
    for symbol in (*exchange.symbols, "NONE"):
        if rng.random() < 0.1:
            try:
                exchange.adjust(symbol, Decimal(rng.choice([-3, 5])), Decimal(40))
            except RequestRefused:
                continue
    if rng.random() < 0.1:
        exchange.transfer(Decimal(rng.choice([-100, 100])))


def answers(exchange: Exchange, rng: Random) -> dict[str, Any]:
    """Every question that a client may ask, some of them with whatever was drawn."""
    orders = exchange.every_order()
    now = exchange.now
    times = [
        now,
        now - MINUTE,
        now - timedelta(seconds=1.5),
        now - timedelta(days=1),
        exchange.calendar.sessions[0].open,
    ]
    stamps = [
        None,
        *(
            order.submitted_ns + shift
            for order in rng.sample(orders, min(len(orders), 2))
            for shift in (-1, 0, 1)
        ),
    ]
    some = frozenset(rng.sample((*exchange.symbols, "NONE"), 2))
    filters = [
        OrderFilter(status, after, until, symbols, side, limit, newest, after_seq, before_seq, parents)
        for status, after, until, symbols, side, limit, newest, after_seq, before_seq, parents in (
            (
                rng.choice(STATUSES), rng.choice(stamps), rng.choice(stamps), rng.choice((None, some)),
                rng.choice((None, *Side)), rng.choice((None, 1, 3)), rng.random() < 0.5, rng.choice((None, 0, 2)),
                rng.choice((None, 9)), rng.random() < 0.5,
            )
            for _ in range(12)
        )
    ]  # fmt: skip
    pages = product(
        (None, 0, 2),
        (None, 0, 3),
        (True, False),
        (None, rng.choice(times)),
        (None, rng.choice(times)),
    )
    since, symbols = rng.choice(times), exchange.symbols
    return {
        "now": (now, exchange.next_time(), exchange.minutes, exchange.flags),
        "account": exchange.account(),
        "positions": (exchange.positions(), [exchange.available(symbol) for symbol in symbols]),
        "orders": (orders, [exchange.orders(s, t) for s in STATUSES for t in (None, since)]),
        "legs": [exchange.legs(order) for order in orders],
        "found": [exchange.find_orders(wanted) for wanted in filters],
        "executions": (exchange.executions(), exchange.executions(since)),
        "activities": [exchange.activities(*page) for page in pages],
        "prices": [(exchange.last_price(symbol), exchange.previous_close(symbol)) for symbol in symbols],
        "actions": (
            exchange.corporate_actions(None, date(2026, 1, 1), date(2026, 12, 31)), exchange.followed_actions(),
        ),
        "latest": exchange.latest_bars((*symbols, "NONE")),
        "bars": list(exchange.bars(some | {"SPY"}, since, now)),
        "history": [
            list(exchange.history(wanted, start, newest))
            for wanted in (None, some)
            for start in (None, since)
            for newest in (None, 1, 4)
        ],
        "equity": exchange.equity_history(times[-1], now, rng.choice((MINUTE, timedelta(minutes=5)))),
    }  # fmt: skip


@pytest.mark.slow(seconds=25)
@given(
    seed=st.integers(0, 2**32),
    chosen=st.lists(st.integers(0, len(FAULTS) - 1), max_size=2, unique=True),
    history=st.sampled_from([0, 0, 1]),
)
@settings(
    max_examples=5,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_in_memory_and_on_a_file_all_answers_are_the_same(
    lab: Any,
    player: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    chosen: list[int],
    history: int,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(lab.folder / "cache"))
    tape, begins = write(lab, Random(seed)), Beginning(history)
    ledger = lab.folder / "both.db"
    ledger.unlink(missing_ok=True)
    exchanges = [
        Exchange(ledger, str(tape), TERMS, faulty(chosen, seed), beginning=begins),
        Exchange.in_memory(LedgerImage(DataFiles(tape), TERMS, begins), faulty(chosen, seed)),
    ]
    try:
        minute: Any = None
        for step in range(100):
            if step % 4 == 3 or minute is None:
                on_file, in_memory = (answers(each, Random(seed + step)) for each in exchanges)
                for question, answer in on_file.items():
                    assert in_memory[question] == answer, (question, exchanges[0].now)
            if step and minute is None:
                break
            for each in exchanges:
                player["act"](each, lambda: None)
                disturb(each, Random(seed + step))
            if step % 5 == 4:
                exchanges = [each.opened_again() for each in exchanges]
            minute, other = (each.advance() for each in exchanges)
            assert minute == other
    finally:
        exchanges[0].close()
