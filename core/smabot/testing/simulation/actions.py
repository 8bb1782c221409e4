"""What a schedule can say: each verb of an `Action` is a method here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
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
from smabot.testing.simulation.wire import Refusal
from smabot.testing.simulation.world_state import WorldState

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


AT_ANY_MOMENT = ("operator", "stream", "network", "by_hand", "transfer", "use_up")
"""What happens between the minutes, too, where the market does not wait for the bot."""
MOST_WAITING = 5
"""So many faults of a kind wait for their occasion, where a bot that is down gives none."""
USED_UP_AGAIN = timedelta(seconds=5)
MOST_SPLIT = 1_000
"""Shares: more could not be sold within the time that the judge allows."""


class Actions:
    """Carries out the actions of a minute, before the market trades it."""

    def __init__(self, state: WorldState) -> None:
        self._state = state
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
            self._state.notes.trace(f"schedule: {action}")
            if self._state.schedule.far and action.verb in AT_ANY_MOMENT:
                self._carry_out_later(action)
            else:
                getattr(self, action.verb)(action)

    def _carry_out_later(self, action: Action) -> None:
        """Carry it out at some moment of the minute, most often while the bot is busy with its bars."""
        state = self._state
        seconds = state.chance.uniform(0.0, state.chance.choice((1.0, 5.0, 55.0)))

        def carry_out() -> None:
            following = state.exchange.next_minute()
            soon = following is not None and following - state.now <= MINUTE
            if self._postponed is not None:
                self._postponed.append(action)
            elif not self._is_calm and (soon or action.verb != "by_hand"):
                state.exchange.pass_time(state.now)
                getattr(self, action.verb)(action)
                state.wire.arrived()

        state.timeline.at(state.now + timedelta(seconds=seconds), carry_out)

    # -- the bot's process ---------------------------------------------------------------------------

    def kill(self, action: Action) -> None:
        """Kill at a kind of boundary, the ``count``-th time; ``detail``: minutes until the next start."""
        self._state.points.arm(action.what, action.count)
        self._state.plan.down_for = int(action.detail or 0)

    def kill_start(self, action: Action) -> None:
        """Kill the next start at a kind of boundary."""
        waiting = self._state.plan.kills_in_starts
        if len(waiting) < MOST_WAITING:
            waiting.append((action.what, action.count))

    def stop(self, action: Action) -> None:
        """Stop it as by a signal, and start it again ``count`` - 1 minutes later."""
        self._state.plan.stop_wanted = True
        self._state.plan.down_for = action.count - 1
        self._state.notes.struck("stopped and started")

    def sleep(self, action: Action) -> None:
        """Let the process stand still for so many minutes."""
        if self._state.schedule.far:
            self._state.plan.asleep = action.count
            self._state.notes.struck("process asleep")

    def leave_out(self, action: Action) -> None:
        """Start it again without a symbol, or with all."""
        state = self._state
        everything = state.lives.all_symbols
        state.lives.symbols = tuple(s for s in everything if s != action.what) or everything
        self._restart("symbols changed")

    def without_plugin(self, action: Action) -> None:
        """Start it again without a plugin; with all, where none is named."""
        self._state.lives.left_out = frozenset([action.what] if action.what else [])
        self._restart("plugins changed")

    def change_settings(self, action: Action) -> None:
        """Start it again with other settings, of which there are some choices."""
        self._state.lives.changes = SETTINGS_CHANGES[action.count]
        self._restart("settings changed")

    def plugin_fails(self, action: Action) -> None:
        """Let the next calls of a hook raise."""
        failing, hook = self._state.points.failing, before(action.what)
        failing[hook] = min(failing[hook] + action.count, MOST_WAITING)

    # -- what strategies want ------------------------------------------------------------------------

    def want(self, action: Action) -> None:
        """At the bar of this minute an actor wants ``count`` (1 or 0) of a symbol."""
        state = self._state
        end = state.exchange.next_minute()
        if end is not None:
            state.plan.wants[ACTORS[int(action.detail or 0)], action.what, end - MINUTE] = (
                action.count
            )

    # -- the line, the stream and the database -------------------------------------------------------

    def line(self, action: Action) -> None:
        """A fault befalls the next ``count`` requests of a kind (``detail``)."""
        waiting = self._state.wire.faults[action.detail]
        waiting += [action.what] * min(action.count, MOST_WAITING - len(waiting))

    def refused(self, action: Action) -> None:
        """For ``count`` minutes the ``key`` or the account is refused."""
        until = self._state.now + timedelta(minutes=action.count)
        self._state.wire.refusal = Refusal(action.what, until)
        self._state.notes.struck(f"{action.what} refused")

    def use_up(self, action: Action) -> None:
        """For ``what`` minutes another program uses up the rate limit, but for ``count`` requests."""
        state, until = self._state, self._state.now + int(action.what) * MINUTE

        def use_up() -> None:
            if state.lives.server is not None and not self._is_calm and state.now < until:
                state.exchange.pass_time(state.now)
                state.lives.server.use_up(action.count)
                state.timeline.at(state.now + USED_UP_AGAIN, use_up)

        state.notes.struck("rate limit used up")
        use_up()

    def busy(self, action: Action) -> None:
        """Requests wait behind others, or no longer (``count`` 0)."""
        self._state.wire.busy = bool(action.count)
        if action.count:
            self._state.notes.struck("dispatcher busy")

    def stream(self, action: Action) -> None:
        """The stream of order updates is down, or up again (``count`` 0)."""
        self._state.deliveries.down = bool(action.count)
        if action.count:
            self._state.notes.struck("stream down")

    def network(self, action: Action) -> None:
        """No request arrives, and no order update; or they do again (``count`` 0)."""
        self._state.wire.down = bool(action.count)
        self.stream(action)

    def updates(self, action: Action) -> None:
        """A fault befalls the next order updates."""
        self._state.deliveries.update_faults += [action.what] * action.count

    def bars(self, action: Action) -> None:
        """A fault befalls the next bars."""
        self._state.deliveries.bar_faults += [action.what] * action.count

    def commit_fails(self, action: Action) -> None:
        """The next commits fail."""
        self._state.plan.commit_faults += [action.what] * action.count

    def clock_steps(self, action: Action) -> None:
        """The wall clock steps by so many seconds, back where ``what`` says so."""
        by = timedelta(seconds=action.count)
        self._state.plan.wall_ahead += -by if action.what == "back" else by
        self._state.notes.struck("clock steps")

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
        if action.what == "halt" or self._state.schedule.compared:
            fields["symbol"] = action.detail
        self._state.exchange.set_fault(action.what, fields)
        self._state.notes.struck(f"exchange {action.what}")

    def by_hand(self, action: Action) -> None:
        """Somebody sells a part of what the account holds of a symbol: ``count`` percent; or buys."""
        state = self._state
        held = state.exchange.positions().get(action.what, ZERO)
        qty = (held * action.count / 100).to_integral_value()
        side = Side.BUY if action.detail == "buy" else Side.SELL
        if side is Side.BUY:
            qty = Decimal(action.count)
        if qty > 0 and state.exchange.trade_by_hand(action.what, side, qty):
            state.outside_changes.traded = True
            state.notes.struck("bought by hand" if side is Side.BUY else "sold by hand")

    def transfer(self, action: Action) -> None:
        """Cash comes, or goes (``what`` is "out"), US dollars."""
        amount = Decimal(-action.count if action.what == "out" else action.count)
        self._state.exchange.transfer(amount)
        self._state.outside_changes.deposited += amount
        self._state.outside_changes.moved = True
        self._state.notes.struck("cash moved")

    def split(self, action: Action) -> None:
        """Shares of a symbol are split, ``count`` for one, which nobody has announced: the bot must stop."""
        state = self._state
        if 0 < state.exchange.positions().get(action.what, ZERO) <= MOST_SPLIT:
            state.exchange.split(action.what, Decimal(action.count))
            state.outside_changes.traded = True
            state.notes.struck("split")

    # -- the operator --------------------------------------------------------------------------------

    def operator(self, action: Action) -> None:
        """The operator gives a command."""
        self.command(action.what)

    def command(self, verb: str) -> None:
        self._commands += 1
        wall = self._state.wall() + timedelta(microseconds=self._commands)
        given = Command(
            str(UUID(int=self._commands)), verb, "", wall, expires_at=expiry(verb, wall)
        )
        self._state.database.send(given)
        self._state.notes.result.faults[f"command {verb}"] += 1

    # -- the end -------------------------------------------------------------------------------------

    def calm(self) -> None:
        """From now on all is well, and all plugins and symbols are there."""
        state = self._state
        state.notes.trace("from now on all is well")
        self._is_calm = True
        state.wire.calm()
        state.exchange.clear_faults()
        state.deliveries.calm()
        state.plan.commit_faults.clear()
        state.points.failing.clear()
        state.points.disarm()
        state.plan.kills_in_starts.clear()
        state.plan.stop_wanted = (
            bool(state.lives.left_out) or state.lives.symbols != state.lives.all_symbols
        )
        state.lives.changes = {}
        state.lives.left_out, state.lives.symbols = frozenset(), state.lives.all_symbols
        state.plan.asleep = 0

    def _restart(self, why: str) -> None:
        self._state.notes.struck(why)
        self._state.plan.stop_wanted = True
