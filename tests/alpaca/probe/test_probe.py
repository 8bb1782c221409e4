"""The probe at the built-in exchange: all as expected, nothing left, whatever happens on the way."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.cli import main
from smabot.errors import ConfigError
from smabot.settings.model import Config
from smabot.system.lock import FileLock
from smabot_alpaca.probe import probe_guard
from smabot_alpaca.probe.catalogue import ASSUMPTIONS, TRIED
from smabot_alpaca.probe.probe_account import FarPrices, ProbeAccount
from smabot_alpaca.probe.probe_guard import connect_to_paper, open_account
from smabot_alpaca.probe.seen import Seen
from smabot_alpaca.settings import AlpacaSettings

pytestmark = pytest.mark.plugins
SECRET_ID, SECRET = "PKOFSOMEBODYELSE", "a-secret-of-somebody"


# -- all is as expected ----------------------------------------------------------------------------


def test_all_is_as_expected_in_a_session(serve: Any, probe: Any) -> None:
    place = serve()
    done = probe(place)
    assert (done.code, done.err) == (0, "")
    closed = {each.number for each in TRIED if each.market == "closed"}
    assert done.results == {
        each.number: "not tried"
        if each.procedure is None or each.number in closed
        else "as expected"
        for each in ASSUMPTIONS
    }
    assert {done.of(number)["why"] for number in closed} == {"market open"}
    assert place.untouched
    assert done.file["as_seen"] == {}
    assert max(map(len, done.out.splitlines()[:-1])) <= 80


def test_all_is_as_expected_while_the_market_is_closed(serve: Any, probe: Any) -> None:
    place = serve()
    place.end()
    done = probe(place)
    assert done.code == 0
    needs_open = {each.number for each in TRIED if each.market == "open"}
    assert {number for number, result in done.results.items() if result == "differs"} == set()
    assert {done.of(number)["why"] for number in needs_open} == {"market closed"}
    assert done.results[2] == done.results[34] == "as expected"
    assert place.untouched


def test_every_order_is_far_from_the_market_and_of_one_share(serve: Any, probe: Any) -> None:
    done = probe(serve())
    sent = [
        answer["sent"]
        for each in done.file["assumptions"]
        for answer in each["answers"]
        if answer.get("request") == "POST /v2/orders"
    ]
    assert len(sent) > 40
    assert {body["qty"] for body in sent} <= {"1", "0.5"}
    assert {body["type"] for body in sent} == {"limit", "stop"}
    for body in sent:
        price = Decimal(body.get("limit_price") or body["stop_price"])
        buys_low = (body["side"] == "buy") == (body["type"] == "limit")
        assert price <= Decimal("50.01") if buys_low else price >= 150


def test_prices_keep_their_distance_from_the_widest_quote() -> None:
    prices = FarPrices.from_market(Decimal("90.01"), Decimal("110.01"))
    assert (prices.below, prices.above) == (Decimal("45.00"), Decimal("165.01"))


def test_some_of_them(serve: Any, probe: Any) -> None:
    done = probe(serve(), "--only", "9, 3")
    assert list(done.results) == [9, 3]
    assert done.code == 0


def test_the_list_needs_no_account(probe: Any) -> None:
    done = probe(None, "--list")
    assert (done.code, done.err, done.file) == (0, "", {})
    assert "expires_at of a gtc order is 90 days later." in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_json_is_one_document_without_the_answers(serve: Any, probe: Any) -> None:
    import json

    done = probe(serve(), "--only", "5", "--json")
    document = json.loads(done.out)
    assert document["assumptions"][0]["result"] == "as expected"
    assert "answers" not in document["assumptions"][0]
    assert done.of(5)["answers"][0]["request"] == "POST /v2/orders"


# -- nothing is left -------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_all_cleaned_up(
    serve: Any, probe: Any, instead: Any, number: signal.Signals
) -> None:
    place = serve()

    def interrupted(at: ProbeAccount) -> Seen:
        at.submit()
        os.kill(os.getpid(), number)
        return Seen("text")

    instead(interrupted)
    before = signal.getsignal(signal.SIGTERM)
    done = probe(place, "--only", "3,5,6")
    assert done.code == 130
    assert done.results == {3: "as expected"}
    assert place.untouched
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_error_ends_it_with_all_cleaned_up(serve: Any, probe: Any, instead: Any) -> None:
    place = serve()

    def failing(at: ProbeAccount) -> Seen:
        at.submit()
        raise RuntimeError("a mistake")

    instead(failing)
    done = probe(place, "--only", "3,5,6")
    assert done.code == 1
    assert "a mistake" in done.err
    assert done.results == {3: "as expected"}
    assert place.untouched


def test_an_order_whose_answer_is_lost_is_found_and_canceled(serve: Any, probe: Any) -> None:
    place = serve()
    place.arm({"kind": "reset", "method": "POST", "when": "after", "nth": 1})
    done = probe(place, "--only", "5,9")
    assert done.code == 1
    assert done.results == {5: "not tried", 9: "as expected"}
    assert "the connection broke before the answer came" in done.of(5)["why"]
    assert place.untouched
    assert len(place.exchange.orders("all")) == 2


def test_an_order_that_is_never_found_is_named(serve: Any, probe: Any) -> None:
    place = serve()
    place.arm({"kind": "lost_answer", "nth": 1})
    done = probe(place, "--only", "5")
    assert done.code == 1
    (line,) = done.file["left"]
    assert line.startswith("order smabot-probe-")
    assert line.endswith("was sent, was not answered and is not found: look for it at the broker")
    assert "LEFT" in done.out


def test_an_order_that_can_not_be_canceled_is_named(serve: Any, probe: Any) -> None:
    place = serve()
    place.arm({"kind": "stuck_cancel"})
    done = probe(place, "--only", "5")
    assert (done.code, done.results) == (1, {5: "as expected"})
    (order,) = place.exchange.orders("open")
    expected = f"order {order.client_order_id} may be open: cancel it at the broker"
    assert done.file["left"] == [expected]


def test_what_failed_to_be_canceled_is_canceled_at_the_end(serve: Any, probe: Any) -> None:
    place = serve()
    place.arm({"kind": "error", "method": "DELETE", "times": 1})
    done = probe(place, "--only", "5,9")
    assert (done.code, done.file["left"]) == (0, [])
    assert place.untouched


def test_shares_that_came_meanwhile_are_named(serve: Any, probe: Any, instead: Any) -> None:
    place = serve()

    def filled(at: ProbeAccount) -> Seen:
        place.exchange.adjust("SPY", Decimal(1), Decimal(100))
        return Seen("text")

    instead(filled)
    done = probe(place, "--only", "5")
    assert done.code == 1
    assert done.file["left"] == ["+1 shares of SPY came meanwhile: close what is not yours"]


def test_a_key_that_is_refused_on_the_way_ends_it(serve: Any, probe: Any, instead: Any) -> None:
    place = serve()

    def refused(at: ProbeAccount) -> Seen:
        place.arm({"kind": "keys_refused"})
        at.submit()
        return Seen("text")

    instead(refused)
    done = probe(place, "--only", "3,5,6")
    assert done.code == 4
    assert done.results == {3: "as expected"}
    assert "did not accept the key" in done.err


# -- wrong answers ---------------------------------------------------------------------------------


def test_a_broken_server_is_no_difference(serve: Any, probe: Any) -> None:
    place = serve()
    place.arm({"kind": "error", "method": "POST", "status": 500, "html": True})
    done = probe(place, "--only", "5,30")
    assert (done.code, done.results) == (1, {5: "not tried", 30: "as expected"})


def test_an_answer_that_lacks_a_field_differs(serve: Any, probe: Any, instead: Any) -> None:
    instead(lambda at: Seen(at.submit()["no_such_field"]))
    done = probe(serve(), "--only", "5")
    assert (done.code, done.results) == (1, {5: "differs"})
    assert done.seen(5) == "an answer without what was asked for: KeyError 'no_such_field'"
    assert not done.of(5)["played_back"]


def test_what_the_procedure_takes_for_granted_is_refused(serve: Any, probe: Any) -> None:
    place = serve()
    place.exchange.flag("trading_blocked")
    done = probe(place, "--only", "5")
    assert done.seen(5) == (
        "what it takes was refused: 403 40310000 account is not authorized to trade"
    )


def test_an_account_that_can_not_sell_short_tries_no_sale(serve: Any, probe: Any) -> None:
    place = serve()
    place.exchange.transfer(Decimal(-99_000))
    done = probe(place, "--only", "37,33")
    assert {done.of(number)["why"] for number in (33, 37)} == {"the account may not sell short"}


# -- where it refuses to run -----------------------------------------------------------------------


def refused(probe: Any, place: Any, *arguments: str) -> tuple[int, str]:
    done = probe(place, *arguments)
    assert (done.out, done.file) == ("", {})
    assert done.err.count("\n") == 1
    return done.code, done.err


def test_without_a_key(probe: Any) -> None:
    code, said = refused(probe, None)
    assert (code, "needs a paper account's key: set APCA_API_KEY_ID" in said) == (3, True)


def test_with_a_live_key(probe: Any, monkeypatch: pytest.MonkeyPatch, serve: Any) -> None:
    monkeypatch.setenv("APCA_API_KEY_ID", "AKLIVE")
    monkeypatch.setenv("APCA_API_SECRET_KEY", "of a live account".replace(" ", "-"))
    for place in (None, serve()):
        code, said = refused(probe, place)
        assert (code, "refuses live keys" in said, "AKLIVE" in said) == (3, True, False)


def test_at_the_live_address(probe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APCA_API_KEY_ID", "PKPAPER")
    monkeypatch.setenv("APCA_API_SECRET_KEY", "of-a-paper-account")
    code, said = refused(probe, None, "--url", "https://api.alpaca.markets")
    assert (code, "refuses live accounts" in said) == (3, True)


def test_with_live_in_the_settings(probe: Any, in_tmp: Path) -> None:
    (in_tmp / "settings.toml").write_text("[default]\nlive = true\n")
    code, said = refused(probe, None)
    assert (code, "refuses live accounts" in said) == (3, True)


def test_elsewhere_the_account_has_the_number_of_a_paper_account(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind another address there may be a live account."""
    config, settings = Config(url=serve().url), AlpacaSettings()
    connection = connect_to_paper(config, settings, None)
    now = datetime(2026, 3, 2, tzinfo=UTC)
    here = connection.endpoints
    connection.endpoints = replace(here, loopback=False)
    open_account(connection, "SPY", now, despite_open=False)
    monkeypatch.setattr(probe_guard, "PAPER_NUMBER", "not it")
    with pytest.raises(ConfigError, match="does not begin with not it"):
        open_account(connection, "SPY", now, despite_open=False)
    connection.endpoints = here
    open_account(connection, "SPY", now, despite_open=False)
    connection.rest.close()


