"""Orders of events drawn at random, with kills in between, on the real engine, journal and exchange."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from smabot.domain.order_terms import Side
from smabot.domain.records import Order
from smabot.engine import step
from smabot.engine.execution.executor import Executor
from smabot.engine.gate import GO, Gate, Verdict
from smabot.engine.outbox import Outbox
from smabot.engine.reconciling.running_comparison import Comparison
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.opening import open_session
from smabot.engine.start.recovery import recover
from smabot.hooks.plugins import Plugins
from smabot.settings.model import Config
from smabot.testing.state_machine import GuardMachine, Scene, Violation

EXAMPLES = int(os.environ.get("SMABOT_EXAMPLES", "150"))
MEMORY = Path("/dev/shm")
MINUTES = 240
PHASES = (Phase.explicit, Phase.generate)
"""No shrinking: it takes long, and a schedule can be run again as it is."""
SYMBOLS = ("IBM", "SPY")
DRAWDOWN = Decimal("0.03")
SETTINGS: dict[str, Any] = {
    "sizing": {"method": "shares", "shares": 400},
    "plugin": {
        "risk": {
            "circuit_breaker": {
                "max_failures": 8, "max_session_drawdown": DRAWDOWN, "max_peak_drawdown": 0,
            },
            "daily_limits": {
                "max_order_notional": 0, "max_exposure_per_symbol": 0, "max_loss": 4000,
            },
        }
    },
}  # fmt: skip


class Beside:
    """The paper exchange, as somebody with the same account uses it."""

    def __init__(self, session: BotSession) -> None:
        from smabot_exchange.exchange import Exchange

        broker: Any = session.broker
        self._exchange: Exchange = broker._exchange

    def held(self) -> dict[str, Decimal]:
        return {holding.symbol: holding.qty for holding in self._exchange.positions()}

    def filled(self) -> dict[str, Decimal]:
        return {o.client_order_id: o.filled_qty for o in self._exchange.orders("all")}

    def equity(self) -> Decimal:
        return self._exchange.account().equity

    def sell_by_hand(self, symbol: str, qty: Decimal) -> bool:
        from smabot_exchange.matching.orders import OrderRequest, PositionIntent, RequestRefused

        intent = PositionIntent.SELL_TO_CLOSE
        try:
            self._exchange.submit(OrderRequest(symbol, Side.SELL, qty, position_intent=intent))
        except RequestRefused:
            return False
        return True

    def freeze_cancels(self) -> None:
        from smabot_exchange.faults.market_kinds import FrozenCancel

        self._exchange.faults.add([FrozenCancel(partial=False, times=1)])


def walk(seed: int, start: float) -> list[float]:
    """A random walk by cents, with a fall of 6 to 15 % now and then."""
    chance, price, closes = random.Random(seed), start, []
    for _ in range(MINUTES):
        price *= 1 + chance.gauss(0, 0.002)
        if chance.random() < 0.02:
            price *= 1 - chance.uniform(0.06, 0.15)
        closes.append(round(price, 2))
    return closes


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory, tape_writer: Any) -> list[Scene]:
    """Databases and ledgers at their first minute."""
    made = []
    for seed in (1, 2, 3):
        folder = tmp_path_factory.mktemp(f"scene-{seed}")
        data = tape_writer(
            folder / "data.csv",
            {"SPY": walk(seed, 100.0), "IBM": walk(seed + 100, 50.0)},
            volume=1_500 if seed == 1 else 10_000,
        )
        database, ledger = folder / "trades.db", folder / "trades.exchange.db"
        scene = Scene(database, ledger, str(data), SYMBOLS, SETTINGS, DRAWDOWN)
        begin(scene)
        made.append(scene)
    return made


def begin(scene: Scene) -> None:
    """Start a bot and stop it: the files are there, and nothing has happened."""
    config = Config(
        db=scene.database, data=scene.data, speed="max", broker="exchange",
        base_plugins=("persistence_sqlite", "reconciliation", "exchange"), plugins=("risk",),
        **scene.settings,
    )  # fmt: skip
    session = open_session(config, Plugins.load(config))
    recover(session)
    session.close()


def machine_of(scenes: Sequence[Scene], *, far: bool) -> type[GuardMachine]:
    """``far``: that an order is not found proves nothing."""
    within = MEMORY if MEMORY.is_dir() else None
    chosen = {"scenes": scenes, "market_of": staticmethod(Beside), "far": far, "within": within}
    return type("Machine", (GuardMachine,), chosen)


def run(machine: Any, examples: int, steps: int = 50) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, database=None,
            suppress_health_check=list(HealthCheck), derandomize=True, print_blob=False,
            report_multiple_bugs=False, phases=PHASES,
        ),
    )  # fmt: skip


@pytest.mark.parametrize("far", [True, False], ids=["a miss proves nothing", "a miss is a proof"])
def test_no_order_of_events_breaks_a_guard(scenes: Sequence[Scene], far: bool) -> None:
    run(machine_of(scenes, far=far), examples=4)


@pytest.mark.slow(seconds=50)
@pytest.mark.parametrize("far", [True, False], ids=["a miss proves nothing", "a miss is a proof"])
def test_none_of_many_does(scenes: Sequence[Scene], far: bool) -> None:
    run(machine_of(scenes, far=far), examples=EXAMPLES)


# -- the holes that it was made for ------------------------------------------------------------------------


def judged_once(patch: pytest.MonkeyPatch) -> None:
    """An order is judged when it is made, and never again."""
    admit, may_leave = Gate.admit, Gate.may_leave
    making: list[Order] = []

    def admitting(self: Gate, order: Order) -> Any:
        making.append(order)
        try:
            return admit(self, order)
        finally:
            making.pop()

    def judging(self: Gate, order: Order, *, left: bool = False) -> Verdict:
        return may_leave(self, order, left=left) if making else GO

    patch.setattr(Gate, "admit", admitting)
    patch.setattr(Gate, "may_leave", judging)


def sent_again_unjudged(patch: pytest.MonkeyPatch) -> None:
    """What may have left is sent again whatever has happened since."""
    may_leave = Gate.may_leave

    def judging(self: Gate, order: Order, *, left: bool = False) -> Verdict:
        return GO if left else may_leave(self, order)

    patch.setattr(Gate, "may_leave", judging)


def no_epochs(patch: pytest.MonkeyPatch) -> None:
    """What was granted leaves, though it waited behind others."""
    patch.setattr(Outbox, "end_grants", lambda self: None)
    patch.setattr(Outbox, "_end_grants_that_do_not_hold", lambda self: None)


def sold_unasked(patch: pytest.MonkeyPatch) -> None:
    """An exit sells what the bot believes to hold, whatever was sold by hand."""
    patch.setattr(Comparison, "external_activity_seen", lambda self, symbol: None)
    patch.setattr("smabot_exchange.in_process._intent", lambda order: None)


def own_entries_in_the_way(patch: pytest.MonkeyPatch) -> None:
    """An exit does not cancel what rests in its way."""
    situation = Executor._situation

    def blind(self: Executor, *given: Any) -> Any:
        return replace(situation(self, *given), opposing=())

    patch.setattr(Executor, "_situation", blind)


def first_word_last(patch: pytest.MonkeyPatch) -> None:
    """Commands that waited are carried out in another order than they were given."""
    carry_out = step.carry_out
    patch.setattr(step, "carry_out", lambda commands, *more: carry_out(commands[::-1], *more))


# Equity that is marked after the decisions is no hole any more: what the same step blocks is judged
# again before it leaves. `test_leaving.py` has the order of events, and `test_held.py` the one in which what is
# held is not among the symbols of the next start.
HOLES = [
    judged_once, sent_again_unjudged, no_epochs, own_entries_in_the_way, first_word_last,
]  # fmt: skip


@pytest.mark.slow(seconds=10)
@pytest.mark.parametrize("hole", HOLES, ids=lambda hole: hole.__name__)
def test_a_hole_that_is_opened_again_is_found(
    scenes: Sequence[Scene], monkeypatch: pytest.MonkeyPatch, hole: Any
) -> None:
    hole(monkeypatch)
    with pytest.raises(Violation):
        run(machine_of(scenes, far=True), examples=EXAMPLES)


@pytest.mark.parametrize("is_open", [False, True], ids=["closed", "opened again"])
def test_a_hand_sale_in_the_exit_s_minute(
    scenes: Sequence[Scene], monkeypatch: pytest.MonkeyPatch, is_open: bool
) -> None:
    """The schedule for `sold_unasked`, which a random search meets too rarely."""
    if is_open:
        sold_unasked(monkeypatch)
    bot = machine_of(scenes, far=True)()
    bot.begin(1)
    bot.strategies_change_their_minds([("alpha", 0)], 2)
    bot.somebody_sells_by_hand(0, False)
    with pytest.raises(Violation) if is_open else nullcontext():
        try:
            bot.strategies_change_their_minds([("alpha", 0)], 1)
            bot.time_passes(1)
            bot.nothing_is_sold_short()
        finally:
            bot._failed = is_open
            bot.teardown()
