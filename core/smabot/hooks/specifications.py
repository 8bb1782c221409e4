"""The hooks. A plugin implements those it needs, with the arguments it needs, by name.

Meaning never depends on the order in which plugins were registered; where order matters, the
description says which implementation goes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from smabot.domain.book_view import BookView as Book
    from smabot.domain.bot_health import Health
    from smabot.domain.bot_records import Command, Run
    from smabot.domain.committed_steps import CommittedStep
    from smabot.domain.equity_bounds import EquityBounds
    from smabot.domain.records import (
        Bar,
        EquityPoint,
        Fill,
        Order,
        OrderIntent,
        Signal,
    )
    from smabot.domain.risk_answers import Check, Veto
    from smabot.hooks.findings import Finding
    from smabot.hooks.ports import Broker, Feed, Journal, Rows
    from smabot.hooks.recovery_answers import Reconciliation, Recovery, RecoveryStep
    from smabot.hooks.simulated_exchange import SimulatedAction, SimulatedExchanges
    from smabot.hooks.simulated_machine import SimulatedClient, SimulatedMachine
    from smabot.settings.model import Config

hookspec = pluggy.HookspecMarker("smabot")
hookimpl = pluggy.HookimplMarker("smabot")


@hookspec
def records() -> Sequence[type]:  # type: ignore[empty-body]
    """Declare the plugin's record classes, so that each has a table before the first step.

    Since 0.1.

    def records(self):
        return [Streak]
    """


@hookspec
def lookback() -> int:  # type: ignore[empty-body]
    """Return how many bars of each symbol a strategy needs before it can decide.

    Each symbol's are counted by themselves: minutes that several symbols have in common reach further
    back where one of them has gaps.

    Since 0.1.

    def lookback(self):
        return self.settings.slow + 1
    """


@hookspec
def on_startup_recover(recovery: Recovery) -> RecoveryStep | None:
    """Check what was restored, once per start, before the broker's updates and before any bar.

    Rows of declared records are already in ``recovery.book``. Any conflict stops the start, and
    then nothing has been changed.

    Since 0.1.

    def on_startup_recover(self, recovery):
        return RecoveryStep(f"{len(recovery.book.table(Streak))} streaks")
    """


@hookspec
def on_bar(bar: Bar, book: Book) -> Signal | list[Signal] | None:
    """Decide at a minute's close. Called for every new bar, and for older bars during warm-up.

    All bars of the minute are in the book before the first call. Return a signal only when the
    wanted position changes. The result must be a function of the last ``lookback()`` bars and of
    declared records, so that a restarted bot makes the same decisions.

    Since 0.1.

    def on_bar(self, bar):
        if bar.close > bar.open:
            return Signal.long(bar)
    """


@hookspec(firstresult=True)
def on_signal(signal: Signal, book: Book) -> OrderIntent | None:
    """Turn a signal into an order. The first answer counts; the default sizer answers last.

    Only a target of 1 opens a position, and only with a buy. Every other order closes at most what is held.

    Since 0.1.

    def on_signal(self, signal, book):
        held = book.holding(signal.strategy, signal.symbol)
        if signal.target == 0 and held > 0:
            return OrderIntent(signal.symbol, Side.SELL, held)
    """


@hookspec
def before_submit(order: Order, book: Book) -> Veto | list[Check] | None:
    """Check a new order once, before it is committed: its size, and limits that count the order itself.

    Core calls all plugins. A Veto, or a Check that did not pass, blocks the order. Checks are kept with the
    order, also those that passed. Let orders with ``order.reduces`` pass unless you mean to trap a
    position.

    Since 0.1.

    def before_submit(self, order):
        if order.qty > 100 and not order.reduces:
            return Veto("more than 100 shares")
    """


@hookspec
def may_leave(order: Order, book: Book) -> Veto | None:
    """Check an order each time it is about to leave: at first, after a wait, on a resend, after a restart.

    Do not change anything. A Veto drops an order that never left; one that may have left is not resent. Let
    orders with ``order.reduces`` pass unless you mean to trap a position.

    Since 0.1.

    def may_leave(self, order, book):
        if book.row(Streak, order.symbol) is None and not order.reduces:
            return Veto("no streak any more")
    """


@hookspec
def on_order(order: Order, book: Book) -> None:
    """React to a change of an order's status: pending, blocked, accepted, rejected, filled.

    Since 0.1.

    def on_order(self, order):
        if order.status is Status.REJECTED:
            self.refused += 1
    """


@hookspec
def on_fill(fill: Fill, book: Book) -> None:
    """React to a new fill. Each fill comes once, after it is in the book.

    Since 0.1.

    def on_fill(self, fill, book):
        book.apply(Streak(fill.symbol, fill.cumulative_qty))
    """


@hookspec
def on_equity(point: EquityPoint, book: Book) -> EquityBounds | None:
    """React to the account's value at each minute's close, and after fills.

    `equity_every_minutes` thins the stored curve, not these calls. A plugin that acts beyond some value alone may
    answer `EquityBounds`: it need not be called for points within them, as long as nothing but bars comes.

    Since 0.1.

    def on_equity(self, point):
        self.peak = max(self.peak, point.equity)
    """


@hookspec
def after_commit(step: CommittedStep, receiver: str, memory: str) -> str | None:
    """Tell others of what was committed, in `smabot run` and `smabot flatten`.

    Called in a thread of the plugin's own, step by step in their order, each at least once: after a kill the
    next run tells what was left. One that was perhaps told before has ``step.again``, and the same
    ``step.number``. What raises is told again after a pause. Use nothing that other hooks of the plugin change.

    ``receiver`` is one of `receivers`, each of which has a thread and a place of its own; else empty. An answer
    is kept with its place, and comes as ``memory`` with the next step, also of the next run; at first that is
    empty.

    Since 0.1.

    def after_commit(self, step):
        for fill in step.fills:
            self.send(f"{fill.side} {fill.qty} {fill.symbol}", key=step.number)
    """


@hookspec
def receivers() -> Sequence[str]:  # type: ignore[empty-body]
    """Return the names of those whom `after_commit` tells, so that one who fails holds no other up.

    A name lasts over restarts, and shows no secret.

    Since 0.1.

    def receivers(self):
        return ["mail", "phone"]
    """


@hookspec
def on_health(health: Health) -> None:
    """Tell others how `smabot run` is, about every 5 seconds, beside the deciding thread while that goes on.

    Since 0.1.

    def on_health(self, health):
        self.ping("/fail" if health.reasons else "", "; ".join(health.reasons))
    """


@hookspec
def on_start(run: Run) -> None:
    """Get ready for a run: `smabot run` or `smabot flatten`. Called once its row is kept, before the recovery.

    What it raises ends the run.

    Since 0.1.

    def on_start(self, run):
        self.socket = self.connect(run.run_id)
    """


@hookspec
def on_stop(run: Run, outcome: str) -> None:
    """Give back what `on_start` took. Called once the end of a run is kept; a killed run has no such call.

    ``run.exit_code`` says how it ended, ``outcome`` in words. Also called where an `on_start` raised.
    What it raises is logged.

    Since 0.1.

    def on_stop(self, run, outcome):
        self.socket.close()
    """


@hookspec
def on_command(command: Command, book: Book) -> str | None:
    """Carry out an operator's command if its name is yours. Return a line that says what you did.

    Since 0.1.

    def on_command(self, command, book):
        if command.verb == "streaks reset":
            return "streaks are reset"
    """


@hookspec
def describe(book: Book) -> tuple[str, str] | None:
    """Return a title and a line on the plugin's state, for `smabot status` and the end of a run.

    Since 0.1.

    def describe(self, book):
        return "streaks", f"{len(book.table(Streak))} symbols on a streak"
    """


@hookspec
def diagnose(config: Config) -> Sequence[Finding]:  # type: ignore[empty-body]
    """Check what the plugin needs, and report each result in a line. Change nothing.

    Called by `smabot doctor`, also while the bot is running and before the first run.

    Since 0.1.

    def diagnose(self, config):
        if config.symbols:
            return [Finding.ok("streaks", f"watches {len(config.symbols)} symbols")]
        return [Finding.failure("streaks", "no symbols: name some with `symbols`")]
    """


@hookspec(firstresult=True)
def reconcile(recovery: Recovery) -> Reconciliation | None:
    """Compare the book with the broker, and change neither. Core applies the updates.

    Called at the start, after a lost connection, at intervals, and by `smabot reconcile`.

    Since 0.1.

    def reconcile(self, recovery):
        return Reconciliation(updates=tuple(o.update() for o in recovery.broker.orders()))
    """


@hookspec(firstresult=True)
def open_journal(config: Config, records: Sequence[type]) -> Journal | None:
    """Open the journal for writing, with a table for each record class.

    Since 0.1.

    def open_journal(self, config, records):
        return MyJournal(config.db, records)
    """


@hookspec(firstresult=True)
def open_rows(config: Config, records: Sequence[type]) -> Rows | None:
    """Open the records read-only, also while the bot is running. Raises ConfigError when there are none.

    Since 0.1.

    def open_rows(self, config, records):
        return MyRows(config.db, records)
    """


@hookspec(firstresult=True)
def open_broker(config: Config) -> Broker | None:
    """Connect to the broker.

    Since 0.1.

    def open_broker(self, config):
        return MyBroker(paper=not config.live)
    """


@hookspec(firstresult=True)
def open_feed(config: Config) -> Feed | None:
    """Connect to the source of bars and order updates.

    Since 0.1.

    def open_feed(self, config):
        return MyFeed(config.symbols)
    """


@hookspec(firstresult=True)
def simulated_exchanges(
    config: Config, bars: Sequence[Bar], actions: Sequence[SimulatedAction]
) -> SimulatedExchanges | None:
    """Return what makes exchanges in memory over given bars: `smabot simulate` trades on them. They announce the
    actions, and follow them; from an ex-date on, bars are in new shares.

    Since 0.1.

    def simulated_exchanges(self, config, bars):
        return MyExchanges(bars)
    """


@hookspec(firstresult=True)
def simulated_client(config: Config, machine: SimulatedMachine) -> SimulatedClient | None:
    """Return broker and feed of a simulated process, which reach a server by its machine alone.

    Since 0.1.

    def simulated_client(self, config, machine):
        return SimulatedClient(MyBroker(machine), MyFeed(machine))
    """


@hookspec
def account_files(config: Config, account_id: str) -> Sequence[Path]:  # type: ignore[empty-body]
    """Return the SQLite files on this machine that hold a broker's account: a backup copies them too.

    A restore asks with settings whose ``db`` and ``ledger`` are those of the backup.

    Since 0.1.

    def account_files(self, config, account_id):
        ledger = config.ledger_path
        return [ledger] if account_id == "mine" else []
    """


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add commands to `smabot`.

    Since 0.1.

    def register_commands(self, cli):
        cli.add_command(streaks)
    """


HOOKS: tuple[str, ...] = tuple(
    name for name, value in list(globals().items()) if hasattr(value, "smabot_spec")
)