def test_where_orders_or_shares_of_the_symbol_are(serve: Any, probe: Any) -> None:
    from smabot.domain.order_terms import Side
    from smabot_exchange.matching.orders import OrderRequest, OrderType

    place = serve()
    order = OrderRequest("SPY", Side.BUY, Decimal(1), OrderType.LIMIT, Decimal(10))
    place.exchange.submit(order)
    place.exchange.adjust("SPY", Decimal(2), Decimal(100))
    code, said = refused(probe, place)
    assert (code, "has 2 shares and 1 open orders of SPY" in said) == (3, True)
    done = probe(place, "--despite-open", "--only", "5")
    assert done.code == 0
    assert len(place.exchange.orders("open")) == 1


def test_beside_a_running_bot(serve: Any, probe: Any, in_tmp: Path) -> None:
    place = serve()
    (in_tmp / "data").mkdir()
    lock = FileLock(in_tmp / "data/trades.db", "database", "stop it")
    code, said = refused(probe, place)
    lock.release()
    assert (code, "a bot runs on data/trades.db" in said) == (3, True)


def test_a_symbol_without_a_price(serve: Any, probe: Any) -> None:
    code, said = refused(probe, serve(), "--symbol", "nope")
    assert (code, "NOPE has no price" in said) == (3, True)


