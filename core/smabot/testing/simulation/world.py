"""Plays a schedule: a bot, killed and begun again, on an exchange that nothing can stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from smabot.domain.book import Book
from smabot.domain.calendar import Calendar
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
from smabot.testing.simulation.actors import ACTORS, Actor
from smabot.testing.simulation.databases import Database, MemoryDatabase
from smabot.testing.simulation.deliveries import Deliveries
from smabot.testing.simulation.fill_probe import PROBE, FillProbe
from smabot.testing.simulation.judge import Judge, Violation
from smabot.testing.simulation.life import Life, Lives, Outside
from smabot.testing.simulation.market import Market
from smabot.testing.simulation.outside_changes import OutsideChanges
from smabot.testing.simulation.points import PluginFailure, is_caused_by
from smabot.testing.simulation.replayed_minutes import ReplayedMinutes
from smabot.testing.simulation.schedule import Schedule
from smabot.testing.simulation.schedule_result import Kill, Result
from smabot.testing.simulation.server import Clients, Server
from smabot.testing.simulation.socket_line import SocketLine
from smabot.testing.simulation.trade_counts import TradeCounts
from smabot.testing.simulation.under_way import circumstances
from smabot.testing.simulation.watched_broker import watched_clients
from smabot.testing.simulation.watched_requests import WatchedRequests
from smabot.testing.simulation.world_state import WorldState

EXIT_MINUTES = 25
"""Longer than the longest pause of an exit that failed."""
FLAT_MINUTES = 25
MOST_STARTS = 10
"""In a row that fail without a kill or a fault: then the bot never gets through."""


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
        clients: Clients | None = None,
    ) -> None:
        """``database``: where the bot keeps its tables, else in memory; ``clients``: makes a plugin's own broker and
        feed for a process, else they are simulated."""
        database = database or MemoryDatabase()
        state = WorldState(
            schedule, exchange, database, self._note_kill, served=clients is not None
        )
        self.state = state
        self.minute = 0
        self.killed: Callable[[], None] = lambda: None
        """Called where the process dies."""
        self._begun = -1
        """The minute whose actions were carried out last."""
        self._conflict = ""
        self._market = Market()
        self._replay = ReplayedMinutes(exchange, self._market, state.timeline, self._trade_minute)
        self._life: Life | None = None
        self._has_committed = False
        """Whether a process has committed a step with a bar or an order."""
        outside = Outside(
            state.timeline, state.wire, self._market, state.deliveries, state.points, database,
            tuple(symbols), schedule.far, self._replay, state.wall, state.notes.struck,
            lambda rows, bars: self.judge.committed(rows, bars), state.plan.commit_faults,
        )  # fmt: skip
        actors = {name: self._actor(name) for name in ACTORS}
        state.lives = Lives(outside, {**made_of, **actors, PROBE: FillProbe}, config)
        self.judge = state.wire.watch = Judge(database, exchange, config, self)
        state.deliveries.taken = self.judge.batch_taken
        if isinstance(state.deliveries, SocketLine) and clients is not None:
            requests = WatchedRequests(self.judge, database, exchange)
            turned_away = self.judge.room.turned_away
            watched = watched_clients(clients, lambda: self.now, turned_away, self.judge)
            state.lives.server = Server.of(state.wire, state.deliveries, requests, watched)
        state.wire.arrived = self._send_updates
        self._actions = Actions(state)

    # -- what the judge asks -------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return self.state.timeline.now

    @property
    def book(self) -> Book | None:
        return self._life.book if self._life is not None else None

    @property
    def enterable(self) -> Sequence[str]:
        return self._life.symbols if self._life is not None else ()

    @property
    def outside_changes(self) -> OutsideChanges:
        return self.state.outside_changes

    @property
    def stopped_by(self) -> str:
        return self._conflict

    @property
    def process(self) -> Life | None:
        return self._life

    @property
    def latest_bars(self) -> Mapping[str, Bar]:
        return self._market.latest

    @property
    def undisturbed(self) -> bool:
        return not self.state.wire.busy and not self.state.notes.lately()

    def wall(self) -> datetime:
        return self.state.wall()

    # -- the run -------------------------------------------------------------------------------------

    def run(self) -> Result:
        """Play the schedule to its end; a violation is part of the result."""
        try:
            if self.state.schedule.far:
                self._plan_minute()
            self._live(lambda: self.minute < self.state.schedule.minutes)
            self._bring_to_an_end()
        except Violation as violation:
            self.state.notes.result.violation = violation
            self.state.notes.trace(f"VIOLATION {violation}")
        except Exception as error:  # noqa: BLE001 - whatever else escapes the bot is a violation, too
            self.state.notes.result.violation = Violation(
                "9 stops", f"{type(error).__name__}: {error}"
            )
            self.state.notes.result.violation.__cause__ = error
            self.state.notes.trace(f"VIOLATION {self.state.notes.result.violation}")
        finally:
            self._end_life()
            self.state.deliveries.close()
            self.state.timeline.end()
        self.state.notes.result.trades = TradeCounts.of(self.state.database)
        return self.state.notes.result

    def _live(self, goes_on: Callable[[], bool]) -> None:
        """Let the bot live, and begin again, for as long as a condition holds; in the end it lives."""
        failed, happened = 0, 0
        while (goes_on() or self._life is None) and not self._market.ended:
            try:
                if self._life is None:
                    failed += 1
                    if failed > MOST_STARTS:
                        raise Violation("9 gets through", f"{failed} starts in a row fail")
                    happened = self.state.notes.happened
                    self._begin_life()
                    failed = 0
                if goes_on():
                    self._step()
            except Killed:
                self._end_life()
            except SmabotError as error:
                self._stopped(error)
            if self.state.notes.happened != happened:
                failed = 0

    def _begin_life(self) -> None:
        self._stay_down()
        self.state.notes.result.starts += 1
        if self.state.plan.kills_in_starts:
            self.state.points.arm(*self.state.plan.kills_in_starts.pop(0))
        self._conflict = ""
        self._life = self.state.lives.new()
        self.judge.process_begins()
        self.state.notes.trace("start")
        self._life.begin()
        self.state.notes.trace("ready")

    def _step(self) -> None:
        assert self._life is not None
        if self.state.plan.asleep:
            self.state.timeline.run_until(
                self.state.timeline.now + timedelta(minutes=self.state.plan.asleep)
            )
            self.state.plan.asleep = 0
            self.judge.process_woke()
        if self.state.plan.stop_wanted:
            self.state.plan.stop_wanted = False
            self.state.notes.trace("stop")
            self._life.stop()
            self._end_life()
            return
        if not self._life.step():
            self._market.ended = True
        self.state.notes.result.steps += 1
        self.judge.after_step()

    def _stay_down(self) -> None:
        """Let the minutes pass that a process waits to begin."""
        for _ in range(self.state.plan.down_for):
            if self.state.schedule.far:
                self.state.timeline.run_until(self.state.timeline.now + timedelta(minutes=1))
            elif not self._market.ended:
                self._trade_minute()
        self.state.plan.down_for = 0

    def _end_life(self) -> None:
        life, self._life = self._life, None
        if life is not None:
            self._has_committed = self._has_committed or life.committed > 0
            life.end()
            self.minute -= self._replay.lose()

    # -- the bot stops -------------------------------------------------------------------------------

    def _stopped(self, error: SmabotError) -> None:
        """The bot has stopped by an error: for a cause, or it is a violation."""
        if is_caused_by(error, Killed):
            self._end_life()
            return
        self.state.notes.trace(f"stopped, exit code {error.exit_code}: {error}")
        if not str(error):
            raise Violation("9 stops", f"{type(error).__name__} without a word")
        self._end_life()
        if isinstance(error, ConflictError):
            self._resolve(error)
        elif isinstance(error, RiskHalt):
            self.state.lives.left_out = frozenset()
        elif (isinstance(error, PluginError) and is_caused_by(error, PluginFailure)) or (
            isinstance(error, JournalError) and self.state.notes.lately("commit ")
        ):
            pass
        elif isinstance(error, BrokerError) and (
            self.state.notes.lately() or self.state.wire.refused_lately
        ):
            self.state.plan.down_for = 1
        else:
            raise Violation(
                "9 stops", f"without a cause: {type(error).__name__}: {error}"
            ) from error

    def _resolve(self, error: ConflictError) -> None:
        conflicts = error.conflicts if isinstance(error, ReconciliationConflict) else ()
        self._conflict = f"{error}: {[(c.kind, c.what, c.here, c.there) for c in conflicts]}"
        self.state.notes.trace(self._conflict)
        if not self.state.outside_changes:
            raise Violation("8 conflict", f"one that nobody caused: {self._conflict}")
        self.state.plan.down_for = 1
        self._stay_down()
        self._accept()

    def _accept(self) -> None:
        """The operator cancels orders of others, and lets the bot accept the broker's state, on a good line."""
        self._actions.postpone()
        self.state.points.failing.clear()
        armed = self.state.points.disarm()
        faults, self.state.wire.faults = (
            self.state.wire.faults,
            {each: [] for each in self.state.wire.faults},
        )
        commit_faults = self.state.plan.commit_faults[:]
        self.state.plan.commit_faults.clear()
        self.state.exchange.cancel_by_hand()
        life = self.state.lives.new()
        try:
            life.accept_broker_state()
        except BrokerError:
            self.state.plan.down_for = 1
        finally:
            life.end()
        self.state.wire.faults = faults
        self.state.plan.commit_faults += commit_faults
        for point, nth in armed.items():
            self.state.points.arm(point, nth)
        self.state.notes.result.accepted += 1
        self.state.notes.trace("accepted the broker's state")
        self._actions.carry_out_postponed()

    # -- the market ----------------------------------------------------------------------------------

    def _plan_minute(self) -> None:
        time = self.state.exchange.next_minute()
        if time is None:
            self._market.ended = True
            return
        self.state.timeline.at(time, self._trade_and_plan)

    def _trade_and_plan(self) -> None:
        self._trade_minute()
        self._plan_minute()

    def _trade_minute(self) -> None:
        """Do what the schedule says of the next minute, and let the market trade it."""
        if self._trade_quietly():
            return
        if self._replay.unkept:
            return  # what was traded is kept first
        if self._begun != self.minute:
            self._begun = self.minute
            actions = self.state.schedule.at(self.minute)
            self._actions.carry_out(actions)
            if self.state.schedule.compared and any(each.verb == "operator" for each in actions):
                return  # in a step of its own, as a start carries a command out before it takes bars
        self.minute += 1
        traded = self.state.exchange.trade_minute()
        if traded is None:
            self._market.ended = True
            return
        self.state.timeline.now = max(self.state.timeline.now, traded.time)
        self._market.add(traded.bars)
        self.judge.minute_traded()
        self._send_updates()
        self.state.deliveries.send_minute(traded.bars)

    def _trade_quietly(self) -> bool:
        """Let the market trade a minute that its reader may keep later; False: it is not such a one."""
        deliveries = self.state.deliveries
        if (
            self.state.schedule.at(self.minute)
            or not (isinstance(deliveries, Deliveries) and deliveries.quiet)
            or not self._replay.trade_quietly()
        ):
            return False
        self.minute += 1
        self.judge.minute_traded()
        deliveries.send_quiet_minute(self._market.minutes[-1])
        return True

    def _send_updates(self) -> None:
        self.state.deliveries.send_updates(self.state.exchange.take_updates())

    # -- the end -------------------------------------------------------------------------------------

    def _bring_to_an_end(self) -> None:
        """With a good line exits are made, then everything gets flat, and both books are equal."""
        self._actions.calm()
        since = self.now
        self._quiet(EXIT_MINUTES)
        if not self._market.ended:
            self.judge.exits_were_made(since)
        self._actions.command("flatten")
        self._quiet(FLAT_MINUTES)
        if not self._market.ended:
            self.judge.all_is_flat(FLAT_MINUTES)
        if self.state.outside_changes:
            self._end_life()
            self._accept()
        self.judge.books_agree()

    def _quiet(self, minutes: int) -> None:
        until = self.minute + minutes
        self._live(lambda: self.minute < until)

    def _note_kill(self, point: str) -> None:
        life = self._life
        starting = life is None or not life.ready
        kill = Kill(
            point,
            starting,
            self._has_committed if starting else life is not None and life.committed > 0,
            tuple(self.state.notes.lately()),
            self._under_way(),
        )
        self.state.notes.result.kills.append(kill)
        self.state.notes.trace(f"KILLED {point}")
        self.killed()

    def _under_way(self) -> tuple[str, ...]:
        life, book = self._life, self.book
        return circumstances(
            self.state.database,
            book.calendar if book is not None else Calendar(),
            self.now,
            command_read=life is not None and life.command_read,
            paused=life is not None and life.entries_paused,
            uncommitted=self._replay.unkept > 0,
        )

    def _actor(self, name: str) -> Callable[[], Actor]:
        return lambda: Actor(name, self.state.plan.wants)
