"""Discover, select, load and check plugins; one typed method per hook.

A plugin is a class (or module) named by an entry point in group ``smabot``. Its name is also its
name on the command line and of its settings table.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

import smabot
from smabot import hookspecs
from smabot.book import Book
from smabot.config import Config, Settings
from smabot.errors import ConfigError, PluginError, SmabotError, suggest
from smabot.hookspecs import Reconciliation, Recovery, RecoveryStep
from smabot.records import (
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
from smabot.tables import table_of

if TYPE_CHECKING:
    from pathlib import Path

    import click

    from smabot.ports import Broker, Feed, Journal, Rows

GROUP = "smabot"
T = TypeVar("T")
BROKERS = ("alpaca", "exchange")
HOT = ("on_bar", "on_equity")
"""Called every minute: resolved once, so that they can't be wrapped."""
ANSWERS: dict[str, type] = {
    "records": Sequence,
    "lookback": int,
    "on_startup_recover": RecoveryStep,
    "on_signal": OrderIntent,
    "may_leave": Veto,
    "on_command": str,
    "describe": tuple,
    "reconcile": Reconciliation,
}
"""What the answer of a hook must be, where something else would be found out late or never."""


def discover() -> dict[str, EntryPoint]:
    """Return the installed plugins' entry points by name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def select(wanted: Sequence[str], blocked: Sequence[str], installed: Iterable[str]) -> list[str]:
    """Return the names that are wanted, by name or by prefix (``risk``), less the blocked ones.

    Raises ConfigError for a name that selects or blocks nothing.
    """
    known = sorted(installed)

    def expand(name: str) -> list[str]:
        found = [each for each in known if each == name or each.startswith(name + ".")]
        if not found:
            groups = {each.split(".")[0] for each in known}
            raise ConfigError(
                f"plugin '{name}' is not installed{suggest(name, groups | set(known))}; "
                f"installed are: {', '.join(known) or 'none'}"
            )
        return found

    off = {each for name in blocked for each in expand(name)}
    return list(dict.fromkeys(e for name in wanted for e in expand(name) if e not in off))


class Plugins:
    """The plugins of one run, loaded and checked."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager("smabot")
        self.manager.add_hookspecs(hookspecs)
        self.names: tuple[str, ...] = ()
        self.bar_hooks: list[tuple[str, Callable[[Bar, Book], Any]]] = []
        self.equity_hooks: list[tuple[str, Callable[[EquityPoint, Book], Any]]] = []

    @classmethod
    def load(
        cls,
        config: Config,
        names: Sequence[str] | None = None,
        origins: Mapping[str, str] | None = None,
    ) -> Plugins:
        """Load the plugins that the settings name (or ``names``), each with its settings table.

        Raises ConfigError for one that is unknown, can't be imported, was made for another
        version, has wrong settings or a mistyped hook.
        """
        from smabot.sizing import DefaultSizer

        installed = discover()
        _check_tables(config.plugin, set(installed), origins or {})
        wanted = [*config.base_plugins, *config.plugins] if names is None else names
        self = cls()
        # pluggy calls the last registered first: by name, whatever the order they were given in.
        chosen = select(wanted, config.no_plugins, installed)
        for name in sorted(chosen, reverse=True):
            self.register(name, _make(name, installed[name], config, origins or {}))
        self.register("core.sizing", DefaultSizer(config.sizing))
        self.check()
        self.names = tuple(chosen)
        return self

    def register(self, name: str, plugin: object) -> None:
        """Add one plugin object. Call `check` after the last."""
        if inspect.isclass(plugin):
            raise ConfigError(f"plugin '{name}': a class was registered instead of an instance")
        for attribute in dir(plugin):
            options = getattr(getattr(plugin, attribute, None), "smabot_impl", None)
            if options is not None:
                _check_hook(name, plugin, attribute, options)
        self.manager.register(plugin, name)

    def check(self) -> None:
        """Check that every hook implementation has a specification, and resolve the hot hook."""
        try:
            self.manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise ConfigError(str(error).replace("\n", " ")) from None
        self.names = tuple(
            name for name, _ in self.manager.list_name_plugin() if not name.startswith("core.")
        )
        self.bar_hooks = self._resolve("on_bar", "bar")
        self.equity_hooks = self._resolve("on_equity", "point")

    def _resolve(self, hook: str, event: str) -> list[tuple[str, Callable[[Any, Book], Any]]]:
        """Return a hook's implementations in call order as functions of (event, book).

        Calling them so is ten times cheaper than through pluggy.
        """
        impls = getattr(self.manager.hook, hook).get_hookimpls()
        return [(impl.plugin_name, _two_arguments(impl, event)) for impl in reversed(impls)]

    # -- one method per hook -----------------------------------------------------------------------

    def kinds(self) -> tuple[type, ...]:
        """Return core's record classes and all that the plugins declare.

        Raises ConfigError when two classes claim one table.
        """
        declared: list[Sequence[type]] = self._call("records")
        kinds = dict.fromkeys([*CORE_RECORDS, *(kind for some in declared for kind in some)])
        owners: dict[str, type] = {}
        for kind in kinds:
            try:
                table = table_of(kind).name
            except TypeError as error:
                raise ConfigError(f"records: {error}") from None
            if table in owners or table in ("bars", "symbols"):
                other = owners.get(table)
                taken = f"{other.__module__}.{other.__qualname__}" if other else "core"
                raise ConfigError(
                    f"record {kind.__module__}.{kind.__qualname__}: table '{table}' is already "
                    f"declared by {taken}; choose another name"
                )
            owners[table] = kind
        return tuple(kinds)

    def lookback(self) -> int:
        """Return the largest number of bars that any strategy needs."""
        return max(self._call("lookback"), default=0)

    def on_startup_recover(self, recovery: Recovery) -> list[tuple[str, RecoveryStep]]:
        """Ask each plugin what it restored, with its name."""
        found = []
        for impl in reversed(self.manager.hook.on_startup_recover.get_hookimpls()):
            try:
                step = typing.cast(
                    RecoveryStep | None, impl.function(*([recovery] if impl.argnames else []))
                )
            except SmabotError:
                raise
            except Exception as error:
                raise blame(impl.plugin_name, "on_startup_recover", error) from error
            if step is not None:
                self._check_answer("on_startup_recover", step, impl.plugin_name)
                found.append((impl.plugin_name, step))
        return found

    def on_bar(self, bars: Sequence[Bar], book: Book) -> list[tuple[str, Any]]:
        """Tell every plugin of a minute's bars; returns what they answered, with their names."""
        found = []
        for name, on_bar in self.bar_hooks:
            try:
                for bar in bars:
                    answer = on_bar(bar, book)
                    if answer is not None:
                        found.append((name, answer))
            except SmabotError:
                raise
            except Exception as error:
                raise blame(name, "on_bar", error) from error
        return found

    def on_equity(self, point: EquityPoint, book: Book) -> None:
        for name, on_equity in self.equity_hooks:
            try:
                on_equity(point, book)
            except SmabotError:
                raise
            except Exception as error:
                raise blame(name, "on_equity", error) from error

    def on_signal(self, signal: Signal, book: Book) -> OrderIntent | None:
        intent: OrderIntent | None = self._call("on_signal", signal=signal, book=book)
        return intent

    def before_submit(self, order: Order, book: Book) -> list[Check]:
        """Return every plugin's checks of a new order; a Veto is one that did not pass."""
        answers: list[Any] = self._call("before_submit", order=order, book=book)
        checks: list[Check] = []
        for answer in answers:
            if isinstance(answer, Veto):
                checks.append(Check("before_submit", False, reason=answer.reason))
            elif isinstance(answer, list) and all(isinstance(each, Check) for each in answer):
                checks += answer
            else:
                raise PluginError(
                    f"plugin '{self._names('before_submit')}': before_submit answered {answer!r}: it must "
                    "return a Veto, a list of Check, or None"
                )
        return checks

    def may_leave(self, order: Order, book: Book) -> list[Veto]:
        vetoes: list[Veto] = self._call("may_leave", order=order, book=book)
        return vetoes

    def on_order(self, order: Order, book: Book) -> None:
        self._call("on_order", order=order, book=book)

    def on_fill(self, fill: Fill, book: Book) -> None:
        self._call("on_fill", fill=fill, book=book)

    def on_command(self, command: Command, book: Book) -> list[str]:
        answers: list[str] = self._call("on_command", command=command, book=book)
        return answers

    def describe(self, book: Book) -> list[tuple[str, str]]:
        """Return each plugin's line about its state: a title and a text."""
        lines: list[tuple[str, str]] = self._call("describe", book=book)
        return lines

    def reconcile(self, recovery: Recovery) -> Reconciliation | None:
        found: Reconciliation | None = self._call("reconcile", recovery=recovery)
        return found

    def open_journal(self, config: Config) -> Journal | None:
        journal: Journal | None = self._call("open_journal", config=config, records=self.kinds())
        return journal

    def open_rows(self, config: Config) -> Rows:
        """Open the database read-only. Raises ConfigError when no plugin can."""
        rows: Rows | None = self._call("open_rows", config=config, records=self.kinds())
        if rows is None:
            raise ConfigError("no plugin keeps a database: add persistence_sqlite to base_plugins")
        return rows

    def open_broker(self, config: Config) -> Broker:
        """Connect the broker. Raises ConfigError when no plugin offers one."""
        broker: Broker | None = self._call("open_broker", config=config)
        if broker is None and config.live:
            raise ConfigError(
                "--live needs the plugin of a real broker: give --broker alpaca, and add alpaca to "
                "base_plugins; the embedded exchange is paper only"
            )
        if broker is None:
            raise ConfigError(
                f"no plugin in base_plugins offers the broker '{config.broker}'"
                f"{suggest(config.broker, BROKERS)}; smabot's own are {' and '.join(BROKERS)}"
            )
        return broker

    def open_feed(self, config: Config) -> Feed:
        """Connect the feed. Raises ConfigError when no plugin offers one."""
        feed: Feed | None = self._call("open_feed", config=config)
        if feed is None:
            raise ConfigError(
                f"no plugin offers the feed of '{config.broker}': use alpaca or exchange, and add it to "
                "base_plugins"
            )
        return feed

    def account_files(self, config: Config, account_id: str) -> list[Path]:
        """Return the files on this machine that hold the account of a broker."""
        answers = self._call("account_files", config=config, account_id=account_id)
        return [path for answer in answers for path in answer]

    def register_commands(self, cli: click.Group) -> None:
        self._call("register_commands", cli=cli)

    # -- blame ---------------------------------------------------------------------------------

    def _call(self, hook: str, **arguments: Any) -> Any:
        caller = getattr(self.manager.hook, hook)
        try:
            answer = caller(**arguments)
        except SmabotError:
            raise
        except Exception as error:
            raise blame(self._culprit(error), hook, error) from error
        if hook in ANSWERS:
            for each in answer if isinstance(answer, list) else [answer]:
                if each is not None and not isinstance(each, ANSWERS[hook]):
                    self._check_answer(hook, each, self._names(hook))
        return answer

    def _names(self, hook: str) -> str:
        impls = getattr(self.manager.hook, hook).get_hookimpls()
        return " or ".join(impl.plugin_name for impl in impls)

    def _check_answer(self, hook: str, answer: object, names: str) -> None:
        if answer is not None and not isinstance(answer, ANSWERS[hook]):
            raise PluginError(
                f"plugin '{names}': {hook} answered {answer!r}: "
                f"it must return {ANSWERS[hook].__name__} or None"
            )

    def _culprit(self, error: BaseException) -> str:
        frame = error.__traceback__
        while frame is not None:
            caller = frame.tb_frame.f_locals.get("self")
            if caller is not None and (name := self.manager.get_name(caller)):
                return name
            for name, plugin in self.manager.list_name_plugin():
                if getattr(plugin, "__name__", "") == frame.tb_frame.f_globals.get("__name__"):
                    return name
            frame = frame.tb_next
        return "?"


