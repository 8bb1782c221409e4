"""Faults after which all is as if they had never been: order by order, fill by fill, row by row.

Time stands still here until the bot asks for the next minute, so that a run with a fault can be compared
with one without. Each runs as it is, and with a bot that dies at its first commit after the fault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("smabot_exchange.http.server")

from smabot_exchange.faults.fault_kinds import KINDS

pytestmark = pytest.mark.plugins
Faults = tuple[dict[str, Any], ...]
ORDERS = {"method": "POST", "path": "/v2/orders"}
CANCELS = {"method": "DELETE", "path": "/v2/orders/*", "symbol": "BBB"}
BARS = {"path": "/v2/stocks/bars"}
LATER = "2026-03-02T20:37:00Z"
"""From the first minute on: a start that fails is another matter."""


def fault(kind: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, **fields}


def running(kind: str, **fields: Any) -> dict[str, Any]:
    return fault(kind, since=LATER, **fields)


SAME: dict[str, Faults] = {
    # the answer to an order
    "504 before": (fault("error", **ORDERS, nth=3),),
    "504 after": (fault("error", **ORDERS, when="after", nth=3),),
    "500 after, twice": (fault("error", **ORDERS, when="after", status=500, times=2),),
    "a page of HTML before": (fault("error", **ORDERS, html=True, nth=4),),
    "a page of HTML after": (fault("error", **ORDERS, html=True, when="after", nth=4),),
    "reset before": (fault("reset", **ORDERS, nth=2),),
    "reset after": (fault("reset", **ORDERS, when="after", nth=2),),
    "hang before": (fault("hang", **ORDERS, seconds=2, nth=5),),
    "hang after": (fault("hang", **ORDERS, when="after", seconds=2, nth=5),),
    "429": (fault("rate_limit", **ORDERS, reset_seconds=0, nth=6),),
    "half of all answers lost": (
        fault("error", **ORDERS, name="before", probability=0.3),
        fault("reset", **ORDERS, name="after", when="after", probability=0.3),
    ),
    "lost, and not shown": (
        fault("reset", **ORDERS, when="after", nth=3),
        fault("hidden", seconds=0.15, nth=3),
    ),
    "not shown": (fault("hidden", seconds=0.15, times=4),),
    "nobody knows the status": (fault("unknown_status"),),
    # cancels
    "cancel 504 before": (fault("error", **CANCELS, times=2),),
    "cancel 504 after": (fault("error", **CANCELS, when="after", times=2),),
    "cancel reset before": (fault("reset", **CANCELS, times=2),),
    "cancel reset after": (fault("reset", **CANCELS, when="after", times=2),),
    "cancel hangs": (fault("hang", **CANCELS, seconds=2, times=2),),
    "cancel 429": (fault("rate_limit", **CANCELS, reset_seconds=0, times=1),),
    # questions
    "look-ups fail": (
        fault("reset", **ORDERS, name="orders", when="after", nth=3),
        running("error", path="/v2/orders:by_client_order_id", name="look-ups", times=3),
    ),
    "lists fail": (running("error", method="GET", path="/v2/orders", times=2),),
    "positions fail": (running("error", path="/v2/positions", times=2),),
    "the account fails": (running("error", path="/v2/account", times=2),),
    "bars fail": (
        fault("minute_missing", nth=5),
        running("error", **BARS, times=3),
    ),
    # updates
    "no update at all": (fault("update_dropped"),),
    "no fill": (fault("update_dropped", event="*fill"),),
    "a third is dropped": (fault("update_dropped", probability=0.3),),
    "doubled": (fault("update_doubled"),),
    "a minute late": (fault("update_late", probability=0.5),),
    "five minutes late": (fault("update_late", minutes=5, event="*fill"),),
    "swapped": (fault("update_swapped", probability=0.5),),
    "replayed": (fault("update_replayed", minutes=2),),
    "unknown events": (fault("update_unknown"),),
    # streams
    "mute bars": (fault("mute", nth=5),),
    "mute bars for a while": (fault("mute", nth=5, minutes=3),),
    "mute updates": (fault("mute", stream="trade", nth=2),),
    "mute updates amid fills": (fault("mute", stream="trade", at="update", nth=4),),
    "bars reset": (fault("disconnect", nth=5),),
    "bars hung up": (fault("disconnect", clean=True, nth=26),),
    "updates reset": (fault("disconnect", stream="trade", nth=5),),
    "updates reset amid fills": (fault("disconnect", stream="trade", at="update", nth=3),),
    "updates hung up": (fault("disconnect", stream="trade", clean=True, nth=10),),
    "both reset, often": (
        fault("disconnect", name="bars", probability=0.15),
        fault("disconnect", name="updates", stream="trade", probability=0.15),
    ),
    "garbage instead of bars": tuple(
        fault("garbage", form=form, nth=nth)
        for nth, form in ((4, "bytes"), (12, "text"), (20, "cut"), (28, "empty"))
    ),
    "garbage instead of updates": tuple(
        fault("garbage", stream="trade", at="update", form=form, nth=nth)
        for nth, form in ((2, "bytes"), (5, "text"), (9, "cut"), (14, "empty"))
    ),
    "bars refused": (fault("disconnect", nth=6), fault("refuse", seconds=2)),
    "updates refused": (
        fault("disconnect", stream="trade", nth=6),
        fault("refuse", stream="trade", seconds=0.5),
    ),
    # bars
    "a bar in three missing": (fault("bar_missing", probability=0.3),),
    "bars of a symbol missing": (fault("bar_missing", symbol="BBB"),),
    "late bars": (fault("bar_late", symbol="AAA", probability=0.3),),
    "minutes missing": (fault("minute_missing", probability=0.2),),
    # all together
    "everything": (
        fault("error", **ORDERS, name="before", probability=0.1),
        fault("reset", **ORDERS, name="after", when="after", probability=0.1),
        fault("unknown_status", probability=0.2),
        fault("update_dropped", probability=0.2),
        fault("update_doubled", probability=0.2),
        fault("update_late", probability=0.2),
        fault("update_replayed", probability=0.2),
        fault("update_swapped", probability=0.2),
        fault("disconnect", name="bars", probability=0.05),
        fault("garbage", stream="trade", probability=0.05),
        fault("bar_missing", probability=0.2),
        fault("bar_late", probability=0.2),
        fault("minute_missing", probability=0.1),
    ),
}  # fmt: skip


VERDICTS = {
    "error": "same", "reset": "same", "hang": "same", "rate_limit": "same", "hidden": "same",
    "unknown_status": "same",
    "update_dropped": "same", "update_doubled": "same", "update_late": "same",
    "update_swapped": "same", "update_replayed": "same", "update_unknown": "same",
    "mute": "same", "disconnect": "same", "garbage": "same", "refuse": "same",
    "bar_missing": "same", "bar_late": "same", "minute_missing": "same",
    "bar_revised": "same, and the revision beside the bars",
    "stuck_cancel": "agree: the order lives on, so that it may fill",
    "frozen_cancel": "agree: the order stays open, as at the broker",
    "left_at_close": "agree: the order stays open, as at the broker",
    "rejected_later": "agree: the order ends unfilled",
    "stuck_pending": "agree: the order stays open, and ends with its day",
    "lost_answer": "agree: the order is unknown, and then fills",
    "halt": "agree: the order stays open, and no bar of the symbol comes",
    "keys_refused": "agree: exits wait until the key is taken; exit code 4 where it is not",
    "account_flag": "agree: exits wait until the account may trade",
    "bar_wrong": "same, where REST has the right one; else the bar is left out",
    "cash_moved": "agree: cash is the broker's",
    "foreign_order": "stops with 6, where it is about a symbol or a name of ours",
    "foreign_position": "stops with 6, where it is of a symbol of ours",
}  # fmt: skip
"""What the bot must make of each fault: the same end here, the others beside this module."""
SLOW = {
    "504 before", "a page of HTML after", "reset before", "not shown", "cancel 504 before", "cancel reset before",
    "cancel 429", "look-ups fail", "lists fail", "positions fail", "a third is dropped",
    "mute updates", "mute updates amid fills", "bars reset", "updates reset", "updates reset amid fills",
    "garbage instead of bars", "bars of a symbol missing",
    "500 after, twice", "a page of HTML before", "hang after", "half of all answers lost",
    "cancel 504 after", "cancel reset after", "cancel hangs", "the account fails", "bars fail",
    "no update at all", "five minutes late", "mute bars for a while", "bars hung up", "updates hung up", "bars refused",
    "updates refused", "everything",
}  # fmt: skip


def marked(name: str) -> Any:
    return pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])


def test_each_kind_has_a_verdict() -> None:
    assert set(VERDICTS) == set(KINDS)
    met = {fault["kind"] for faults in SAME.values() for fault in faults}
    assert met == {kind for kind, verdict in VERDICTS.items() if verdict == "same"}
    assert set(SAME) > SLOW
    quick = {fault["kind"] for name, faults in SAME.items() if name not in SLOW for fault in faults}
    assert met - quick == {"refuse"}


@pytest.mark.parametrize("name", [marked(name) for name in SAME])
def test_a_bot_that_lives_on(scene: Callable[..., Any], fair: Any, name: str) -> None:
    met = scene(*SAME[name])
    met.play()
    assert all(met.struck.values()), met.struck
    met.agree()
    assert met.dump() == fair.dump()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "late"), [(name, bool(n % 2)) for n, name in enumerate(SAME)],
    ids=[f"{name}-{'after' if n % 2 else 'before'} its commit" for n, name in enumerate(SAME)],
)  # fmt: skip
def test_a_bot_that_dies_of_it(scene: Callable[..., Any], fair: Any, name: str, late: bool) -> None:
    met = scene(*SAME[name])
    met.die(late=late)
    met.play()
    assert any(met.struck.values()), met.struck
    met.agree()
    assert met.dump() == fair.dump()