@pytest.mark.parametrize("numbers", ["0", "64", "3,,7", "three", "3-7"])
def test_numbers_that_are_none(probe: Any, numbers: str) -> None:
    code, said = refused(probe, None, "--only", numbers)
    assert (code, "give numbers from 1 to 63" in said) == (2, True)


def test_a_file_that_can_not_be_written(serve: Any, capsys: Any, in_tmp: Path) -> None:
    place = serve()
    code = main(
        ["alpaca", "probe", "--url", place.url, "--only", "5", "--out", str(in_tmp / "no/file")]
    )
    out, err = capsys.readouterr()
    assert (code, "can't be written" in err, "1 as expected" in out) == (3, True, True)
    assert place.untouched


# -- secrets ---------------------------------------------------------------------------------------


def test_no_key_and_no_account_is_in_the_file(
    serve: Any, probe: Any, instead: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = serve(keys={SECRET_ID: SECRET})
    monkeypatch.setenv("APCA_API_KEY_ID", SECRET_ID)
    monkeypatch.setenv("APCA_API_SECRET_KEY", SECRET)
    account = place.exchange.account_id

    def telltale(at: ProbeAccount) -> Seen:
        at.ask("GET", "/v2/account")
        at.answers.append({"headers": [SECRET_ID, SECRET]})
        return Seen(f"the account is {account}")

    instead(telltale)
    done = probe(place)
    written = str(done.file)
    assert "********" in written
    for secret in (SECRET_ID, SECRET, str(account)):
        assert secret not in written + done.out + done.err
