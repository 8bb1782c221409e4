"""Corporate actions beside fetched bars: what `smabot data fetch` lists, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.cli import main
from smabot.domain.order_terms import Side
from smabot_exchange.embedded import KEY_ID, SECRET_KEY
from smabot_exchange.exchange import Exchange
from smabot_exchange.faults.fault_files import parse_faults
from smabot_exchange.http.auth import ApiKeys
from smabot_exchange.http.server import ServerThread, listen
from smabot_exchange.http.venue import Venue
from smabot_exchange.ledger.beginning import Beginning
from smabot_exchange.matching.orders import OrderRequest

pytestmark = pytest.mark.plugins  # one that is not installed leaves a warning

STORE = Path("data/bars")
LIST = STORE / "corporate_actions.csv"
HEADER = "symbol,ex_date,kind,new_shares,old_shares,new_symbol"
SPLITS = ["SPY,2026-03-04,split,2,1,", "AAPL,2026-03-05,split,1,10,"]


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    """Four sessions are the past; SPY is split in the third, AAPL in the fourth."""
    data = "simulated:symbols=3,sessions=5,split=SPY@2026-03-04@2:1,split=AAPL@2026-03-05@1:10"
    exchange = Exchange(tmp_path / "market.db", data, beginning=Beginning(4))
    yield Venue(exchange, ApiKeys({KEY_ID: SECRET_KEY}))
    exchange.close()


@pytest.fixture
def fetch(
    in_tmp: Path, venue: Venue, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Any]]:
    server = ServerThread(venue, listen())
    server.start()

    def fetch(*more: str, symbols: str = "SPY,AAPL,MSFT") -> Any:
        asked = ["--symbols", symbols, "--from", "2026-03-02", "--url", server.url, *more]
        return main(["data", "fetch", *asked]), capsys.readouterr()

    yield fetch
    server.stop()


def listed() -> list[str]:
    header, *rows = LIST.read_text().splitlines()
    assert header == HEADER
    return rows


def test_splits_of_the_days_are_listed_beside_raw_bars(fetch: Any) -> None:
    code, said = fetch("--to", "2026-03-04")
    assert (code, said.err) == (0, "")
    assert f"1 corporate action added to {LIST}" in said.out
    assert listed() == SPLITS[:1]
    code, said = fetch("--json")
    assert json.loads(said.out)["corporate_actions"] == 1
    assert listed() == SPLITS
    before = LIST.stat().st_mtime_ns
    code, said = fetch()
    assert "corporate actions" not in said.out
    assert LIST.stat().st_mtime_ns == before


def test_what_is_listed_already_stays_as_it_is(fetch: Any) -> None:
    STORE.mkdir(parents=True)
    LIST.write_text(
        f"{HEADER},minutes_late\nMSFT,2026-03-03,rename,,,MSF,\nSPY,2026-03-04,split,2,1,,15\n"
    )
    assert fetch()[0] == 0
    assert LIST.read_text().splitlines() == [
        f"{HEADER},minutes_late", "MSFT,2026-03-03,rename,,,MSF,", "SPY,2026-03-04,split,2,1,,15",
        "AAPL,2026-03-05,split,1,10,,",
    ]  # fmt: skip


def test_a_bad_list_is_refused_before_anything_is_fetched(fetch: Any) -> None:
    STORE.mkdir(parents=True)
    LIST.write_text(f"{HEADER}\nSPY,2026-03-04,split,2,none,\n")
    code, said = fetch()
    assert code == 3
    assert f"{LIST} line 2: old_shares 'none' is no number" in said.err
    assert [*STORE.glob("*.csv")] == [LIST]


@pytest.mark.parametrize("adjustment", ["split", "all"])
def test_bars_that_are_adjusted_for_splits_get_no_list(fetch: Any, adjustment: str) -> None:
    code, said = fetch("--adjustment", adjustment)
    assert (code, LIST.exists()) == (0, False)
    assert "split?" not in said.out


def test_without_the_list_bars_are_kept_and_a_warning_says_so(fetch: Any, venue: Venue) -> None:
    venue.faults.add(
        parse_faults({"kind": "error", "status": 403, "times": 1, "path": "/v1/corporate-actions"})[
            1
        ]
    )
    code, said = fetch()
    assert code == 0
    assert (
        "not which splits lie between them: corporate actions: the key has no permission"
        in said.err
    )
    assert not LIST.exists()
    fetch()
    assert listed() == SPLITS


def test_an_exchange_on_the_folder_follows_the_splits(fetch: Any, tmp_path: Path) -> None:
    fetch()
    exchange = Exchange(tmp_path / "backtest.db", str(STORE))
    assert not [note for note in exchange.notes if "split" in note]
    for symbol in ("SPY", "AAPL"):
        exchange.submit(OrderRequest(symbol, Side.BUY, Decimal(20)))
    while exchange.advance() is not None:
        pass
    assert {each.symbol: each.qty for each in exchange.positions()} == {"SPY": 40, "AAPL": 2}
    exchange.close()


def test_list_and_check_tell_of_them(fetch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fetch()
    assert main(["data", "list"]) == 0
    assert "corporate actions: 2 listed: 2:1 split of SPY on 2026-03-04" in capsys.readouterr().out
    assert main(["data", "check", str(STORE)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "a 2:1 split? It is listed among the corporate actions" in told
    assert "actions 2 listed: 2:1 split of SPY on 2026-03-04; 1:10 split of AAPL" in told
    assert "smabot adjusts no prices" not in told
    assert main(["data", "check", str(STORE), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [each["symbol"] for each in data["corporate_actions"]] == ["SPY", "AAPL"]
    assert all(each["listed"] for file in data["files"] for each in file["suspected_splits"])


def test_a_listed_split_that_prices_do_not_show_is_told(
    fetch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch("--adjustment", "split")
    LIST.write_text("\n".join([HEADER, *SPLITS]) + "\n")
    assert main(["data", "check", str(STORE)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "2:1 split of SPY on 2026-03-04 is listed, and SPY opens at" in told
    assert "the prices do not show it: list no split for bars that are adjusted for it" in told


def test_a_bad_list_is_what_the_check_refuses(
    fetch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch()
    LIST.write_text(f"{HEADER}\nSPY,soon,split,2,1,\n")
    assert main(["data", "check", str(STORE)]) == 3
    assert "ex_date 'soon' is no date" in " ".join(capsys.readouterr().out.split())
