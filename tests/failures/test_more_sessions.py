"""More sessions at the end of a simulated market: the bot's database goes on with them, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

MARKET = "simulated:symbols=3,start=2026-11-25,sessions="


def run(world: Any, broker: str, sessions: int, *more: str) -> Any:
    flags = ("--plugins", "sma,risk", "--speed", "max", "--broker", broker)
    return world.run("run", *flags, "--data", f"{MARKET}{sessions}", *more)


@pytest.mark.slow
@pytest.mark.parametrize("broker", ["exchange", "alpaca"])
def test_a_run_to_the_end_and_more_sessions_are_one_longer_run(
    make_world: Callable[..., Any], broker: str
) -> None:
    at_once, extended = make_world("at-once"), make_world("extended")
    assert run(at_once, broker, 2).code == 0
    first = run(extended, broker, 1)
    assert first.code == 0
    assert "nothing left to replay" not in first.out
    ended = run(extended, broker, 1)
    assert ended.code == 0
    longer = "simulated:symbols=3,sessions=2,start=2026-11-25"
    assert f"nothing left to replay: give --data {longer} for more" in ended.out
    more = run(extended, broker, 2)
    assert (more.code, more.err) == (0, "")
    assert "resumes at 2026-11-25 16:00 ET" in more.out
    assert len(extended.dump("trades")) > 20
    assert extended.tables() == at_once.tables()


def test_a_market_with_fewer_sessions_is_refused(world: Any) -> None:
    assert run(world, "exchange", 2, "--until", "2026-11-25T15:00:00Z").code == 0
    refused = run(world, "exchange", 1)
    assert refused.code == 3
    assert (
        "it has 2 sessions already, this has 1; give the data it was created with" in refused.line
    )
