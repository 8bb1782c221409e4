"""The plugins of one run: what each declares, and one typed method per hook.

Whatever a plugin raises is named by its plugin, hook, file and line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from loguru import logger

from smabot.domain.book import Book
from smabot.domain.bot_health import Health
from smabot.domain.bot_records import Command, Run
from smabot.domain.committed_steps import CommittedStep
from smabot.domain.equity_bounds import ANY, EquityBounds
from smabot.domain.records import Bar, EquityPoint, Fill, Order, OrderIntent, Signal
from smabot.domain.risk_answers import Check, Veto
from smabot.errors import ConfigError, PluginFault, SmabotError, suggest
from smabot.hooks import specifications as hookspecs
from smabot.hooks.discovery import check_tables, discover, make, named_by, select
from smabot.hooks.findings import Finding
from smabot.hooks.hook_checks import check_hooks
from smabot.hooks.plugin_calls import KEEPING, PluginCalls
from smabot.hooks.plugin_faults import fault, is_answer, missing_member, named, shown
from smabot.hooks.recovery_answers import Reconciliation, Recovery, RecoveryStep
from smabot.settings.model import Config

if TYPE_CHECKING:
    from pathlib import Path

    import click

    from smabot.hooks.ports import Broker, Feed, Journal, Rows
    from smabot.hooks.simulated_exchange import SimulatedAction, SimulatedExchanges
    from smabot.hooks.simulated_machine import SimulatedClient, SimulatedMachine

T = TypeVar("T")
BROKERS = ("alpaca", "exchange")


class Plugins(PluginCalls):
    """The plugins of one run, loaded and checked."""

    @classmethod
    def load(
        cls,
        config: Config,
        names: Sequence[str] | None = None,
        origins: Mapping[str, str] | None = None,
    ) -> Plugins:
        """Load the plugins that the settings name (or ``names``), each with its settings table.

        Raises ConfigError for one that is unknown, installed twice, can't be imported, was made for
        another version, has wrong settings, no hook or a mistyped one, or records that can't be tables.
        """
        wanted = named_by(config) if names is None else names
        installed = discover([*named_by(config), *wanted])
        check_tables(config.plugin, set(installed), origins or {})
        chosen = select(wanted, config.no_plugins, installed)
        made = {name: make(name, installed[name], config, origins or {}) for name in chosen}
        loaded = cls()._filled(config, made)
        loaded.kinds()
        return loaded

    @classmethod
    def load_sound(
        cls,
        config: Config,
        names: Sequence[str],
        origins: Mapping[str, str],
        warn: Callable[[str], None],
        having: Collection[str] = hookspecs.HOOKS,
    ) -> Plugins:
        """Load those of ``names`` that work and have one of some hooks; the others cost a warning.

        So does one that fails later, except at what `STRICT` names. Where two claim one table, the
        one named first has it.
        """
        self, made = cls(warn), dict[str, object]()
        installed = discover([*named_by(config), *names])
        with self._warned():
            check_tables(config.plugin, set(installed), origins)
        blocked: list[str] = []
        for name in config.no_plugins:
            with self._warned():
                blocked += select([name], (), installed)
        for wanted in names:
            with self._warned():
                for name in select([wanted], (), installed):
                    if name not in made and name not in blocked:
                        with self._warned():
                            plugin = make(name, installed[name], config, origins)
                            check_hooks(name, plugin)
                            made[name] = plugin
        self._filled(config, made)
        for name in self.names:
            if not any(self._has(name, hook) for hook in having):
                self._leave_out(name)
        return self

    def _filled(self, config: Config, made: Mapping[str, object]) -> Plugins:
        from smabot.hooks.default_sizer import DefaultSizer

        # pluggy calls the last registered first: by name, whatever the order they were given in.
        for name in sorted(made, reverse=True):
            self.register(name, made[name])
        self.register("core.sizing", DefaultSizer(config.sizing))
        self.check()
        self.names = tuple(made)
        return self

    # -- one method per hook -----------------------------------------------------------------------

    def lookback(self) -> int:
        """Return the largest number of bars that any strategy needs."""
        return max((answer for _, answer in self._ask("lookback")), default=0)

    def on_startup_recover(self, recovery: Recovery) -> list[tuple[str, RecoveryStep]]:
        """Ask each plugin what it restored, with its name."""
        return self._ask("on_startup_recover", recovery=recovery)

    def on_bar(self, bars: Sequence[Bar], book: Book) -> list[tuple[str, Any]]:
        """Tell every plugin of a minute's bars; returns what they answered, with their names."""
        found = []
        views, decimals = self._views_of(book), self._decimals
        for name, on_bar in self.bar_hooks:
            view = views[name]
            try:
                for bar in bars:
                    answer = on_bar(bar, view)
                    if answer is not None:
                        found.append((name, answer))
            except BaseException as error:  # noqa: BLE001 - SystemExit is a plugin's failure, too
                self._failed(name, "on_bar", error)
            finally:
                decimals.restore()
        return found

    def on_equity(self, point: EquityPoint, book: Book) -> EquityBounds | None:
        """Tell every plugin; returns within what none needs to be told of a next point, None where one does."""
        views, decimals = self._views_of(book), self._decimals
        bounds: EquityBounds | None = ANY
        for name, on_equity in self.equity_hooks:
            try:
                answer = on_equity(point, views[name])
                if not is_answer("on_equity", answer):
                    raise fault(name, "on_equity", answer)
                bounds = bounds.within(answer) if bounds and answer else None
            except BaseException as error:  # noqa: BLE001 - SystemExit is a plugin's failure, too
                bounds = None
                self._failed(name, "on_equity", error)
            finally:
                decimals.restore()
        return bounds

    def on_signal(self, signal: Signal, book: Book) -> tuple[str, OrderIntent] | None:
        """Return the first answer, with the name of the plugin that gave it."""
        return next(iter(self._ask_of("on_signal", signal, book, first=True)), None)

    def before_submit(self, order: Order, book: Book) -> list[Check]:
        """Return every plugin's checks of a new order; a Veto is one that did not pass."""
        checks: list[Check] = []
        for name, answer in self._ask_of("before_submit", order, book):
            if isinstance(answer, Veto):
                checks.append(Check("before_submit", False, reason=answer.reason))
            elif all(isinstance(each, Check) for each in answer):
                checks += answer
            else:
                raise fault(name, "before_submit", answer)
        return checks

    def may_leave(self, order: Order, book: Book) -> list[Veto]:
        return [veto for _, veto in self._ask_of("may_leave", order, book)]

    def on_order(self, order: Order, book: Book) -> None:
        self._ask_of("on_order", order, book)

    def on_fill(self, fill: Fill, book: Book) -> None:
        self._ask_of("on_fill", fill, book)

    def after_commit(self) -> dict[str, Callable[[CommittedStep, str], str | None]]:
        """Return what tells each plugin of a committed step, by the plugins' names; any thread may call it.

        One with receivers is there once for each, as ``plugin/receiver``.
        """
        receivers = dict(self._ask("receivers"))
        found: dict[str, Callable[[CommittedStep, str], str | None]] = {}
        for impl in self._impls("after_commit"):
            name = impl.plugin_name
            for receiver in dict.fromkeys(receivers.get(name, ("",))):
                listener = f"{name}/{receiver}" if receiver else name
                found[listener] = partial(_tell, name, impl, receiver)
        return found

    def on_start(self, run: Run) -> None:
        self._ask("on_start", run=run)

    def on_stop(self, run: Run) -> None:
        """Tell every plugin that a run has ended; what one raises is logged, as the others are to be told."""
        for impl in self._impls("on_stop"):
            try:
                self._called(impl, "on_stop", {"run": run, "outcome": run.outcome})
            except SmabotError as error:
                logger.warning("{}", named(impl.plugin_name, error))

    def on_health(self) -> dict[str, Callable[[Health], None]]:
        """Return what tells each plugin of the bot's health, by the plugins' names; any thread may call it."""
        return {
            impl.plugin_name: partial(_call_with, impl.function, impl.argnames)
            for impl in self._impls("on_health")
        }

    def on_command(self, command: Command, book: Book) -> list[str]:
        return [answer for _, answer in self._ask("on_command", command=command, book=book)]

    def describe(self, book: Book) -> list[tuple[str, str]]:
        """Return each plugin's line about its state: a title and a text."""
        return [line for _, line in self.described(book)]

    def described(self, book: Book) -> list[tuple[str, tuple[str, str]]]:
        """Return the same with the plugins' names."""
        return self._ask("describe", book=book)

    def diagnose(self, config: Config) -> Iterator[tuple[str, Sequence[Finding] | SmabotError]]:
        """Ask each plugin how all is that it needs; yields its name with that, or what it raised."""
        for impl in self._impls("diagnose"):
            name = impl.plugin_name
            try:
                answer = self._called(impl, "diagnose", {"config": config})
                yield name, answer or ()
            except SmabotError as error:
                yield name, error

    def reconcile(self, recovery: Recovery) -> Reconciliation | None:
        answers = self._ask("reconcile", first=True, recovery=recovery)
        return answers[0][1] if answers else None

    def open_journal(self, config: Config) -> Journal | None:
        from smabot.hooks.ports import Journal

        journal: Journal | None = self._opened("open_journal", Journal, config=config)
        return journal

    def open_rows(self, config: Config) -> Rows:
        """Open the database read-only. Raises ConfigError when no plugin can."""
        from smabot.hooks.ports import Rows

        rows: Rows | None = self._opened("open_rows", Rows, config=config)
        if rows is None:
            raise ConfigError("no plugin keeps a database: add persistence_sqlite to base_plugins")
        return rows

    def open_broker(self, config: Config) -> Broker:
        """Connect the broker. Raises ConfigError when no plugin offers one."""
        from smabot.hooks.ports import Broker

        broker: Broker | None = self._opened("open_broker", Broker, config=config)
        if broker is None and config.live:
            raise ConfigError(
                "--live needs the plugin of a real broker: give --broker alpaca, and add alpaca to "
                "base_plugins; the built-in exchange is paper only"
            )
        if broker is None:
            known = suggest(config.broker, set(BROKERS) - {config.broker})
            raise ConfigError(
                f"no plugin of this run offers the broker '{config.broker}'{known}; smabot's own are "
                f"{' and '.join(BROKERS)}, plugins in base_plugins"
            )
        return broker

    def open_feed(self, config: Config) -> Feed:
        """Connect the feed. Raises ConfigError when no plugin offers one."""
        from smabot.hooks.ports import Feed

        feed: Feed | None = self._opened("open_feed", Feed, config=config)
        if feed is None:
            raise ConfigError(
                f"no plugin offers the feed of '{config.broker}': use alpaca or exchange, and add it to "
                "base_plugins"
            )
        return feed

    def simulated_exchanges(
        self, config: Config, bars: Sequence[Bar], actions: Sequence[SimulatedAction] = ()
    ) -> SimulatedExchanges:
        """Return what makes exchanges in memory. Raises ConfigError when no plugin can."""
        given = {"config": config, "bars": bars, "actions": actions}
        answers = self._ask("simulated_exchanges", first=True, **given)
        if not answers:
            raise ConfigError(
                "no plugin has an exchange to simulate on: install smabot-exchange, and add exchange to "
                "base_plugins"
            )
        made: SimulatedExchanges = answers[0][1]
        return made

    def simulated_client(self, config: Config, machine: SimulatedMachine) -> SimulatedClient:
        """Return broker and feed of a simulated process. Raises ConfigError when no plugin can."""
        answers = self._ask("simulated_client", first=True, config=config, machine=machine)
        if not answers:
            raise ConfigError("no plugin has a broker to simulate: add alpaca to base_plugins")
        made: SimulatedClient = answers[0][1]
        return made

    def account_files(self, config: Config, account_id: str) -> list[Path]:
        """Return the files on this machine that hold the account of a broker."""
        answers = self._ask("account_files", config=config, account_id=account_id)
        return [path for _, paths in answers for path in paths]

    def commands(self, taken: Collection[str]) -> dict[str, click.Command]:
        """Return the plugins' commands. Groups of one name are one group, with the commands of each; where
        two claim one command, the plugin named first has it."""
        import click

        from smabot.hooks.command_merging import merge_commands

        found: dict[str, click.Command] = {}
        for impl in self._as_named("register_commands"):
            name, own = impl.plugin_name, click.Group()
            try:
                self._called(impl, "register_commands", {"cli": own})
            except SmabotError as error:
                self._failed(name, "register_commands", error)
            for verb in merge_commands(found, own.commands, taken):
                if self._warn is not None:
                    self._warn(
                        f"plugin '{name}': its command '{verb}' is left out, the name is taken"
                    )
        return found

    def _opened(self, hook: str, port: type, **given: Any) -> Any:
        """Return the first plugin's answer, checked to be what core needs."""
        if hook in KEEPING:
            given["records"] = self.kinds()
        try:
            answers = self._ask(hook, first=True, **given)
        except SmabotError as error:
            if not (name := self.owner(error.about)):
                raise
            self._failed(name, "records", named(name, error))
            return self._opened(hook, port, **given)
        if not answers:
            return None
        ((name, opened),) = answers
        self.openers[hook] = name
        if missing := missing_member(port, opened):
            raise PluginFault(
                f"plugin '{name}': what {hook} answered has no '{missing}', which a "
                f"{port.__name__} needs"
            )
        return opened

    def expected(self, kind: type[T], opened: str, asked: str, answer: Any) -> T:
        """Return what a broker or feed answered. Raises PluginFault where it is no ``kind``."""
        if isinstance(answer, kind):
            return answer
        name = self.openers.get(f"open_{opened}", "?")
        raise PluginFault(
            f"plugin '{name}': its {opened}'s {asked} answered {shown(answer)}: it must return a "
            f"{kind.__name__}"
        )


def _tell(name: str, impl: Any, receiver: str, step: CommittedStep, memory: str) -> str | None:
    """Call an `after_commit`. Raises PluginFault for an answer that is no text."""
    given = {"step": step, "receiver": receiver, "memory": memory}
    answer = impl.function(*(given[each] for each in impl.argnames))
    if answer is not None and not isinstance(answer, str):
        raise fault(name, "after_commit", answer)
    return answer


def _call_with(function: Callable[..., Any], names: Sequence[str], argument: Any) -> None:
    function(*([argument] if names else []))
