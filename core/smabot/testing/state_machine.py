"""A state machine that drives a whole bot through orders of events, and an oracle that judges it.

The engine, outbox, journal, reconciliation and risk plugins are the real ones, the exchange is the
paper exchange in this process; only threads and the line to the broker are scheduled. Each order is
judged at the moment it reaches the exchange, by what is durable then; the books are compared with the
exchange's own.

Needs hypothesis: ``pip install smabot[testing]``.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from smabot.domain.records import (
    ZERO,
    Bar,
    Batch,
    Block,
    Command,
    Fill,
    Order,
    OrderIntent,
    OrderType,
    Side,
    Signal,
    SignalState,
    Status,
)
from smabot.engine.loop import Engine
from smabot.engine.operator_commands import expiry
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.engine.recovery import Session, accept, compare, open_session, recover
from smabot.errors import ConflictError
from smabot.hooks.plugins import Plugins
from smabot.hooks.specifications import hookimpl
from smabot.settings.model import Config
from smabot.testing.faulty_connection import FarBroker, Market, NearBroker, Stream
from smabot.testing.kill_points import Killed, KillSwitch, MortalJournal
from smabot.testing.scheduled_dispatcher import ScheduledDispatcher

STRATEGIES = ("alpha", "zeta")
MINUTE = timedelta(minutes=1)
LONGEST_START = 40
EXIT_MINUTES = 25
"""Longer than the longest pause of an exit that failed."""
SETTLING_MINUTES = 25
CHANGES = st.lists(
    st.tuples(st.sampled_from(STRATEGIES), st.integers(0, 9)), min_size=1, max_size=4
)
Wants = dict[tuple[str, str, datetime], int]


@dataclass(frozen=True, slots=True)
class Scene:
    """Files to begin from, made once and copied for each run: a database, a ledger, and their data."""

    database: Path
    ledger: Path
    data: str
    symbols: tuple[str, ...]
    settings: Mapping[str, Any]
    drawdown: Decimal
    """The fraction of the opening cash at whose loss the breaker trips."""


class Wanting:
    """A strategy that wants what the schedule says, by its bar; `zeta` rests its entries at a limit."""

    def __init__(self, name: str, wants: Wants) -> None:
        self._name = name
        self._wants = wants

    @hookimpl
    def lookback(self) -> int:
        return 3

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        target = self._wants.get((self._name, bar.symbol, bar.time))
        if target is None:
            return None
        return Signal.long(bar) if target else Signal.flat(bar)

    @hookimpl
    def on_signal(self, signal: Signal) -> OrderIntent | None:
        if signal.strategy != self._name or self._name != "zeta" or not signal.target:
            return None
        limit = (Decimal(repr(signal.price)) * Decimal("0.99")).quantize(Decimal("0.01"))
        return OrderIntent(signal.symbol, Side.BUY, Decimal(50), OrderType.LIMIT, limit)


class Violation(AssertionError):
    """What the bot did must never happen."""


class GuardMachine(RuleBasedStateMachine):
    """Subclass it with the scenes to begin from, and how to look at their exchange."""

    scenes: Sequence[Scene] = ()
    market_of: Callable[[Session], Market]
    far: bool = True
    """Whether that an order is not found at the broker proves nothing."""
    within: Path | None = None
    """Where each run has its files; None: where temporary files are. A disk in memory is faster."""

    @initialize(scene=st.integers(0, 99))
    def begin(self, scene: int) -> None:
        chosen = self.scenes[scene % len(self.scenes)]
        self._scene = chosen
        self._folder = Path(tempfile.mkdtemp(prefix="smabot-machine-", dir=self.within))
        for path in (chosen.database, chosen.ledger):
            shutil.copy(path, self._folder / path.name)
        self._wants: Wants = {}
        self._enterable = chosen.symbols
        self._wall = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
        self._commands = 0
        self._switch = KillSwitch()
        self._by_hand: dict[str, Decimal] = {}
        self._frozen = False
        self._fallen = False
        self._last_word = ""
        self._conflict = ""
        self._session: Session | None = None
        self._failed = False
        self._start()

    # -- what happens --------------------------------------------------------------------------------

    @rule(minutes=st.integers(1, 3))
    def time_passes(self, minutes: int) -> None:
        for _ in range(minutes):
            self._live(self._minute)

    @rule(changes=CHANGES, minutes=st.integers(1, 2))
    def strategies_change_their_minds(self, changes: list[tuple[str, int]], minutes: int) -> None:
        """At the bar that comes next."""
        session = self._alive()
        assert session.feed is not None
        for strategy, index in changes:
            symbol = self._scene.symbols[index % len(self._scene.symbols)]
            state = session.book.signals.get((strategy, symbol))
            wanted = 1 if state is None else 1 - state.target
            self._wants[strategy, symbol, session.feed.now()] = wanted
        for _ in range(minutes):
            self._live(self._minute)

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
        broker: Any = self._alive().broker
        broker.faults[:] = faults

    @rule(slow=st.booleans())
    def requests_queue_up(self, slow: bool) -> None:
        self._dispatcher.slow = slow

    @rule(down=st.booleans())
    def the_stream_goes(self, down: bool) -> None:
        stream: Any = self._alive().feed
        stream.down = down

    @rule(
        verb=st.sampled_from(["resume", "halt", "resume", "breaker reset", "resume", "flatten"]),
        answered=st.booleans(),
    )
    def the_operator_says(self, verb: str, answered: bool) -> None:
        session = self._alive()
        assert session.journal is not None
        self._wall += timedelta(seconds=1)
        self._commands += 1
        made = Command(
            str(UUID(int=self._commands)), verb, "", self._wall, expires_at=expiry(verb, self._wall)
        )
        session.journal.send(made)
        if verb != "breaker reset":
            self._last_word = verb
        if answered:
            self._live(self._step)

    @rule(verbs=st.lists(st.sampled_from(["resume", "halt"]), min_size=2, max_size=3))
    def the_operator_says_one_thing_after_the_other(self, verbs: list[str]) -> None:
        """Before the bot takes any of it in; the last word counts."""
        for verb in verbs:
            self.the_operator_says(verb, False)
        self._live(self._step)

    @rule(symbol=st.integers(0, 9), half=st.booleans())
    def somebody_sells_by_hand(self, symbol: int, half: bool) -> None:
        name = self._scene.symbols[symbol % len(self._scene.symbols)]
        held = self._market.held().get(name, ZERO)
        qty = held // 2 if half else held
        if qty > 0 and self._market.sell_by_hand(name, qty):
            self._by_hand[name] = self._by_hand.get(name, ZERO) + qty

    @rule()
    @precondition(lambda self: not self._frozen)
    def a_cancel_hangs(self) -> None:
        self._frozen = True
        self._market.freeze_cancels()

    @rule(points=st.integers(1, 6), down=st.integers(0, 2))
    def it_is_killed(self, points: int, down: int) -> None:
        """At a commit or a request soon, and started again, perhaps when some minutes have passed."""
        self._switch.arm(points)
        self._live(self._minute)
        self._switch.disarm()
        self._stop()
        self._start(down)

    @rule(points=st.integers(1, LONGEST_START))
    def it_is_killed_while_it_starts(self, points: int) -> None:
        self._stop()
        self._switch.arm(points)
        self._start()
        self._switch.disarm()

    @rule(left_out=st.integers(0, 9), down=st.integers(0, 2))
    def it_is_started_with_other_symbols(self, left_out: int, down: int) -> None:
        """All of them, or all but one; what is held of that one must still be valued and exited."""
        symbols = self._scene.symbols
        self._enterable = tuple(s for i, s in enumerate(symbols) if i != left_out) or symbols
        self._stop()
        self._start(down)

    # -- what must hold --------------------------------------------------------------------------------

    @invariant()
    def nothing_is_sold_short(self) -> None:
        if self._session is None:
            return
        for symbol, qty in self._market.held().items():
            if qty < 0:
                raise Violation(f"the account holds {qty} {symbol}")

    def _arriving(self, order: Order) -> None:
        """Judge an order at the moment it reaches the exchange, by what is durable then."""
        session = self._alive()
        assert session.journal is not None
        kept = session.journal.row(Order, order.client_order_id)
        if kept is None:
            raise Violation(f"{order.client_order_id} was sent before it was committed")
        if self._stopped_by:
            raise Violation(f"{order.client_order_id} left after {self._stopped_by}")
        if order.reduces:
            self._exit_arriving(order)
            return
        if kept.cancel_requested_at is not None:
            raise Violation(f"{order.client_order_id} left though its cancel was asked for")
        now = session.book.now
        if blocks := [b for b in session.journal.rows(Block) if b.holds(now)]:
            raise Violation(f"{order.client_order_id} left in the face of {blocks[0].reason}")
        if order.symbol not in self._enterable:
            raise Violation(f"{order.client_order_id} left, and its symbol is not to be traded")
        state = session.journal.row(SignalState, order.strategy, order.symbol)
        if state is not None and state.target == 0:
            raise Violation(f"{order.client_order_id} left though {order.strategy} wants flat")
        stream: Any = session.feed
        if stream.down:
            raise Violation(f"{order.client_order_id} left while order updates were down")
        if stream.now() - order.created_at >= 2 * MINUTE:
            raise Violation(f"{order.client_order_id} left {stream.now() - order.created_at} late")
        if self._last_word in ("halt", "flatten"):
            raise Violation(f"{order.client_order_id} left after the operator's {self._last_word}")
        if self._fallen:
            raise Violation(f"{order.client_order_id} left after equity had fallen too far")

    def _exit_arriving(self, order: Order) -> None:
        for other in self._alive().book.working(order.symbol):
            if other.reduces or other.side is order.side or other.cancel_requested_at is not None:
                continue
            if other.status is not Status.PENDING:
                raise Violation(f"{order.client_order_id} meets our own {other.client_order_id}")

    def teardown(self) -> None:
        try:
            if not self._failed:
                self._bring_to_an_end()
        finally:
            self._stop()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _bring_to_an_end(self) -> None:
        """With a good line exits are made, then everything gets flat, and both books are equal."""
        self._calm(EXIT_MINUTES)
        if not self._frozen:
            self._every_exit_was_made()
            self.the_operator_says("flatten", True)
            self._calm(SETTLING_MINUTES)
            self._all_is_flat()
        self._both_books_are_equal()

    def _calm(self, minutes: int) -> None:
        """Let time pass on a good line."""
        for _ in range(minutes):
            broker: Any = self._alive().broker
            stream: Any = self._alive().feed
            broker.faults.clear()
            self._dispatcher.slow = stream.down = False
            self._live(self._minute)
            self._live(self._step)

    def _every_exit_was_made(self) -> None:
        book = self._alive().book
        for holding, state in book.signals.items():
            if (
                state.target == 0
                and not state.missed
                and book.holding(*holding)
                and not self._over()
            ):
                latest = book.latest_order(*holding)
                raise Violation(f"{holding} is wanted flat for {EXIT_MINUTES} minutes: {latest}")

    def _all_is_flat(self) -> None:
        session = self._alive()
        held = {p.symbol: p.qty for p in session.book.positions.values() if p.qty}
        if held and not self._over():
            why = [(o.client_order_id, o.status, o.reason) for o in session.book.orders.values()]
            raise Violation(f"not flat after {SETTLING_MINUTES} minutes: {held}, {why}")

    def _both_books_are_equal(self) -> None:
        session = self._alive()
        assert session.journal is not None
        here = {o.client_order_id: o.filled_qty for o in session.journal.rows(Order)}
        there = self._market.filled()
        ours = {name: qty for name, qty in there.items() if name.startswith(session.config.bot)}
        if strange := ours.keys() - here.keys():
            raise Violation(f"orders at the exchange that were never committed: {strange}")
        late = {name: (here[name], qty) for name, qty in ours.items() if here[name] != qty}
        if late:
            raise Violation(f"filled here and there: {late}")
        traded: dict[str, Decimal] = {}
        for fill in session.journal.rows(Fill):
            traded[fill.client_order_id] = traded.get(fill.client_order_id, ZERO) + fill.qty
        if traded != {name: qty for name, qty in here.items() if qty}:
            raise Violation(f"fills that were not counted once: {traded}, {here}")

    # -- a life ----------------------------------------------------------------------------------------

    def _live(self, what: Callable[[], None]) -> None:
        """Let the bot live on a little; a conflict that somebody caused is accepted, as by an operator."""
        try:
            what()
        except Killed:
            self._stop()
            self._start()
        except (ReconciliationConflict, ConflictError) as error:
            self._expected(error)
            self._stop()
            self._accept()
            self._start()
        except BaseException:
            self._failed = True
            raise

    def _minute(self) -> None:
        session = self._alive()
        assert session.feed is not None
        batch = session.feed.next(0)
        if batch is None:
            return
        if batch.bars:
            self._note_fall()
        self._engine_alive().take(batch)

    def _step(self) -> None:
        session = self._alive()
        stream: Any = session.feed
        doubt = "down" if stream.down else ""
        self._engine_alive().take(Batch(stream.now(), doubt=doubt))

    def _note_fall(self) -> None:
        """Once equity has fallen too far by the exchange's word, no entry may arrive before a reset.

        It counts where the bot can know: its fills are those of the exchange, and nobody else trades.
        """
        book, limit = self._alive().book, self._scene.drawdown
        if book.account is None or self._by_hand:
            return
        known = {p.symbol: book.net(p.symbol) for p in book.positions.values()}
        if {s: q for s, q in known.items() if q} != {
            s: q for s, q in self._market.held().items() if q
        }:
            return
        tripped = book.blocks.get(("risk.circuit_breaker", "entries"))
        was_reset = tripped is not None and tripped.until is not None
        fell = self._market.equity() <= book.account.opening_cash * (1 - limit)
        self._fallen = (self._fallen or fell) and not was_reset

    def _start(self, minutes_later: int = 0) -> None:
        for _ in range(LONGEST_START):
            try:
                self._open(minutes_later)
            except Killed:
                self._stop()
            except (ReconciliationConflict, ConflictError) as error:
                self._expected(error)
                self._stop()
                self._accept()
            except BaseException:
                self._failed = True
                raise
            else:
                return
        self._failed = True
        raise Violation(f"it never starts: {self._conflict}")

    def _open(self, minutes_later: int = 0) -> None:
        session = self._opened()
        for _ in range(minutes_later):
            stream: Any = session.feed
            stream._feed.next(0)
        self._stopped_by = ""
        self._engine: Engine | None = recover(session)

    def _opened(self) -> Session:
        scene = self._scene
        config = Config(
            db=self._folder / scene.database.name, data=scene.data, speed="max", broker="exchange",
            base_plugins=("persistence_sqlite", "reconciliation", "exchange"), plugins=("risk",),
            symbols=self._enterable, **scene.settings,
        )  # fmt: skip
        plugins = Plugins.load(config)
        for name in STRATEGIES:
            plugins.register(name, Wanting(name, self._wants))
        plugins.check()
        session = open_session(config, plugins)
        self._session = session
        self._market = type(self).market_of(session)
        session.broker = (FarBroker if self.far else NearBroker)(session.broker, self._arriving)
        session.feed = Stream(session.feed)
        session.journal = MortalJournal(session.journal, self._switch)
        session.wall = lambda: self._wall
        self._dispatcher = session.dispatcher = ScheduledDispatcher(self._switch)
        self._stopped_by = "?"
        return session

    def _accept(self) -> None:
        """`smabot reconcile --accept broker`, when what was sold by hand has had a minute to fill."""
        self._switch.disarm()
        session = self._opened()
        stream: Any = session.feed
        stream.next(0)
        found = compare(session)
        assert found is not None
        accept(session, found)
        self._stop()

    def _expected(self, error: ConflictError) -> None:
        """A conflict has to have a cause outside the bot."""
        self._stopped_by = self._conflict = f"{error}: {getattr(error, 'conflicts', ())}"
        if not self._by_hand and not self._frozen:
            conflicts = getattr(error, "conflicts", ())
            raise Violation(f"a conflict that nobody caused: {error}, {conflicts}")

    def _stop(self) -> None:
        """The process is gone: what was not committed and not sent is lost."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _over(self) -> bool:
        progress = self._alive().feed.progress()  # type: ignore[union-attr]
        return progress is not None and progress.done >= progress.total

    def _alive(self) -> Session:
        assert self._session is not None
        return self._session

    def _engine_alive(self) -> Engine:
        assert self._engine is not None
        return self._engine
