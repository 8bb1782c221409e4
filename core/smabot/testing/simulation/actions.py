"""What a schedule can say: each verb of an `Action` is a method here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from smabot.domain.bot_records import Command
from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import Side
from smabot.domain.records import ZERO
from smabot.engine.operator_commands import expiry
from smabot.settings.model import Sizing
from smabot.testing.kill_points import before
from smabot.testing.simulation.actors import ACTORS
from smabot.testing.simulation.schedule import Action

if TYPE_CHECKING:
    from smabot.testing.simulation.world import World


SETTINGS_CHANGES: tuple[dict[str, object], ...] = (
    {},
    {"cancel_entries": False, "entry_timeout_minutes": 1},
    {"reconcile_every_minutes": 1, "equity_every_minutes": 5},
    {
        "sizing": Sizing(method="shares", shares=7),
        "max_bar_age_minutes": 2,
        "last_entry_minutes": 0,
    },
)
"""What may differ in the settings of another start."""


AT_ANY_MOMENT = ("operator", "stream", "by_hand", "transfer")
"""What happens between the minutes, too, where the market does not wait for the bot."""
MOST_WAITING = 5
"""So many faults of a kind wait for their occasion, where a bot that is down gives none."""
MOST_SPLIT = 1_000
"""Shares: more could not be sold within the time that the judge allows."""


class Actions:
    """Carries out the actions of a minute, before the market trades it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._commands = 0
        self._postponed: list[Action] | None = None
        self._is_calm = False

    def postpone(self) -> None:
        """Let nothing of the schedule happen until `carry_out_postponed`."""
        self._postponed = []

    def carry_out_postponed(self) -> None:
        postponed, self._postponed = self._postponed, None
        self.carry_out(postponed or ())

    def carry_out(self, actions: Sequence[Action]) -> None:
        if self._postponed is not None:
            self._postponed += actions
            return
        for action in actions:
            self._world.trace(f"schedule: {action}")
            if self._world.schedule.far and action.verb in AT_ANY_MOMENT:
                self._carry_out_later(action)
            else:
                getattr(self, action.verb)(action)

    def _carry_out_later(self, action: Action) -> None:
        """Carry it out at some moment of the minute, most often while the bot is busy with its bars."""
        world = self._world
        seconds = world.chance.uniform(0.0, world.chance.choice((1.0, 5.0, 55.0)))

        def carry_out() -> None:
            following = world.exchange.next_minute()
            soon = following is not None and following - world.now <= MINUTE
            if self._postponed is not None:
                self._postponed.append(action)
            elif not self._is_calm and (soon or action.verb != "by_hand"):
                world.exchange.pass_time(world.now)
                getattr(self, action.verb)(action)
                world.wire.arrived()

        world.timeline.at(world.now + timedelta(seconds=seconds), carry_out)

    # -- the bot's process ---------------------------------------------------------------------------

    def kill(self, action: Action) -> None:
        """Kill at a kind of boundary, the ``count``-th time; ``detail``: minutes until the next start."""
        self._world.points.arm(action.what, action.count)
        self._world.down_for = int(action.detail or 0)

    def kill_start(self, action: Action) -> None:
        """Kill the next start at a kind of boundary."""
        waiting = self._world.kills_in_starts
        if len(waiting) < MOST_WAITING:
            waiting.append((action.what, action.count))

    def stop(self, action: Action) -> None:
        """Stop it as by a signal, and start it again ``count`` - 1 minutes later."""
        self._world.stop_wanted = True
        self._world.down_for = action.count - 1
        self._world.struck("stopped and started")

    def sleep(self, action: Action) -> None:
        """Let the process stand still for so many minutes."""
        if self._world.schedule.far:
            self._world.asleep = action.count
            self._world.struck("process asleep")

    def leave_out(self, action: Action) -> None:
        """Start it again without a symbol, or with all."""
        world = self._world
        everything = world.lives.all_symbols
        world.lives.symbols = tuple(s for s in everything if s != action.what) or everything
        self._restart("symbols changed")

    def without_plugin(self, action: Action) -> None:
        """Start it again without a plugin; with all, where none is named."""
        self._world.lives.left_out = frozenset([action.what] if action.what else [])
        self._restart("plugins changed")

    def change_settings(self, action: Action) -> None:
        """Start it again with other settings, of which there are some choices."""
        self._world.lives.changes = SETTINGS_CHANGES[action.count]
        self._restart("settings changed")

    def plugin_fails(self, action: Action) -> None:
        """Let the next calls of a hook raise."""
        failing, hook = self._world.points.failing, before(action.what)
        failing[hook] = min(failing[hook] + action.count, MOST_WAITING)

    # -- what strategies want ------------------------------------------------------------------------

    def want(self, action: Action) -> None:
        """At the bar of this minute an actor wants ``count`` (1 or 0) of a symbol."""
        world = self._world
        end = world.exchange.next_minute()
        if end is not None:
            world.wants[ACTORS[int(action.detail or 0)], action.what, end - MINUTE] = action.count

    # -- the line, the stream and the database -------------------------------------------------------

    def line(self, action: Action) -> None:
        """A fault befalls the next ``count`` requests of a kind (``detail``)."""
        waiting = self._world.wire.faults[action.detail]
        waiting += [action.what] * min(action.count, MOST_WAITING - len(waiting))

    def refused(self, action: Action) -> None:
        """For ``count`` minutes the ``key`` or the account is refused."""
        wire = self._world.wire
        wire.key_refused = action.what == "key"
        wire.refused_until = self._world.now + timedelta(minutes=action.count)
        self._world.struck(f"{action.what} refused")

    def busy(self, action: Action) -> None:
        """Requests wait behind others, or no longer (``count`` 0)."""
        self._world.wire.busy = bool(action.count)
        if action.count:
            self._world.struck("dispatcher busy")

    def stream(self, action: Action) -> None:
        """The stream of order updates is down, or up again (``count`` 0)."""
        self._world.deliveries.down = bool(action.count)
        if action.count:
            self._world.struck("stream down")

    def updates(self, action: Action) -> None:
        """A fault befalls the next order updates."""
        self._world.deliveries.update_faults += [action.what] * action.count

    def bars(self, action: Action) -> None:
        """A fault befalls the next bars."""
        self._world.deliveries.bar_faults += [action.what] * action.count

    def commit_fails(self, action: Action) -> None:
        """The next commits fail."""
        self._world.commit_faults += [action.what] * action.count

    def clock_steps(self, action: Action) -> None:
        """The wall clock steps by so many seconds, back where ``what`` says so."""
        by = timedelta(seconds=action.count)
        self._world.wall_ahead += -by if action.what == "back" else by
        self._world.struck("clock steps")

    # -- the market and the account ------------------------------------------------------------------

    def exchange(self, action: Action) -> None:
        """A fault of the exchange; ``count``: minutes, ``detail``: the symbol of a halt.

        In compared runs the fault befalls orders of that symbol alone: orders of two symbols that leave at
        one instant may change places where one of them is queried first.
        """
        fields: dict[str, object] = {"times": 1}
        if action.what in (
            "frozen_cancel",
            "stuck_pending",
            "rejected_later",
            "lost_answer",
            "halt",
        ):
            fields["minutes"] = action.count
        if action.what == "frozen_cancel":
            fields["partial"] = False
        if action.what == "halt" or self._world.schedule.compared:
            fields["symbol"] = action.detail
        self._world.exchange.set_fault(action.what, fields)
        self._world.struck(f"exchange {action.what}")

    def by_hand(self, action: Action) -> None:
        """Somebody sells a part of what the account holds of a symbol: ``count`` percent; or buys."""
        world = self._world
        held = world.exchange.positions().get(action.what, ZERO)
        qty = (held * action.count / 100).to_integral_value()
        side = Side.BUY if action.detail == "buy" else Side.SELL
        if side is Side.BUY:
            qty = Decimal(action.count)
        if qty > 0 and world.exchange.trade_by_hand(action.what, side, qty):
            world.outside_changes.traded = True
            world.struck("bought by hand" if side is Side.BUY else "sold by hand")

    def transfer(self, action: Action) -> None:
        """Cash comes, or goes (``what`` is "out"), US dollars."""
        amount = Decimal(-action.count if action.what == "out" else action.count)
        self._world.exchange.transfer(amount)
        self._world.outside_changes.deposited += amount
        self._world.outside_changes.moved = True
        self._world.struck("cash moved")

    def split(self, action: Action) -> None:
        """Shares of a symbol are split, ``count`` for one: until the bot knows splits it must stop."""
        world = self._world
        if 0 < world.exchange.positions().get(action.what, ZERO) <= MOST_SPLIT:
            world.exchange.split(action.what, Decimal(action.count))
            world.outside_changes.traded = True
            world.struck("split")

    # -- the operator --------------------------------------------------------------------------------

    def operator(self, action: Action) -> None:
        """The operator gives a command."""
        self.command(action.what)

    def command(self, verb: str) -> None:
        self._commands += 1
        wall = self._world.wall() + timedelta(microseconds=self._commands)
        given = Command(
            str(UUID(int=self._commands)), verb, "", wall, expires_at=expiry(verb, wall)
        )
        self._world.database.send(given)
        self._world.result.faults[f"command {verb}"] += 1

    # -- the end -------------------------------------------------------------------------------------

    def calm(self) -> None:
        """From now on all is well, and all plugins and symbols are there."""
        world = self._world
        world.trace("from now on all is well")
        self._is_calm = True
        world.wire.calm()
        world.exchange.clear_faults()
        world.deliveries.calm()
        world.commit_faults.clear()
        world.points.failing.clear()
        world.points.disarm()
        world.kills_in_starts.clear()
        world.stop_wanted = (
            bool(world.lives.left_out) or world.lives.symbols != world.lives.all_symbols
        )
        world.lives.changes = {}
        world.lives.left_out, world.lives.symbols = frozenset(), world.lives.all_symbols
        world.asleep = 0

    def _restart(self, why: str) -> None:
        self._world.struck(why)
        self._world.stop_wanted = True
