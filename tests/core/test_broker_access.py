"""How long a key may be refused, until it is refused once more after that time; and what ends an account's block."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from smabot.domain.book import Book
from smabot.engine.broker_access import Access
from smabot.engine.gate import Standing
from smabot.errors import AccountBlocked, KeyRefused, NotAllowed
from smabot.hooks.ports import BrokerAccount

MINUTE = timedelta(minutes=1)
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


class Clock:
    """The feed's and the wall's."""

    def __init__(self) -> None:
        self.time = OPEN

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(clock: Clock) -> Access:
    return Access(Book(), clock, clock.now, minutes=5, standing=Standing())


def refuse(access: Access, clock: Clock, minutes: int) -> None:
    """Ask once a minute, and be refused each time."""
    for _ in range(minutes):
        access.request_refused(NotAllowed("no"))
        access.check_patience()
        clock.time += MINUTE


def test_a_key_that_stays_refused_ends_the_run(access: Access, clock: Clock) -> None:
    refuse(access, clock, 5)
    access.request_refused(NotAllowed("no"))
    with pytest.raises(KeyRefused, match="for 5 minutes"):
        access.check_patience()


def test_the_broker_is_asked_again_after_a_sleep(access: Access, clock: Clock) -> None:
    refuse(access, clock, 5)
    clock.time += 17 * MINUTE
    access.check_patience()
    assert access.refusal
    access.request_accepted()
    assert not access.refusal
    access.check_patience()


def test_a_key_that_is_refused_after_a_sleep_too_ends_the_run(access: Access, clock: Clock) -> None:
    refuse(access, clock, 5)
    clock.time += 17 * MINUTE
    access.check_patience()
    access.request_refused(NotAllowed("no"))
    with pytest.raises(KeyRefused):
        access.check_patience()


def test_a_feed_that_is_refused_counts_while_it_is(access: Access, clock: Clock) -> None:
    for _ in range(5):
        access.feed_refused("by the stream")
        access.check_patience()
        clock.time += MINUTE
    access.feed_refused("by the stream")
    with pytest.raises(KeyRefused, match="by the stream"):
        access.check_patience()


def account(blocked: str = "") -> BrokerAccount:
    return BrokerAccount("1", Decimal(1), Decimal(1), Decimal(1), blocked)


def test_a_request_that_passes_does_not_unblock_an_account(access: Access) -> None:
    access.request_refused(AccountBlocked("403"))
    access.request_accepted()
    assert access.refusal == "the account may not trade: 403"


def test_an_account_that_shows_no_flag_may_trade_again(access: Access) -> None:
    access.request_refused(AccountBlocked("403"))
    access.account_seen(account("trading_blocked"), access.refusals)
    assert access.refusal == "the account may not trade: trading_blocked"
    access.account_seen(account(), access.refusals)
    assert not access.refusal


@pytest.mark.parametrize("error", [AccountBlocked("403"), NotAllowed("401")], ids=str)
def test_an_answer_that_was_asked_for_before_a_refusal_ends_nothing(
    access: Access, error: NotAllowed
) -> None:
    asked = access.refusals
    access.request_refused(error)
    access.account_seen(account(), asked)
    assert access.refusal


def test_an_answer_that_was_asked_for_before_a_refusal_may_begin_a_block(access: Access) -> None:
    asked = access.refusals
    access.request_refused(NotAllowed("401"))
    access.account_seen(account("trading_blocked"), asked)
    access.request_accepted()
    assert access.refusal == "the account may not trade: trading_blocked"
