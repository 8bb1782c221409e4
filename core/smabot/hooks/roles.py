"""Optional base classes for plugins: an editor completes the hooks' names, a type checker knows what
each may return.

They are empty at run time: a plugin has only the hooks that it defines. A hook
takes those of its arguments that it needs, in any order; its description in `smabot.hooks.specifications`
names them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from smabot.domain.equity_bounds import EquityBounds
    from smabot.domain.records import OrderIntent, Signal
    from smabot.domain.risk_answers import Check, Veto
    from smabot.hooks.findings import Finding
    from smabot.hooks.ports import Broker, Feed, Journal, Rows
    from smabot.hooks.recovery_answers import Reconciliation, RecoveryStep
    from smabot.hooks.simulated_exchange import SimulatedExchanges
    from smabot.hooks.simulated_machine import SimulatedClient


class Plugin:
    """The hooks that any plugin may have."""

    if TYPE_CHECKING:

        def records(self) -> Sequence[type]:
            """``records()``: the plugin's record classes."""

        def on_startup_recover(self, *args: Any, **kwargs: Any) -> RecoveryStep | None:
            """``on_startup_recover(recovery)``: check what was restored, once per start."""

        def on_order(self, *args: Any, **kwargs: Any) -> None:
            """``on_order(order, book)``: react to a change of an order's status."""

        def on_fill(self, *args: Any, **kwargs: Any) -> None:
            """``on_fill(fill, book)``: react to a new fill; each comes once."""

        def on_equity(self, *args: Any, **kwargs: Any) -> EquityBounds | None:
            """``on_equity(point, book)``: react to the account's value; the bounds within which you needn't."""

        def after_commit(self, *args: Any, **kwargs: Any) -> str | None:
            """``after_commit(step, receiver, memory)``: tell others of what was committed, in a thread of
            its own."""

        def receivers(self) -> Sequence[str]:
            """``receivers()``: the names of those whom `after_commit` tells."""

        def on_health(self, *args: Any, **kwargs: Any) -> None:
            """``on_health(health)``: tell others how the running bot is, in a thread of its own."""

        def on_start(self, *args: Any, **kwargs: Any) -> None:
            """``on_start(run)``: get ready for a run."""

        def on_stop(self, *args: Any, **kwargs: Any) -> None:
            """``on_stop(run, outcome)``: give back what `on_start` took."""

        def on_command(self, *args: Any, **kwargs: Any) -> str | None:
            """``on_command(command, book)``: carry out an operator's command if its name is yours."""

        def describe(self, *args: Any, **kwargs: Any) -> tuple[str, str] | None:
            """``describe(book)``: a title and a line on the plugin's state."""

        def diagnose(self, *args: Any, **kwargs: Any) -> Sequence[Finding]:
            """``diagnose(config)``: what `smabot doctor` shows, a finding a line."""

        def register_commands(self, *args: Any, **kwargs: Any) -> None:
            """``register_commands(cli)``: add commands to `smabot`."""


class Strategy(Plugin):
    """A plugin that decides what to hold."""

    if TYPE_CHECKING:

        def lookback(self) -> int:
            """``lookback()``: how many bars of each symbol it needs before it can decide."""

        def on_bar(self, *args: Any, **kwargs: Any) -> Signal | list[Signal] | None:
            """``on_bar(bar, book)``: decide at a minute's close."""

        def on_signal(self, *args: Any, **kwargs: Any) -> OrderIntent | None:
            """``on_signal(signal, book)``: turn a signal into an order."""


class Rule(Plugin):
    """A plugin that blocks orders."""

    if TYPE_CHECKING:

        def before_submit(self, *args: Any, **kwargs: Any) -> Veto | list[Check] | None:
            """``before_submit(order, book)``: check a new order once, before it is committed."""

        def may_leave(self, *args: Any, **kwargs: Any) -> Veto | None:
            """``may_leave(order, book)``: check an order each time it is about to leave."""


class Provider(Plugin):
    """A plugin that keeps the database, or connects a broker or a feed."""

    if TYPE_CHECKING:

        def reconcile(self, *args: Any, **kwargs: Any) -> Reconciliation | None:
            """``reconcile(recovery)``: compare the book with the broker."""

        def open_journal(self, *args: Any, **kwargs: Any) -> Journal | None:
            """``open_journal(config, records)``: open the journal for writing."""

        def open_rows(self, *args: Any, **kwargs: Any) -> Rows | None:
            """``open_rows(config, records)``: open the records read-only."""

        def open_broker(self, *args: Any, **kwargs: Any) -> Broker | None:
            """``open_broker(config)``: connect to where orders go."""

        def open_feed(self, *args: Any, **kwargs: Any) -> Feed | None:
            """``open_feed(config)``: connect to where bars and order updates come from."""

        def simulated_exchanges(self, *args: Any, **kwargs: Any) -> SimulatedExchanges | None:
            """``simulated_exchanges(config, bars, actions)``: make exchanges in memory, for simulations."""

        def simulated_client(self, *args: Any, **kwargs: Any) -> SimulatedClient | None:
            """``simulated_client(config, machine)``: make broker and feed of a simulated process."""

        def account_files(self, *args: Any, **kwargs: Any) -> Sequence[Path]:
            """``account_files(config, account_id)``: the files that hold a broker's account."""
