"""Calls plugins' hooks: each gets the book through its own door, and its failures have its name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

from smabot.domain.book import Book
from smabot.domain.frozen_classes import replace
from smabot.domain.records import CORE_RECORDS, Bar, EquityPoint
from smabot.domain.tables import table_of
from smabot.errors import ConfigError, PluginError, SmabotError
from smabot.hooks.discovery import blame
from smabot.hooks.hook_checks import check_hooks
from smabot.hooks.hook_manager import HookManager
from smabot.hooks.plugin_book import PluginBook
from smabot.hooks.plugin_faults import culprit, fault, is_answer, named
from smabot.hooks.plugin_isolation import DecimalGuard
from smabot.hooks.plugin_output import LOGGED

KEEPING = ("open_journal", "open_rows")
"""The hooks of a plugin that keeps the database."""
STRICT = ("open_broker", "open_feed", "reconcile", "on_command")
"""Hooks that nobody can do without for a failed one: another broker is no substitute."""
OWN = ("book", "recovery")
"""Arguments of which each plugin gets its own."""
EVENTS = {
    "on_signal": "signal", "before_submit": "order", "may_leave": "order", "on_order": "order",
    "on_fill": "fill",
}  # fmt: skip
"""Hooks that are called for each order, and the name of what they are called with besides the book."""
OPENING = (*KEEPING, *STRICT)
"""Hooks whose SmabotError is about what they open, and not about the plugin."""


class PluginCalls:
    """Registered plugins, the records that they declare, and how each of their hooks is called."""

    def __init__(self, warn: Callable[[str], None] | None = None) -> None:
        """``warn``: called for a plugin that fails, which is then left out. Without it, a
        plugin that fails raises."""
        self.manager = HookManager()
        self.names: tuple[str, ...] = ()
        self.bar_hooks: list[tuple[str, Callable[[Bar, Book], Any]]] = []
        self.equity_hooks: list[tuple[str, Callable[[EquityPoint, Book], Any]]] = []
        self._event_hooks: dict[str, list[tuple[str, Callable[[Any, Book], Any]]]] = {}
        self._warn = warn
        self._decimals = DecimalGuard()
        self._implementations: dict[str, tuple[Any, ...]] = {}
        self._declared: dict[str, tuple[type, ...]] | None = None
        self._book: Book | None = None
        self._views: dict[str, PluginBook] = {}
        self.openers: dict[str, str] = {}
        """The plugin that answered each hook which opens something."""

    def register(self, name: str, plugin: object) -> None:
        """Add one plugin object. Call `check` after the last."""
        hooks = check_hooks(name, plugin)
        try:
            self.manager.add(name, plugin, hooks)
        except Exception as error:
            raise ConfigError(str(blame(name, "being registered", error))) from error
        self._forget_plugins()

    def check(self) -> None:
        """Resolve the hooks that are called every minute."""
        self._forget_plugins()
        registered = [name for name, _ in self.manager.list_name_plugin()]
        self.names = tuple(name for name in registered if not name.startswith("core."))
        self.bar_hooks = self._resolve("on_bar", "bar")
        self.equity_hooks = self._resolve("on_equity", "point")
        self._event_hooks = {hook: self._resolve(hook, event) for hook, event in EVENTS.items()}

    def _forget_plugins(self) -> None:
        self._declared = self._book = None
        self._implementations.clear()

    def _resolve(self, hook: str, event: str) -> list[tuple[str, Callable[[Any, Book], Any]]]:
        """Return a hook's implementations in call order as functions of (event, book).

        Calling them so is ten times cheaper than through pluggy.
        """
        return [(impl.plugin_name, _two_arguments(impl, event)) for impl in self._impls(hook)]

    def _has(self, name: str, hook: str) -> bool:
        return any(impl.plugin_name == name for impl in self._impls(hook))

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

    def _impls(self, hook: str) -> tuple[Any, ...]:
        """Return a hook's implementations in call order."""
        impls = self._implementations.get(hook)
        if impls is None:
            impls = tuple(reversed(getattr(self.manager.hook, hook).get_hookimpls()))
            self._implementations[hook] = impls
        return impls

    def _as_named(self, hook: str) -> list[Any]:
        """Return a hook's implementations in the order in which their plugins were named."""
        order = {name: place for place, name in enumerate(self.names)}
        return sorted(self._impls(hook), key=lambda impl: order.get(impl.plugin_name, -1))

    def _ask(self, hook: str, *, first: bool = False, **given: Any) -> list[tuple[str, Any]]:
        """Call a hook; returns the answers that are not None with the plugins' names."""
        found = []
        for impl in self._impls(hook):
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

    def _ask_of(
        self, hook: str, event: Any, book: Book, *, first: bool = False
    ) -> list[tuple[str, Any]]:
        """Do what `_ask` does, for a hook that is called for each order."""
        found = []
        views, screen = self._views_of(book), sys.stdout
        for name, function in self._event_hooks[hook]:
            sys.stdout = LOGGED
            try:
                answer = function(event, views[name])
                if answer is None:
                    continue
                if not is_answer(hook, answer):
                    raise fault(name, hook, answer)
            except BaseException as error:  # noqa: BLE001 - SystemExit is a plugin's failure, too
                sys.stdout = screen
                self._failed(name, hook, error)
                continue
            finally:
                self._decimals.restore()
                sys.stdout = screen
            found.append((name, answer))
            if first:
                break
        return found

    def _called(self, impl: Any, hook: str, given: Mapping[str, Any]) -> Any:
        """Call one implementation. Raises only SmabotError, and KeyboardInterrupt."""
        name = impl.plugin_name
        arguments = [
            given[each] if each not in OWN else self._own(name, each, given[each])
            for each in impl.argnames
        ]
        screen, sys.stdout = sys.stdout, LOGGED
        try:
            answer = impl.function(*arguments)
        except (SmabotError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise blame(name, hook, error) from error
        finally:
            self._decimals.restore()
            sys.stdout = screen
        if not is_answer(hook, answer):
            raise fault(name, hook, answer)
        return answer

    def _own(self, name: str, argument: str, value: Any) -> Any:
        """Return an argument as a plugin gets it: the book through its own door."""
        if argument == "book":
            return self._views_of(value)[name]
        return replace(value, book=self._views_of(value.book)[name])

    def view(self, name: str, book: Book) -> Book:
        """Return the book as a plugin's hooks get it."""
        return self._views_of(book)[name]

    def _views_of(self, book: Book) -> Mapping[str, Book]:
        """Return each plugin's view of a book, by the plugins' names."""
        if book is not self._book:
            declared = self._by_plugin()
            self._views = {
                each: PluginBook(book, each, declared.get(each, ()))
                for each, _ in self.manager.list_name_plugin()
            }
            self._book = book
        return self._views

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
            packages = {
                plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__module__: name
                for name, plugin in self.manager.list_name_plugin()
                if name in self.names
            }
            if (found := culprit(error, packages)) is None:
                raise
            raise blame(*found, error) from error


def _tables(
    name: str, kinds: Sequence[Any], owners: Mapping[str, tuple[str, type]]
) -> dict[str, tuple[str, type]]:
    """Return the tables of a plugin's records. Raises ConfigError for what can't be one."""
    core = _core_tables()
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


@cache
def _core_tables() -> frozenset[str]:
    return frozenset({table_of(kind).name.lower() for kind in CORE_RECORDS} | {"bars", "symbols"})


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
