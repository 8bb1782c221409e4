"""Order ids as an operator types them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smabot.cli.app import App
from smabot.cli.records.order_ids import find_order, short_id
from smabot.domain.order_terms import Side, Status
from smabot.errors import UsageError

pytest.importorskip("smabot_persistence_sqlite")

BAR = datetime(2026, 3, 2, 15, 53, tzinfo=UTC)
Find = Callable[[str], str]


@pytest.fixture
def find(journal: Any, make_order: Any) -> Iterator[Find]:
    def order(
        strategy: str, symbol: str, minute: int, attempt: int = 1, bot: str = "smabot"
    ) -> Any:
        bar = BAR + timedelta(minutes=minute)
        name = f"{bot}-{strategy}-{symbol}-{bar:%Y%m%dT%H%MZ}-{attempt}"
        return make_order(
            0, symbol, Side.BUY, Status.FILLED, client_order_id=name, strategy=strategy,
            bar_time=bar, attempt=attempt, created_at=bar + timedelta(minutes=1),
        )  # fmt: skip

    journal.commit(
        [
            order("sma", "AAPL", 0),
            order("sma", "AAPL", 5),
            *(order("sma", "AAPL", 5, attempt) for attempt in range(2, 12)),
            order("mean-back", "BRK.B", 0),
            order("", "SPY", 1),
            order("sma", "SPY", 1),
            order("sma", "IBM", 2, bot="Second-bot"),
            make_order(3, "SPY", Side.BUY, Status.FILLED, client_order_id="by-hand", strategy=""),
        ]
    )
    app = App()
    app.db = Path("data/trades.db")
    with app.rows() as rows:
        yield lambda text: short_id(find_order(rows, text).client_order_id)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("smabot-sma-AAPL-20260302T1553Z-1", "sma-AAPL-20260302T1553Z-1"),
        ("sma-AAPL-20260302T1553Z-1", "sma-AAPL-20260302T1553Z-1"),
        ("SMA-aapl-20260302t1553z-1", "sma-AAPL-20260302T1553Z-1"),
        ("AAPL-20260302T1553Z-1", "sma-AAPL-20260302T1553Z-1"),
        (" aapl-20260302T1553 ", "sma-AAPL-20260302T1553Z-1"),
        ("sma-AAPL-20260302T1558Z-1", "sma-AAPL-20260302T1558Z-1"),
        ("AAPL-20260302T1558Z-1", "sma-AAPL-20260302T1558Z-1"),
        ("AAPL-20260302T1558Z-10", "sma-AAPL-20260302T1558Z-10"),
        ("brk.b", "mean-back-BRK.B-20260302T1553Z-1"),
        ("back-BRK.B-20260302", "mean-back-BRK.B-20260302T1553Z-1"),
        ("20260302T1555Z-1", "Second-bot-sma-IBM-20260302T1555Z-1"),
        ("second-BOT-sma-ibm-20260302T1555Z-1", "Second-bot-sma-IBM-20260302T1555Z-1"),
        ("-SPY-20260302T1554Z-1", "smabot--SPY-20260302T1554Z-1"),
        ("by-h", "by-hand"),
    ],
)
def test_an_order_is_found_by_its_id_or_a_part_that_no_other_has(
    find: Find, typed: str, found: str
) -> None:
    assert find(typed) == found


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (
            "AAPL",
            "more than one order has 'AAPL' in its id: give more of it: sma-AAPL-20260302T1558Z-1, "
            "sma-AAPL-20260302T1558Z-10, sma-AAPL-20260302T1558Z-11, sma-AAPL-20260302T1558Z-2, …",
        ),
        (
            "spy-20260302T1554Z-1",
            "more than one order has 'spy-20260302T1554Z-1' in its id: give more of it: "
            "smabot--SPY-20260302T1554Z-1, sma-SPY-20260302T1554Z-1",
        ),
        (
            "smabot-sma-AAPL-20260302T1554Z-1",
            "there is no order 'smabot-sma-AAPL-20260302T1554Z-1' (did you mean "
            "'sma-AAPL-20260302T1558Z-1'?): `smabot orders` lists them",
        ),
        ("%", "there is no order '%': `smabot orders` lists them"),
        ("", "there is no order '': `smabot orders` lists them"),
    ],
)  # fmt: skip
def test_what_is_no_orders_id_names_candidates(find: Find, typed: str, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        find(typed)
    assert str(refused.value) == told


def test_a_part_of_an_id_reads_few_of_many_orders(journal: Any, make_order: Any) -> None:
    bars = [BAR + timedelta(minutes=n) for n in range(3000)]
    journal.commit(
        [
            make_order(
                0, "SPY", Side.BUY, Status.FILLED, bar_time=bar, created_at=bar,
                client_order_id=f"smabot-sma-SPY-{bar:%Y%m%dT%H%MZ}-1",
            )
            for bar in bars
        ]
    )  # fmt: skip

    class Counting:
        read = 0

        def rows(self, *given: Any, **options: Any) -> Any:
            found = journal.rows(*given, **options)
            self.read += len(found)
            return found

        def row(self, *given: Any) -> Any:
            return journal.row(*given)

    rows = Counting()
    assert find_order(rows, f"SPY-{bars[0]:%Y%m%dT%H%MZ}").bar_time == bars[0]
    assert rows.read < 400
    with closing(journal), pytest.raises(UsageError, match="more than one order"):
        find_order(rows, "SPY")
