"""The plugins of one run: what each declares, and one typed method per hook.

Whatever a plugin raises is named by its plugin, hook, file and line.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import localcontext
from types import ModuleType, NoneType
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from smabot.domain.book import Book
from smabot.domain.records import (
    CORE_RECORDS,
    Bar,
    Check,
    Command,
    EquityPoint,
    Fill,
    Order,
    OrderIntent,
    Signal,
    Veto,
)
from smabot.domain.tables import table_of
from smabot.errors import ConfigError, PluginError, PluginFault, SmabotError, suggest
from smabot.hooks import specifications as hookspecs
from smabot.hooks.discovery import blame, check_hooks, check_tables, discover, make, select
from smabot.hooks.plugin_book import PluginBook
from smabot.hooks.plugin_output import LOGGED
from smabot.hooks.specifications import Finding, Reconciliation, Recovery, RecoveryStep
from smabot.settings.model import Config

if TYPE_CHECKING:
    from pathlib import Path

    import click

    from smabot.hooks.ports import Broker, Feed, Journal, Rows

T = TypeVar("T")
BROKERS = ("alpaca", "exchange")
KEEPING = ("open_journal", "open_rows")
"""The hooks of a plugin that keeps the database."""
STRICT = ("open_broker", "open_feed", "reconcile", "on_command")
"""Hooks that nobody can do without for a failed one: another broker is no substitute."""
OPENING = (*KEEPING, *STRICT)
"""Hooks whose SmabotError is about what they open, and not about the plugin."""
ANSWERS: dict[str, tuple[type, ...]] = {
    "records": (Sequence,),
    "lookback": (int,),
    "on_startup_recover": (RecoveryStep,),
    "on_signal": (OrderIntent,),
    "before_submit": (Veto, list),
    "may_leave": (Veto,),
    "on_command": (str,),
    "describe": (tuple,),
    "diagnose": (Sequence,),
    "reconcile": (Reconciliation,),
    "account_files": (Sequence,),
    "open_journal": (object,),
    "open_rows": (object,),
    "open_broker": (object,),
    "open_feed": (object,),
}
"""What the answer of a hook may be besides None; nothing where the hook is not here."""


class Plugins:
    """The plugins of one run, loaded and checked."""

    def __init__(self, warn: Callable[[str], None] | None = None) -> None:
        """``warn``: where a plugin that fails is told of, which is then left out. Without it, a
        plugin that fails raises."""
        self.manager = pluggy.PluginManager("smabot")
        self.manager.add_hookspecs(hookspecs)
        self.names: tuple[str, ...] = ()
        self.bar_hooks: list[tuple[str, Callable[[Bar, Book], Any]]] = []
        self.equity_hooks: list[tuple[str, Callable[[EquityPoint, Book], Any]]] = []
        self._warn = warn
        self._declared: dict[str, tuple[type, ...]] | None = None
        self._book: Book | None = None
        self._views: dict[str, PluginBook] = {}
        self._openers: dict[str, str] = {}

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
        installed = discover()
        check_tables(config.plugin, set(installed), origins or {})
        wanted = [*config.base_plugins, *config.plugins] if names is None else names
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
        self, installed, made = cls(warn), discover(), dict[str, object]()
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

    def register(self, name: str, plugin: object) -> None:
        """Add one plugin object. Call `check` after the last."""
        check_hooks(name, plugin)
        try:
            self.manager.register(plugin, name)
        except Exception as error:
            raise ConfigError(str(blame(name, "being registered", error))) from error
        self._declared = None

    def check(self) -> None:
        """Resolve the hooks that are called every minute."""
        registered = [name for name, _ in self.manager.list_name_plugin()]
        self.names = tuple(name for name in registered if not name.startswith("core."))
        self.bar_hooks = self._resolve("on_bar", "bar")
        self.equity_hooks = self._resolve("on_equity", "point")
        self._book = None

    def _filled(self, config: Config, made: Mapping[str, object]) -> Plugins:
        from smabot.hooks.default_sizer import DefaultSizer

        # pluggy calls the last registered first: by name, whatever the order they were given in.
        for name in sorted(made, reverse=True):
            self.register(name, made[name])
        self.register("core.sizing", DefaultSizer(config.sizing))
        self.check()
        self.names = tuple(made)
        return self

    def _resolve(self, hook: str, event: str) -> list[tuple[str, Callable[[Any, Book], Any]]]:
        """Return a hook's implementations in call order as functions of (event, book).

        Calling them so is ten times cheaper than through pluggy.
        """
        impls = getattr(self.manager.hook, hook).get_hookimpls()
        return [(impl.plugin_name, _two_arguments(impl, event)) for impl in reversed(impls)]

    def _has(self, name: str, hook: str) -> bool:
        impls = getattr(self.manager.hook, hook).get_hookimpls()
        return any(impl.plugin_name == name for impl in impls)

    # -- one method per hook -----------------------------------------------------------------------

    def kinds(self) -> tuple[type, ...]:
        """Return core's record classes and all that the plugins declare.

        Raises ConfigError for one that can't be a table, and when two classes claim one table.
        """
        declared = (kind for some in self._by_plugin().values() for kind in some)
        return tuple(dict.fromkeys([*CORE_RECORDS, *declared]))

    def owner(self, kind: type | None) -> str:
        """Return the plugin that declares a record class; empty where none does."""
        declared = self._by_plugin().items()
        return next((name for name, some in declared if kind in some), "")

    def lookback(self) -> int:
        """Return the largest number of bars that any strategy needs."""
        return max((answer for _, answer in self._ask("lookback")), default=0)

    def on_startup_recover(self, recovery: Recovery) -> list[tuple[str, RecoveryStep]]:
        """Ask each plugin what it restored, with its name."""
        return self._ask("on_startup_recover", recovery=recovery)

    def on_bar(self, bars: Sequence[Bar], book: Book) -> list[tuple[str, Any]]:
        """Tell every plugin of a minute's bars; returns what they answered, with their names."""
        found = []
        for name, on_bar in self.bar_hooks:
            view = self._view(name, book)
            try:
                with localcontext():
                    for bar in bars:
                        answer = on_bar(bar, view)
                        if answer is not None:
                            found.append((name, answer))
            except BaseException as error:  # noqa: BLE001 - SystemExit is a plugin's failure, too
                self._failed(name, "on_bar", error)
        return found

    def on_equity(self, point: EquityPoint, book: Book) -> None:
        for name, on_equity in self.equity_hooks:
            try:
                with localcontext():
                    answer = on_equity(point, self._view(name, book))
                if answer is not None:
                    raise _fault(name, "on_equity", answer)
            except BaseException as error:  # noqa: BLE001 - SystemExit is a plugin's failure, too
                self._failed(name, "on_equity", error)

    def on_signal(self, signal: Signal, book: Book) -> tuple[str, OrderIntent] | None:
        """Return the first answer, with the name of the plugin that gave it."""
        return next(iter(self._ask("on_signal", first=True, signal=signal, book=book)), None)

    def before_submit(self, order: Order, book: Book) -> list[Check]:
        """Return every plugin's checks of a new order; a Veto is one that did not pass."""
        checks: list[Check] = []
        for name, answer in self._ask("before_submit", order=order, book=book):
            if isinstance(answer, Veto):
                checks.append(Check("before_submit", False, reason=answer.reason))
            elif all(isinstance(each, Check) for each in answer):
                checks += answer
            else:
                raise _fault(name, "before_submit", answer)
        return checks

    def may_leave(self, order: Order, book: Book) -> list[Veto]:
        return [veto for _, veto in self._ask("may_leave", order=order, book=book)]

    def on_order(self, order: Order, book: Book) -> None:
        self._ask("on_order", order=order, book=book)

    def on_fill(self, fill: Fill, book: Book) -> None:
        self._ask("on_fill", fill=fill, book=book)

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
                "base_plugins; the embedded exchange is paper only"
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

    def account_files(self, config: Config, account_id: str) -> list[Path]:
        """Return the files on this machine that hold the account of a broker."""
        answers = self._ask("account_files", config=config, account_id=account_id)
        return [path for _, paths in answers for path in paths]

    def commands(self, taken: Collection[str]) -> dict[str, click.Command]:
        """Return the plugins' verbs; where two claim one name, the plugin named first has it."""
        import click

        found: dict[str, click.Command] = {}
        for impl in self._as_named("register_commands"):
            name, own = impl.plugin_name, click.Group()
            try:
                self._called(impl, "register_commands", {"cli": own})
            except SmabotError as error:
                self._failed(name, "register_commands", error)
            for verb, command in own.commands.items():
                if verb not in taken and verb not in found:
                    found[verb] = command
                elif self._warn is not None:
                    self._warn(f"plugin '{name}': its verb '{verb}' is left out, the name is taken")
        return found

    # -- records -------------------------------------------------------------------------------

    def _by_plugin(self) -> Mapping[str, tuple[type, ...]]:
        """Return the record classes that each plugin declares, checked, once they are all there."""
        if self._declared is None:
            declared: dict[str, tuple[type, ...]] = {}
            owners: dict[str, tuple[str, type]] = {}
            for impl in self._as_named("records"):
                name = impl.plugin_name
                try:
                    kinds = tuple(self._called(impl, "records", {}) or ())
                    owners |= _tables(name, kinds, owners)
                except SmabotError as error:
                    self._failed(name, "records", error)
                else:
                    declared[name] = kinds
            self._declared = declared
        return self._declared

    @contextmanager
    def at_cost_of(self, kind: type) -> Iterator[None]:
        """Name the plugin whose rows can't be read within; where it may be left out, go on."""
        try:
            yield
        except SmabotError as error:
            name = self.owner(kind)
            if not name:
                raise
            self._failed(name, "its rows", named(name, error))

    # -- calls ---------------------------------------------------------------------------------

    def _impls(self, hook: str) -> list[Any]:
        """Return a hook's implementations in call order."""
        return list(reversed(getattr(self.manager.hook, hook).get_hookimpls()))

    def _as_named(self, hook: str) -> list[Any]:
        """Return a hook's implementations in the order in which their plugins were named."""
        order = {name: place for place, name in enumerate(self.names)}
        return sorted(self._impls(hook), key=lambda impl: order.get(impl.plugin_name, -1))

    def _ask(self, hook: str, *, first: bool = False, **given: Any) -> list[tuple[str, Any]]:
        """Call a hook; returns the answers that are not None with the plugins' names."""
        found = []
        for impl in reversed(getattr(self.manager.hook, hook).get_hookimpls()):
            try:
                answer = self._called(impl, hook, given)
            except SmabotError as error:
                self._failed(impl.plugin_name, hook, error)
                continue
            if answer is not None:
                found.append((impl.plugin_name, answer))
                if first:
                    break
        return found

    def _called(self, impl: Any, hook: str, given: Mapping[str, Any]) -> Any:
        """Call one implementation. Raises only SmabotError, and KeyboardInterrupt."""
        name = impl.plugin_name
        arguments = [self._own(name, each, given[each]) for each in impl.argnames]
        screen, sys.stdout = sys.stdout, LOGGED
        try:
            with localcontext():
                answer = impl.function(*arguments)
        except (SmabotError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise blame(name, hook, error) from error
        finally:
            sys.stdout = screen
        if answer is not None and not isinstance(answer, ANSWERS.get(hook, NoneType)):
            raise _fault(name, hook, answer)
        return answer

    def _own(self, name: str, argument: str, value: Any) -> Any:
        """Return an argument as a plugin gets it: the book through its own door."""
        if argument == "book":
            return self._view(name, value)
        if argument == "recovery":
            return replace(value, book=self._view(name, value.book))
        return value

    def _view(self, name: str, book: Book) -> Book:
        if book is not self._book:
            declared = self._by_plugin()
            self._views = {
                each: PluginBook(book, each, declared.get(each, ()))
                for each, _ in self.manager.list_name_plugin()
            }
            self._book = book
        return self._views[name]

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
        self._openers[hook] = name
        if missing := [each for each in _members(port) if not hasattr(opened, each)]:
            raise PluginFault(
                f"plugin '{name}': what {hook} answered has no '{missing[0]}', which a "
                f"{port.__name__} needs"
            )
        return opened

    def expected(self, kind: type[T], opened: str, asked: str, answer: Any) -> T:
        """Return what a broker or feed answered. Raises PluginFault where it is no ``kind``."""
        if isinstance(answer, kind):
            return answer
        name = self._openers.get(f"open_{opened}", "?")
        raise PluginFault(
            f"plugin '{name}': its {opened}'s {asked} answered {_shown(answer)}: it must return a "
            f"{kind.__name__}"
        )

    # -- failures ------------------------------------------------------------------------------

    def _failed(self, name: str, hook: str, error: BaseException) -> None:
        """Raise a plugin's failure; or warn of it, and leave the plugin out."""
        if isinstance(error, KeyboardInterrupt):
            raise error
        failure = error if isinstance(error, SmabotError) else blame(name, hook, error)
        opening = hook in OPENING and not isinstance(error, PluginError)
        if self._warn is None or hook in STRICT or opening:
            if failure is error:
                raise failure
            raise failure from error
        self._warn(f"{named(name, failure)}; it is left out")
        self._leave_out(name)

    def _leave_out(self, name: str) -> None:
        self.manager.unregister(name=name)
        names = self.names
        self._declared = None
        self.check()
        self.names = tuple(each for each in names if each != name)

    @contextmanager
    def _warned(self) -> Iterator[None]:
        assert self._warn is not None
        try:
            yield
        except SmabotError as error:
            self._warn(str(error))

    @contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Name the plugin in whose code something is raised within, as in its broker or its feed.

        Raises PluginError for what is no SmabotError, and an error about a plugin's record with the
        plugin's name.
        """
        try:
            yield
        except SmabotError as error:
            if name := self.owner(error.about):
                named(name, error)
            raise
        except Exception as error:
            if (found := self._culprit(error)) is None:
                raise
            raise blame(*found, error) from error

    def _culprit(self, error: Exception) -> tuple[str, str] | None:
        """Return the plugin in whose code an error was raised, and the function there."""
        packages = {
            (plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__module__): name
            for name, plugin in self.manager.list_name_plugin()
            if name in self.names
        }
        found, trace = None, error.__traceback__
        while trace is not None:
            module = str(trace.tb_frame.f_globals.get("__name__"))
            top = module.split(".")[0]
            alike = [name for of, name in packages.items() if of.split(".")[0] == top]
            if alike:
                found = packages.get(module, alike[0]), trace.tb_frame.f_code.co_qualname
            trace = trace.tb_next
        return found


def named(name: str, error: SmabotError) -> SmabotError:
    """Return an error, its line with the plugin's name."""
    text = str(error)
    if f"plugin '{name}'" in text:
        return error
    error.args = (f"plugin '{name}': {text}",)
    return error


def _tables(
    name: str, kinds: Sequence[Any], owners: Mapping[str, tuple[str, type]]
) -> dict[str, tuple[str, type]]:
    """Return the tables of a plugin's records. Raises ConfigError for what can't be one."""
    core = {table_of(kind).name.lower() for kind in CORE_RECORDS} | {"bars", "symbols"}
    found: dict[str, tuple[str, type]] = {}
    for kind in dict.fromkeys(kinds):
        try:
            table = table_of(kind).name.lower()
        except (TypeError, NameError) as error:
            raise ConfigError(f"plugin '{name}': records: {error}") from None
        other, owner = found.get(table) or owners.get(table) or ("core", None)
        if table in core or owner not in (None, kind):
            by = f"{other}" if owner is None else f"{owner.__module__}.{owner.__qualname__}"
            raise ConfigError(
                f"plugin '{name}': record {kind.__module__}.{kind.__qualname__}: table '{table}' is "
                f"already declared by {by}; choose another name"
            )
        found[table] = name, kind
    return found


def _fault(name: str, hook: str, answer: object) -> PluginFault:
    """Return the line about an answer that no plugin may give."""
    if inspect.iscoroutine(answer):
        answer.close()
    kinds = " or ".join(kind.__name__ for kind in ANSWERS.get(hook, ()))
    kinds = "a Veto, a list of Check," if hook == "before_submit" else kinds
    may = f"it must return {kinds} or None" if kinds else "nothing is done with an answer"
    return PluginFault(f"plugin '{name}': {hook} answered {_shown(answer)}: {may}")


def _shown(answer: object) -> str:
    shown = repr(answer)
    return shown if len(shown) <= 200 else shown[:200] + "…"


def _members(port: type) -> list[str]:
    """Return the names that a protocol asks for."""
    bases = [base for base in port.__mro__ if getattr(base, "_is_protocol", False)]
    return [name for base in bases for name in vars(base) if not name.startswith("_")]


def _two_arguments(impl: Any, event: str) -> Callable[[Any, Book], Any]:
    """Return a hook implementation as a function of (event, book), whatever it takes."""
    function: Callable[..., Any] = impl.function
    if impl.argnames == (event, "book"):
        return function
    if impl.argnames == (event,):
        return lambda given, book: function(given)
    if impl.argnames == ("book", event):
        return lambda given, book: function(book, given)
    if impl.argnames == ("book",):
        return lambda given, book: function(book)
    return lambda given, book: function()