def blame(plugin: str, hook: str, error: BaseException) -> PluginError:
    """Return the one line that says which plugin raised what, in which hook, and where."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = f" ({frame.tb_frame.f_code.co_filename}:{frame.tb_lineno})" if frame else ""
    return PluginError(
        f"plugin '{plugin}' raised in {hook}: {type(error).__name__}: {error}{where}"
    )


def _make(name: str, point: EntryPoint, config: Config, origins: Mapping[str, str]) -> object:
    _check_version(name, point)
    try:
        target = point.load()
    except Exception as error:
        raise ConfigError(
            f"plugin '{name}' ({point.value}) can't be imported: {type(error).__name__}: {error}"
        ) from error
    if not inspect.isclass(target):
        return target
    model = settings_model(target)
    try:
        settings = model.model_validate(config.table(name)) if model else None
    except ValueError as error:
        from smabot.settings import plugin_settings_error

        raise plugin_settings_error(name, typing.cast(Any, error), origins, model) from None
    if model is None and config.table(name):
        raise ConfigError(f"plugin '{name}' has no settings: remove the table plugin.{name}")
    try:
        return target(*([settings] if model else []))
    except SmabotError:
        raise
    except Exception as error:
        raise blame(name, "its constructor", error) from error


def settings_model(plugin: type) -> type[Settings] | None:
    """Return the settings class that a plugin's constructor takes, or None.

    Raises ConfigError when the constructor's annotations name what its module does not have.
    """
    try:
        hint = typing.get_type_hints(inspect.getattr_static(plugin, "__init__")).get("settings")
    except (NameError, TypeError) as error:
        raise ConfigError(
            f"plugin {plugin.__module__}.{plugin.__qualname__}: the types of its constructor's "
            f"arguments can't be read: {error}"
        ) from error
    return hint if inspect.isclass(hint) and issubclass(hint, Settings) else None


def _check_version(name: str, point: EntryPoint) -> None:
    """Raise ConfigError when the plugin's distribution asks for another version of smabot."""
    for line in (point.dist.requires if point.dist else None) or ():
        if line.replace("_", "-").split("smabot", 1)[0] == "" and "extra ==" not in line:
            from packaging.requirements import Requirement

            need = Requirement(line)
            if need.name == "smabot" and not need.specifier.contains(
                smabot.__version__, prereleases=True
            ):
                raise ConfigError(
                    f"plugin '{name}' needs smabot{need.specifier}, this is {smabot.__version__}: "
                    f"upgrade {point.dist.name if point.dist else name}"
                )


