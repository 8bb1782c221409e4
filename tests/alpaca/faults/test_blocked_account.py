"""An account that is blocked by the exchange's control API about a start, or while orders are on their way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from smabot.errors import AccountBlocked

pytestmark = pytest.mark.plugins
WANTS = {"AAA": {2: 1}, "CCC": {2: 1, 9: 0}, "BBB": {8: 1}}
"""Two entries that leave together, and a later one."""


def at(clock: str) -> datetime:
    return datetime(2026, 3, 2, *map(int, clock.split(":")), tzinfo=UTC)


def block(met: Any, on: bool = True) -> None:
    met.call("POST", "/_exchange/account", {"trading_blocked": on})


def once_after(port: Any, call: str, then: Callable[[], None]) -> None:
    """Let something happen right after the next call to a port, once its answer is there."""
    ask = getattr(port, call)

    def asked(*given: Any, **named: Any) -> Any:
        setattr(port, call, ask)
        try:
            return ask(*given, **named)
        finally:
            then()

    setattr(port, call, asked)


def watched(handed: list[str]) -> Callable[[Any], None]:
    """Have the symbol of each order noted that is handed to the broker."""

    def lay(session: Any) -> None:
        submit = session.broker.submit

        def submitted(order: Any) -> Any:
            handed.append(order.symbol)
            return submit(order)

        session.broker.submit = submitted

    return lay


def there(met: Any) -> list[str]:
    return [symbol for (symbol,) in met.there("SELECT symbol FROM orders ORDER BY submitted_at")]


def kinds(met: Any) -> list[str]:
    rows = met.here("SELECT kind FROM events ORDER BY time")
    return [kind for (kind,) in rows if kind.startswith(("account_", "refused_"))]


@pytest.mark.parametrize("blocked_after", ["connect", "orders"])
def test_an_account_that_is_blocked_before_a_start_compares_it_ends_the_start(
    scene: Callable[..., Any], blocked_after: str
) -> None:
    met = scene(wants=WANTS)

    def lay(session: Any) -> None:
        assert not session.account.blocked
        if blocked_after == "orders":
            once_after(session.broker, "orders", lambda: block(met))
        else:
            block(met)

    with pytest.raises(AccountBlocked, match="trading_blocked"), met.started(lay):
        pass
    assert there(met) == []


@pytest.mark.parametrize("blocked_after", ["account", "start"])
def test_an_account_that_is_blocked_after_it_was_asked_takes_no_order(
    scene: Callable[..., Any], blocked_after: str
) -> None:
    """Nobody has told the bot: of two orders that leave together the first is refused, and no other follows."""
    met, handed = scene(wants=WANTS), []

    def lay(session: Any) -> None:
        watched(handed)(session)
        if blocked_after == "account":
            once_after(session.broker, "account", lambda: block(met))

    with met.started():
        assert there(met) == []  # from now on a start asks for the account once more alone
    with met.started(lay) as engine:
        block(met)
        met.go(engine, at("20:47"))
    assert handed == ["AAA"]
    assert there(met) == []
    assert kinds(met) == ["account_blocked"]


def test_an_order_that_the_broker_has_may_fill_in_a_blocked_account(
    scene: Callable[..., Any],
) -> None:
    """Both were accepted before the block, and fill after it. Nothing follows them."""
    met, handed = scene(wants=WANTS), []
    with met.started(watched(handed)) as engine:
        met.go(engine, at("20:39"))
        assert sorted(there(met)) == ["AAA", "CCC"]
        block(met)
        met.go(engine, at("20:46"))
    assert sorted(there(met)) == ["AAA", "CCC"]
    assert met.here("SELECT symbol FROM trades ORDER BY symbol") == [("AAA",), ("CCC",)]
    assert handed == ["AAA", "CCC", "BBB", "CCC"], "the entries, one more, and an exit"
    assert kinds(met) == ["account_blocked"]


def test_an_order_whose_answer_is_lost_as_the_account_is_blocked_proves_nothing(
    scene: Callable[..., Any],
) -> None:
    """It is found by its id, or sent again and a duplicate: it was taken before the block."""
    lost = {"kind": "lost_answer", "symbol": "AAA", "minutes": 1}
    met, handed = scene(lost, wants=WANTS), []

    def lay(session: Any) -> None:
        watched(handed)(session)
        once_after(session.broker, "submit", lambda: block(met))

    with met.started(lay) as engine:
        met.go(engine, at("20:47"))
        assert "trading_blocked" in engine.access.refusal
    assert there(met) == ["AAA"]
    assert handed.count("CCC") == 1
    assert handed.count("BBB") == 0
    assert kinds(met) == ["account_blocked"]


def test_entries_leave_again_once_the_account_shows_no_flag(scene: Callable[..., Any]) -> None:
    met = scene(wants=WANTS)
    with met.started() as engine:
        block(met)
        met.go(engine, at("20:41"))
        block(met, on=False)
        assert engine.run() == "ended"
    assert there(met) == ["BBB"]
    assert kinds(met) == ["account_blocked", "account_unblocked"]
    met.agree()
