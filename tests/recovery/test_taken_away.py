"""Nothing leaves a bot whose database or ledger was taken away, whenever that happens in a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smabot.domain.records import Batch
from smabot.errors import BrokerError, JournalError

LONG = 1


@pytest.fixture
def world(make_world: Any) -> Any:
    world = make_world({"SPY": [100.0] * 20})
    world.follow(s={("SPY", 4): LONG})
    return world


def there(session: Any) -> list[str]:
    """What the exchange has been sent."""
    return [order.client_order_id for order in session.broker.orders()]


def test_the_step_of_an_order_finds_the_database_gone(world: Any) -> None:
    with world.started() as (session, engine):
        world.go(engine, 4)
        world.db.unlink()
        with pytest.raises(
            JournalError, match=r"trades\.db was removed or moved while the bot was running"
        ):
            world.go(engine, 3)
        assert there(session) == []


def test_a_database_that_goes_during_the_commit(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.started() as (session, engine):
        world.go(engine, 4)
        commit = session.journal.commit

        def last_commit(*given: Any) -> None:
            commit(*given)
            world.db.unlink()

        monkeypatch.setattr(session.journal, "commit", last_commit)
        with pytest.raises(JournalError, match="was removed or moved"):
            world.go(engine, 3)
        assert there(session) == []


def test_a_step_without_anything_to_do_finds_it_too(world: Any) -> None:
    with world.started() as (_, engine):
        world.go(engine, 2)
        world.db.unlink()
        with pytest.raises(JournalError, match="nothing is sent any more"):
            engine.step(Batch(engine._feed.now()))


def test_the_exchange_takes_nothing_more_when_its_ledger_is_gone(world: Any) -> None:
    with world.started() as (session, engine):
        world.go(engine, 3)
        ledger: Path = world.config().ledger_path
        ledger.unlink()
        with pytest.raises(
            BrokerError, match=r"trades\.exchange\.db was removed or moved while it"
        ):
            world.go(engine, 3)
        with pytest.raises(BrokerError, match="was removed"):
            session.broker.orders()