def _check_tables(
    tables: Mapping[str, Any], installed: set[str], origins: Mapping[str, str], prefix: str = ""
) -> None:
    """Raise ConfigError for a plugin's settings that are no table, or of one not installed."""
    for key, value in tables.items():
        name = prefix + key
        group = any(each.startswith(name + ".") for each in installed)
        if name not in installed and not group:
            raise ConfigError(
                f"settings: plugin.{name}: no such plugin is installed{suggest(name, installed)}"
            )
        if not isinstance(value, dict):
            origin = origins.get(f"plugin.{name}", "settings")
            raise ConfigError(f"{origin}: plugin.{name} = {value!r}: must be a table")
        if name not in installed:
            _check_tables(value, installed, origins, name + ".")


def _check_hook(name: str, plugin: object, attribute: str, options: Mapping[str, Any]) -> None:
    hook = options.get("specname") or attribute
    if hook in HOT and (options.get("wrapper") or options.get("hookwrapper")):
        raise ConfigError(f"plugin '{name}': {hook} can't be wrapped: it is called every minute")
    if hook not in hookspecs.HOOKS:
        raise ConfigError(f"plugin '{name}': no hook '{hook}'{suggest(hook, hookspecs.HOOKS)}")
    parameters = inspect.signature(getattr(plugin, attribute)).parameters
    for parameter in parameters.values():
        if parameter.default is not inspect.Parameter.empty:
            raise ConfigError(
                f"plugin '{name}': {hook}: argument '{parameter.name}' must not have a default"
            )
    known = inspect.signature(getattr(hookspecs, hook)).parameters
    if unknown := [each for each in parameters if each not in known]:
        raise ConfigError(
            f"plugin '{name}': {hook} has no argument '{unknown[0]}'{suggest(unknown[0], known)}; "
            f"it may take: {', '.join(known) or 'none'}"
        )


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
