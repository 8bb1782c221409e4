"""A state machine that drives a whole bot through orders of events, and an oracle that judges it.

The engine, outbox, journal, reconciliation and risk plugins are the real ones, the exchange is the
paper exchange in this process; only threads and the line to the broker are scheduled. The rules are
here; `smabot.testing.oracle` says what must hold, `smabot.testing.bot_under_test` opens and kills the bot.

Needs hypothesis: ``pip install smabot[testing]``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from smabot.domain.bot_records import Command
from smabot.domain.records import ZERO
from smabot.engine.operator_commands import expiry
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.startup_reconciliation import accept_broker_state, compare_with_broker
from smabot.errors import ConflictError
from smabot.testing.bot_under_test import BotSetup, BotUnderTest
from smabot.testing.faulty_connection import Market
from smabot.testing.kill_points import Killed
from smabot.testing.machine_scene import Scene
from smabot.testing.oracle import Oracle, Violation
from smabot.testing.simulation.actors import ACTORS

__all__ = ["GuardMachine", "Scene", "Violation"]

LONGEST_START = 40
EXIT_MINUTES = 25
"""Longer than the longest pause of an exit that failed."""
SETTLING_MINUTES = 25
CHANGES = st.lists(st.tuples(st.sampled_from(ACTORS), st.integers(0, 9)), min_size=1, max_size=4)


class GuardMachine(RuleBasedStateMachine):
    """Subclass it with the scenes to begin from, and how to look at their exchange."""

    scenes: Sequence[Scene] = ()
    market_of: Callable[[BotSession], Market]
    far: bool = True
    """Whether that an order is not found at the broker proves nothing."""
    within: Path | None = None
    """Where each run has its files; None: where temporary files are. A disk in memory is faster."""

    @initialize(scene=st.integers(0, 99))
    def begin(self, scene: int) -> None:
        self._scene = self.scenes[scene % len(self.scenes)]
        setup = BotSetup(self._scene, type(self).market_of, self.far)
        self._bot = BotUnderTest(setup, self.within)
        self._oracle = Oracle(self._bot, self._scene.drawdown)
        self._commands = 0
        self._failed = False
        self._start()

    # -- what happens --------------------------------------------------------------------------------

    @rule(minutes=st.integers(1, 3))
    def time_passes(self, minutes: int) -> None:
        for _ in range(minutes):
            self._live(self._take_minute)

    @rule(changes=CHANGES, minutes=st.integers(1, 2))
    def strategies_change_their_minds(self, changes: list[tuple[str, int]], minutes: int) -> None:
        """At the bar that comes next."""
        session, feed = self._bot.session, self._bot.stream
        for strategy, index in changes:
            symbol = self._scene.symbols[index % len(self._scene.symbols)]
            state = session.book.signals.get((strategy, symbol))
            wanted = 1 if state is None else 1 - state.target
            self._bot.schedule[strategy, symbol, feed.now()] = wanted
        for _ in range(minutes):
            self._live(self._take_minute)

    @rule(changes=CHANGES, back=CHANGES)
    def they_change_them_twice(
        self, changes: list[tuple[str, int]], back: list[tuple[str, int]]
    ) -> None:
        self.strategies_change_their_minds(changes, 1)
        self.strategies_change_their_minds(back, 1)

    @rule(trouble=st.sampled_from(["lost", "unanswered", "full", "slow", "down"]), changes=CHANGES)
    def there_is_trouble_when_they_do(self, trouble: str, changes: list[tuple[str, int]]) -> None:
        """What waits then meets whatever happens next."""
        if trouble == "slow":
            self.requests_queue_up(True)
        elif trouble == "down":
            self.the_stream_goes(True)
        else:
            self.the_line_is_bad([trouble] * 4)
        self.strategies_change_their_minds(changes, 1)

    @rule(faults=st.lists(st.sampled_from(["lost", "unanswered", "full", ""]), max_size=3))
    def the_line_is_bad(self, faults: list[str]) -> None:
        """For the next orders."""
        self._bot.line.faults[:] = faults

    @rule(slow=st.booleans())
    def requests_queue_up(self, slow: bool) -> None:
        self._bot.dispatcher.slow = slow

    @rule(down=st.booleans())
    def the_stream_goes(self, down: bool) -> None:
        self._bot.stream.down = down

    @rule(
        verb=st.sampled_from(["resume", "halt", "resume", "breaker reset", "resume", "flatten"]),
        answered=st.booleans(),
    )
    def the_operator_says(self, verb: str, answered: bool) -> None:
        self._commands += 1
        self._bot.wall += timedelta(seconds=1)
        wall = self._bot.wall
        command = Command(
            str(UUID(int=self._commands)), verb, "", wall, expires_at=expiry(verb, wall)
        )
        self._bot.session.opened().journal.send(command)
        if verb != "breaker reset":
            self._oracle.last_command = verb
        if answered:
            self._live(self._bot.step)

    @rule(verbs=st.lists(st.sampled_from(["resume", "halt"]), min_size=2, max_size=3))
    def the_operator_says_one_thing_after_the_other(self, verbs: list[str]) -> None:
        """Before the bot reads any of it; the last command counts."""
        for verb in verbs:
            self.the_operator_says(verb, False)
        self._live(self._bot.step)

    @rule(symbol=st.integers(0, 9), half=st.booleans())
    def somebody_sells_by_hand(self, symbol: int, half: bool) -> None:
        name = self._scene.symbols[symbol % len(self._scene.symbols)]
        market, by_hand = self._bot.market, self._oracle.sold_by_hand
        held = market.held().get(name, ZERO)
        qty = held // 2 if half else held
        if qty > 0 and market.sell_by_hand(name, qty):
            by_hand[name] = by_hand.get(name, ZERO) + qty

    @rule()
    @precondition(lambda self: not self._oracle.cancels_frozen)
    def a_cancel_hangs(self) -> None:
        self._oracle.cancels_frozen = True
        self._bot.market.freeze_cancels()

    @rule(points=st.integers(1, 6), down=st.integers(0, 2))
    def it_is_killed(self, points: int, down: int) -> None:
        """At a commit or a request soon, and started again, perhaps when some minutes have passed."""
        self._bot.kill_switch.arm(points)
        self._live(self._take_minute)
        self._bot.kill_switch.disarm()
        self._bot.stop()
        self._start(down)

    @rule(points=st.integers(1, LONGEST_START))
    def it_is_killed_while_it_starts(self, points: int) -> None:
        self._bot.stop()
        self._bot.kill_switch.arm(points)
        self._start()
        self._bot.kill_switch.disarm()

    @rule(left_out=st.integers(0, 9), down=st.integers(0, 2))
    def it_is_started_with_other_symbols(self, left_out: int, down: int) -> None:
        """All of them, or all but one; what is held of that one must still be valued and exited."""
        symbols = self._scene.symbols
        self._bot.enterable = tuple(s for i, s in enumerate(symbols) if i != left_out) or symbols
        self._bot.stop()
        self._start(down)

    # -- what must hold --------------------------------------------------------------------------------

    @invariant()
    def nothing_is_sold_short(self) -> None:
        if self._bot.is_open:
            self._oracle.check_nothing_is_short()

    def teardown(self) -> None:
        try:
            if not self._failed:
                self._bring_to_an_end()
        finally:
            self._bot.stop()
            self._bot.remove_files()

    def _bring_to_an_end(self) -> None:
        """With a good line exits are made, then everything gets flat, and both books are equal."""
        self._calm(EXIT_MINUTES)
        if not self._oracle.cancels_frozen:
            self._oracle.check_exits_were_made(EXIT_MINUTES)
            self.the_operator_says("flatten", True)
            self._calm(SETTLING_MINUTES)
            self._oracle.check_all_is_flat(SETTLING_MINUTES)
        self._oracle.check_books_are_equal()

    def _calm(self, minutes: int) -> None:
        """Let time pass on a good line."""
        for _ in range(minutes):
            self._bot.line.faults.clear()
            self._bot.dispatcher.slow = self._bot.stream.down = False
            self._live(self._take_minute)
            self._live(self._bot.step)

    # -- a life ----------------------------------------------------------------------------------------

    def _live(self, what: Callable[[], None]) -> None:
        """Let the bot live on a little; a conflict with a cause is accepted, as by an operator."""
        try:
            what()
        except Killed:
            self._bot.stop()
            self._start()
        except (ReconciliationConflict, ConflictError) as error:
            self._oracle.check_conflict_has_cause(error)
            self._bot.stop()
            self._accept()
            self._start()
        except BaseException:
            self._failed = True
            raise

    def _take_minute(self) -> None:
        batch = self._bot.stream.next(0)
        if batch is None:
            return
        if batch.bars:
            self._oracle.note_drawdown()
        self._bot.take(batch)

    def _start(self, minutes_later: int = 0) -> None:
        for _ in range(LONGEST_START):
            try:
                self._open_and_recover(minutes_later)
            except Killed:
                self._bot.stop()
            except (ReconciliationConflict, ConflictError) as error:
                self._oracle.check_conflict_has_cause(error)
                self._bot.stop()
                self._accept()
            except BaseException:
                self._failed = True
                raise
            else:
                return
        self._failed = True
        raise Violation(f"it never starts: {self._oracle.conflict}")

    def _open_and_recover(self, minutes_later: int) -> None:
        self._open()
        self._bot.skip_minutes(minutes_later)
        self._oracle.stopped_by = ""
        self._bot.recover()

    def _open(self) -> None:
        self._bot.open(self._oracle.judge_arrival)
        self._oracle.stopped_by = "a start that is not done"

    def _accept(self) -> None:
        """`smabot reconcile --accept broker`, when what was sold by hand has had a minute to fill."""
        self._bot.kill_switch.disarm()
        self._open()
        self._bot.stream.next(0)
        found = compare_with_broker(self._bot.session)
        assert found is not None
        accept_broker_state(self._bot.session, found)
        self._bot.stop()
