"""Plays a schedule: a bot, killed and begun again, on an exchange that nothing can stop."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from smabot.domain.book import Book
from smabot.domain.records import Bar
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.errors import (
    BrokerError,
    ConflictError,
    JournalError,
    PluginError,
    RiskHalt,
    SmabotError,
)
from smabot.hooks.simulated_exchange import SimulatedExchange
from smabot.settings.model import Config
from smabot.testing.kill_points import Killed
from smabot.testing.simulation.actions import Actions
from smabot.testing.simulation.actors import ACTORS, Actor, Wants
from smabot.testing.simulation.databases import Database, MemoryDatabase
from smabot.testing.simulation.deliveries import Deliveries, Market
from smabot.testing.simulation.fill_probe import PROBE, FillProbe
from smabot.testing.simulation.judge import Judge, Violation
from smabot.testing.simulation.life import Life, Lives, Outside
from smabot.testing.simulation.outside_changes import OutsideChanges
from smabot.testing.simulation.points import PluginFailure, Points
from smabot.testing.simulation.schedule import Schedule
from smabot.testing.simulation.timeline import Timeline
from smabot.testing.simulation.wire import Wire

EXIT_MINUTES = 25
"""Longer than the longest pause of an exit that failed."""
FLAT_MINUTES = 25
MOST_STARTS = 10
"""In a row that fail without a kill or a fault: then the bot never gets through."""
RECENT = timedelta(minutes=5)
"""A fault that struck so lately may still have to do with a kill."""
TRACED = 400


@dataclass
class Kill:
    """A kill: at which kind of boundary, while starting or not, and which faults had struck lately."""

    point: str
    starting: bool
    fruitful: bool
    """Whether the process had committed a step with a bar or an order."""
    faults: tuple[str, ...]
    circumstances: tuple[str, ...]


@dataclass
class Result:
    """What became of a schedule."""

    schedule: Schedule
    kills: list[Kill] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    starts: int = 0
    violation: Violation | None = None
    trace: list[str] = field(default_factory=list)

    def without_trace(self) -> Result:
        """Return the same without what nobody reads."""
        return replace(self, trace=[], schedule=self.schedule.with_actions(()))


class World:
    """One run of a schedule."""

    def __init__(
        self,
        schedule: Schedule,
        exchange: SimulatedExchange,
        config: Config,
        made_of: Mapping[str, Any],
        symbols: Sequence[str],
        database: Database | None = None,
    ) -> None:
        """``database``: where the bot keeps its tables, else in memory."""
        self.schedule = schedule
        self.exchange = exchange
        self.chance = random.Random(schedule.seed)  # noqa: S311 - it must come again
        self.timeline = Timeline(exchange.now)
        self.points = Points(self._note_kill, self._note_failure)
        self.wire = Wire(self.timeline, exchange, self.points, self.chance)
        self.market = Market()
        self.deliveries = Deliveries(self.timeline, self.chance, schedule.far)
        self.database = database or MemoryDatabase()
        self.wants: Wants = {}
        self.result = Result(schedule)
        self.minute = 0
        self._begun = -1
        """The minute whose actions were carried out last."""
        self.down_for = 0
        """Minutes for which the next process waits to begin."""
        self.stop_wanted = False
        self.killed: Callable[[], None] = lambda: None
        """Called where the process dies."""
        self.asleep = 0
        """Minutes for which the process stands still."""
        self.conflict = ""
        self.ignored: tuple[str, ...] = ()
        self.wall_ahead = timedelta(0)
        self.kills_in_starts: list[tuple[str, int]] = []
        self.outside_changes = OutsideChanges()
        self._recent: dict[str, datetime] = {}
        self._life: Life | None = None
        outside = Outside(
            self.timeline, self.wire, self.market, self.deliveries, self.points, self.database,
            tuple(symbols), schedule.far, self._trade_minute, self.wall, self.struck,
        )  # fmt: skip
        actors = {name: self._actor(name) for name in ACTORS}
        self.lives = Lives(outside, {**made_of, **actors, PROBE: FillProbe}, config)
        self.commit_faults = outside.commit_faults
        self.judge = self.wire.watch = Judge(self.database, exchange, config, self)
        self.deliveries.taken = self.judge.batch_taken
        self.wire.arrived = self._send_updates
        self.wire.struck = self.deliveries.struck = self.struck
        self.actions = Actions(self)

    # -- what the judge asks -------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return self.timeline.now

    @property
    def book(self) -> Book | None:
        return self._life.book if self._life is not None else None

    @property
    def ready(self) -> bool:
        return self._life is not None and self._life.ready

    @property
    def enterable(self) -> Sequence[str]:
        return self._life.symbols if self._life is not None else ()

    @property
    def stopped_by(self) -> str:
        return self.conflict

    @property
    def stream_down(self) -> bool:
        return self.deliveries.down

    @property
    def process(self) -> Life | None:
        return self._life

    @property
    def latest_bars(self) -> Mapping[str, Bar]:
        return self.market.latest()

    @property
    def undisturbed(self) -> bool:
        return not self.wire.busy and not self._lately()

    def wall(self) -> datetime:
        return self.timeline.now + self.wall_ahead

    # -- the run -------------------------------------------------------------------------------------

    def run(self) -> Result:
        """Play the schedule to its end; a violation is part of the result."""
        try:
            if self.schedule.far:
                self._plan_minute()
            self._live(lambda: self.minute < self.schedule.minutes)
            self._bring_to_an_end()
        except Violation as violation:
            self.result.violation = violation
            self.trace(f"VIOLATION {violation}")
        except Exception as error:  # noqa: BLE001 - whatever else escapes the bot is a violation, too
            self.result.violation = Violation("9 stops", f"{type(error).__name__}: {error}")
            self.result.violation.__cause__ = error
            self.trace(f"VIOLATION {self.result.violation}")
        finally:
            self._end_life()
        return self.result

    def _live(self, goes_on: Callable[[], bool]) -> None:
        """Let the bot live, and begin again, for as long as a condition holds; in the end it lives."""
        failed, happened = 0, 0
        while (goes_on() or self._life is None) and not self.market.ended:
            try:
                if self._life is None:
                    failed += 1
                    if failed > MOST_STARTS:
                        raise Violation("9 gets through", f"{failed} starts in a row fail")
                    happened = self._happened
                    self._begin_life()
                    failed = 0
                if goes_on():
                    self._step()
            except Killed:
                self._end_life()
            except SmabotError as error:
                self._stopped(error)
            if self._happened != happened:
                failed = 0

    def _begin_life(self) -> None:
        self._stay_down()
        self.result.starts += 1
        if self.kills_in_starts:
            self.points.arm(*self.kills_in_starts.pop(0))
        self.conflict = ""
        self._life = self.lives.new()
        self.judge.process_begins()
        self.trace("start")
        self._life.begin(self.ignored)
        self.trace("ready")

    def _step(self) -> None:
        assert self._life is not None
        if self.asleep:
            self.timeline.run_until(self.timeline.now + timedelta(minutes=self.asleep))
            self.asleep = 0
        if self.stop_wanted:
            self.stop_wanted = False
            self.trace("stop")
            self._life.stop()
            self._end_life()
            return
        if not self._life.step():
            self.market.ended = True
        self.result.steps += 1
        self.judge.after_step()

    def _stay_down(self) -> None:
        """Let the minutes pass that a process waits to begin."""
        for _ in range(self.down_for):
            if self.schedule.far:
                self.timeline.run_until(self.timeline.now + timedelta(minutes=1))
            elif not self.market.ended:
                self._trade_minute()
        self.down_for = 0

    def _end_life(self) -> None:
        life, self._life = self._life, None
        if life is not None:
            life.end()

    # -- the bot stops -------------------------------------------------------------------------------

    def _stopped(self, error: SmabotError) -> None:
        """The bot has stopped by an error: for a cause, or it is a violation."""
        if _is_kill(error):
            self._end_life()
            return
        self.trace(f"stopped, exit code {error.exit_code}: {error}")
        if not str(error):
            raise Violation("9 stops", f"{type(error).__name__} without a word")
        self._end_life()
        if isinstance(error, ConflictError):
            self._conflict(error)
        elif isinstance(error, RiskHalt):
            self.lives.left_out = frozenset()
        elif (isinstance(error, PluginError) and _is_injected(error)) or (
            isinstance(error, JournalError) and self._struck_lately("commit ")
        ):
            pass
        elif isinstance(error, BrokerError) and self._struck_lately(""):
            self.down_for = 1
        else:
            raise Violation(
                "9 stops", f"without a cause: {type(error).__name__}: {error}"
            ) from error

    def _conflict(self, error: ConflictError) -> None:
        conflicts = error.conflicts if isinstance(error, ReconciliationConflict) else ()
        self.conflict = f"{error}: {[(c.kind, c.what, c.here, c.there) for c in conflicts]}"
        self.trace(self.conflict)
        if not self.outside_changes:
            raise Violation("8 conflict", f"one that nobody caused: {self.conflict}")
        self.down_for = 1
        self._stay_down()
        self._accept()

    def _accept(self) -> None:
        """The operator cancels orders of others, and lets the bot accept the broker's state, on a good line."""
        self.actions.postpone()
        self.points.failing.clear()
        armed = self.points.disarm()
        faults, self.wire.faults = self.wire.faults, {each: [] for each in self.wire.faults}
        commit_faults = self.commit_faults[:]
        self.commit_faults.clear()
        self.exchange.cancel_by_hand()
        life = self.lives.new()
        try:
            life.accept_broker_state()
        except BrokerError:
            self.down_for = 1
        finally:
            life.end()
        self.wire.faults = faults
        self.commit_faults += commit_faults
        for point, nth in armed.items():
            self.points.arm(point, nth)
        self.trace("accepted the broker's state")
        self.actions.carry_out_postponed()

    # -- the market ----------------------------------------------------------------------------------

    def _plan_minute(self) -> None:
        time = self.exchange.next_minute()
        if time is None:
            self.market.ended = True
            return
        self.timeline.at(time, self._trade_and_plan)

    def _trade_and_plan(self) -> None:
        self._trade_minute()
        self._plan_minute()

    def _trade_minute(self) -> None:
        """Do what the schedule says of the next minute, and let the market trade it."""
        if self._begun != self.minute:
            self._begun = self.minute
            actions = self.schedule.at(self.minute)
            self.actions.carry_out(actions)
            if self.schedule.compared and any(each.verb == "operator" for each in actions):
                return  # in a step of its own, as a start carries a command out before it takes bars
        self.minute += 1
        traded = self.exchange.trade_minute()
        if traded is None:
            self.market.ended = True
            return
        self.timeline.now = max(self.timeline.now, traded.time)
        self.market.minutes.append(traded.bars)
        self.judge.minute_traded()
        self._send_updates()
        self.deliveries.send_minute(traded.bars)

    def _send_updates(self) -> None:
        self.deliveries.send_updates(self.exchange.take_updates())

    # -- the end -------------------------------------------------------------------------------------

    def _bring_to_an_end(self) -> None:
        """With a good line exits are made, then everything gets flat, and both books are equal."""
        self.actions.calm()
        since = self.now
        self._quiet(EXIT_MINUTES)
        if not self.market.ended:
            self.judge.exits_were_made(since)
        self.actions.command("flatten")
        self._quiet(FLAT_MINUTES)
        if not self.market.ended:
            self.judge.all_is_flat(FLAT_MINUTES)
        if self.outside_changes:
            self._end_life()
            self._accept()
        self.judge.books_agree()

    def _quiet(self, minutes: int) -> None:
        until = self.minute + minutes
        self._live(lambda: self.minute < until)

    @property
    def _happened(self) -> int:
        """How many kills and faults there have been."""
        return len(self.result.kills) + self.result.faults.total()

    # -- notes ---------------------------------------------------------------------------------------

    def trace(self, text: str) -> None:
        """Note what happened, for whoever reads the trace of a violation."""
        self.result.trace.append(f"{self.timeline.now:%m-%d %H:%M:%S} {text}")
        del self.result.trace[:-TRACED]

    def struck(self, fault: str) -> None:
        """Note that a fault has struck."""
        self.result.faults[fault] += 1
        self._recent[fault] = self.timeline.now
        self.trace(f"fault: {fault}")

    def _struck_lately(self, prefix: str) -> bool:
        return any(fault.startswith(prefix) for fault in self._lately())

    def _lately(self) -> list[str]:
        since = self.timeline.now - RECENT
        return [fault for fault, time in self._recent.items() if time >= since]

    def _note_kill(self, point: str) -> None:
        life = self._life
        kill = Kill(
            point,
            life is None or not life.ready,
            life is not None and life.committed > 0,
            tuple(self._lately()),
            (),
        )
        self.result.kills.append(kill)
        self.trace(f"KILLED {point}")
        self.killed()

    def _note_failure(self, boundary: str) -> None:
        self.struck(f"plugin fails in {boundary.removeprefix('before ')}")

    def _actor(self, name: str) -> Callable[[], Actor]:
        return lambda: Actor(name, self.wants)


def _is_kill(error: BaseException | None) -> bool:
    """Whether an error is what a plugin's caller made of a kill."""
    while error is not None:
        if isinstance(error, Killed):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_injected(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, PluginFailure):
            return True
        error = error.__cause__ or error.__context__
    return False
