"""Loading plugins: what is selected, what is refused, and how it is said."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

import smabot
from smabot.domain.book import Book
from smabot.domain.records import Bar, Order
from smabot.domain.tables import record
from smabot.errors import ConfigError, PluginError
from smabot.hooks.discovery import select, settings_model
from smabot.hooks.plugins import Plugins
from smabot.hooks.specifications import hookimpl, hookspec
from smabot.settings.model import Config, Settings

INSTALLED = ["exchange", "risk.circuit_breaker", "risk.daily_limits", "riskier", "sma"]
HEAD = """
from smabot.settings.model import Settings
from smabot.hooks.specifications import hookimpl
from smabot.domain.tables import record

"""
QUIET = HEAD + "class Plugin:\n    @hookimpl\n    def on_bar(self): pass\n"
CHOOSY = """
class Choice(Settings):
    window: int = 5

class Plugin:
    def __init__(self, settings: Choice):
        self.settings = settings

    @hookimpl
    def lookback(self): return self.settings.window
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lay a distribution out as pip would, with one plugin: ``Plugin`` of its module."""

    def install(name: str, code: str = QUIET, requires: str = "smabot>=0.1") -> None:
        module = f"plugin_{len(list(tmp_path.glob('*.py')))}_of_{tmp_path.name}"
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (tmp_path / f"{module}.py").write_text(code)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: {requires}\n"
        )
        (info / "entry_points.txt").write_text(f"[smabot]\n{name} = {module}:Plugin\n")
        monkeypatch.syspath_prepend(tmp_path)

    return install


def load(*names: str, **settings: Any) -> Plugins:
    return Plugins.load(Config(base_plugins=(), plugins=names, **settings))


def refusal(*names: str, **settings: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(*names, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- selection -------------------------------------------------------------------------------------


def test_a_name_selects_itself_or_all_under_it() -> None:
    assert select(["sma"], [], INSTALLED) == ["sma"]
    assert select(["risk"], [], INSTALLED) == ["risk.circuit_breaker", "risk.daily_limits"]
    assert select(["risk.daily_limits", "risk", "sma", "sma"], [], INSTALLED) == [
        "risk.daily_limits", "risk.circuit_breaker", "sma",
    ]  # fmt: skip
    assert select([], [], INSTALLED) == []


def test_a_blocked_name_is_left_out_however_it_was_selected() -> None:
    assert select(["risk", "sma"], ["risk.daily_limits"], INSTALLED) == [
        "risk.circuit_breaker", "sma",
    ]  # fmt: skip
    assert select(["risk", "sma"], ["risk"], INSTALLED) == ["sma"]
    assert select(["sma"], ["exchange"], INSTALLED) == ["sma"]


@pytest.mark.parametrize("names", [("one", "two"), ("two", "one")], ids=str)
def test_the_order_of_names_is_not_the_order_of_hooks(
    install: Callable[..., None], names: tuple[str, ...]
) -> None:
    install("one")
    install("two")
    assert [name for name, _ in load(*names).bar_hooks] == ["one", "two"]


@pytest.mark.parametrize(("wanted", "blocked"), [(["rsik"], []), (["sma"], ["rsik"])])
def test_an_unknown_name_is_refused_with_a_suggestion(
    wanted: list[str], blocked: list[str]
) -> None:
    with pytest.raises(
        ConfigError, match=r"'rsik' is not installed \(did you mean 'risk'\?\); ins"
    ):
        select(wanted, blocked, INSTALLED)


def test_nothing_installed_is_said() -> None:
    with pytest.raises(ConfigError, match="installed are: none"):
        select(["sma"], [], [])


def test_loading_keeps_to_the_selection(install: Callable[..., None]) -> None:
    for name in ("group.one", "group.two", "other"):
        install(name)
    assert set(load("group", "other").names) == {"group.one", "group.two", "other"}
    assert set(load("group", "other", no_plugins=("group.one",)).names) == {"group.two", "other"}
    assert {name for name, _ in load("other", "group.two").bar_hooks} == {"other", "group.two"}


# -- versions and settings -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "requires", ["smabot>=0.1", "smabot<99", "smabot", "SMABOT >= 0.1", "smabot-sma>=99", "click>=99"]
)  # fmt: skip
def test_a_distribution_that_fits(install: Callable[..., None], requires: str) -> None:
    install("fits", requires=requires)
    assert load("fits").names == ("fits",)


@pytest.mark.parametrize("requires", ["smabot>=99", "smabot (>=99)", "smabot[all]>=99"])
def test_a_distribution_for_another_version(install: Callable[..., None], requires: str) -> None:
    install("future", requires=requires)
    assert refusal("future") == (
        f"plugin 'future' needs smabot>=99, this is {smabot.__version__}: upgrade future"
    )
    assert load().names == ()


def test_a_plugin_gets_its_own_table(install: Callable[..., None]) -> None:
    install("choosy", HEAD + CHOOSY)
    install("group.choosy", HEAD + CHOOSY)
    tables = {"choosy": {"window": 7}, "group": {"choosy": {"window": 8}}}
    plugins = load("choosy", "group", plugin=tables)
    given: dict[str, Any] = dict(plugins.manager.list_name_plugin())
    windows = {name: given[name].settings.window for name in plugins.names}
    assert windows == {"choosy": 7, "group.choosy": 8}


@pytest.mark.parametrize(
    ("tables", "line"),
    [
        ({"choosy": {"windwo": 3}}, "unknown setting 'plugin.choosy.windwo' (did you mean 'plugin.choosy.window'?)"),  # codespell:ignore
        ({"choosy": 3}, "settings: plugin.choosy = 3: must be a table"),
        ({"group": 3}, "settings: plugin.group = 3: must be a table"),
        ({"group": {"quiet": [1]}}, "settings: plugin.group.quiet = [1]: must be a table"),
        ({"group": {"quiet": {"x": 1}}}, "plugin 'group.quiet' has no settings: remove the table plugin.group.quiet"),
        ({"chosy": {}}, "settings: plugin.chosy: no such plugin is installed (did you mean 'choosy'?)"),
        ({"group": {"quite": {}}}, "settings: plugin.group.quite: no such plugin is installed (did you mean 'group.quiet'?)"),
    ],
)  # fmt: skip
def test_a_wrong_table(install: Callable[..., None], tables: dict[str, Any], line: str) -> None:
    install("choosy", HEAD + CHOOSY)
    install("group.quiet")
    assert line in refusal("choosy", "group", plugin=tables)


def test_a_plugin_that_is_not_selected_may_keep_its_table(install: Callable[..., None]) -> None:
    install("choosy", HEAD + CHOOSY)
    install("quiet")
    assert load("quiet", plugin={"choosy": {"window": 7}}).names == ("quiet",)


def test_the_settings_class_of_a_constructor() -> None:
    class Choice(Settings):
        pass

    class With:
        def __init__(self, settings: Choice) -> None: ...

    With.__init__.__annotations__["settings"] = Choice

    class Without:
        pass

    assert settings_model(With) is Choice
    assert settings_model(Without) is None


# -- hooks -----------------------------------------------------------------------------------------


def registered(plugin: object) -> Plugins:
    plugins = Plugins()
    plugins.register("mine", plugin)
    plugins.check()
    return plugins


def test_a_mistyped_hook_is_refused_with_a_suggestion() -> None:
    class Mine:
        @hookimpl
        def on_baar(self, bar: Bar) -> None: ...

    with pytest.raises(ConfigError, match=r"'mine': no hook 'on_baar' \(did you mean 'on_bar'\?\)"):
        registered(Mine())


def test_a_mistyped_specname_is_refused_too() -> None:
    class Mine:
        @hookimpl(specname="on_fil")
        def filled(self) -> None: ...

    with pytest.raises(ConfigError, match=r"no hook 'on_fil' \(did you mean 'on_fill'\?\)"):
        registered(Mine())


def test_an_unknown_argument_is_refused_with_a_suggestion() -> None:
    class Mine:
        @hookimpl
        def on_bar(self, bra: Bar) -> None: ...

    with pytest.raises(
        ConfigError, match=r"on_bar has no argument 'bra' \(did you mean 'bar'\?\); i"
    ):
        registered(Mine())


def test_a_defaulted_argument_is_refused() -> None:
    """It would never be given: only arguments without a default are passed on."""

    class Mine:
        @hookimpl
        def on_bar(self, bar: Bar, book: Book | None = None) -> None: ...

    with pytest.raises(ConfigError, match="argument 'book' must not have a default"):
        registered(Mine())


@pytest.mark.parametrize("hook", ["on_bar", "before_submit", "open_broker"])
@pytest.mark.parametrize("options", [{"wrapper": True}, {"hookwrapper": True}])
def test_no_hook_can_be_wrapped(hook: str, options: Any) -> None:
    """A wrapper could change what the others answer, a risk rule's veto too."""

    class Mine:
        @hookimpl(specname=hook, **options)  # type: ignore[untyped-decorator]
        def around(self) -> Any:
            yield

    with pytest.raises(ConfigError, match=f"'mine': {hook} can't be wrapped: no hook may"):
        registered(Mine())


def test_a_class_in_place_of_an_instance_is_refused() -> None:
    class Mine:
        @hookimpl
        def on_bar(self, bar: Bar) -> None: ...

    with pytest.raises(ConfigError, match="'mine': a class was registered instead of an instance"):
        registered(Mine)


def test_arguments_may_be_taken_in_any_order_or_left_out() -> None:
    seen: list[Any] = []

    class Both:
        @hookimpl
        def on_bar(self, book: Book, bar: Bar) -> None:
            seen.append((bar, book))

    class One:
        @hookimpl
        def on_bar(self, bar: Bar) -> None:
            seen.append(bar)

    class Other:
        @hookimpl
        def on_bar(self, book: Book) -> None:
            seen.append(book)

    class Neither:
        @hookimpl
        def on_bar(self) -> None:
            seen.append(None)

    bar: Any = object()
    book = Book()
    for plugin in (Both(), One(), Other(), Neither()):
        ((_, on_bar),) = registered(plugin).bar_hooks
        on_bar(bar, book)
    assert seen == [(bar, book), bar, book, None]


def test_a_module_may_be_a_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    name = f"module_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(
        HEAD + "@hookimpl\ndef on_fill(fill):\n    raise KeyError('module')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    plugins = registered(importlib.import_module(name))
    fill: Any = object()
    with pytest.raises(
        PluginError, match=r"plugin 'mine' raised in on_fill: KeyError: 'module' \("
    ):
        plugins.on_fill(fill, Book())


def test_blame_falls_on_the_plugin_that_raised_not_on_its_neighbour() -> None:
    class Sound:
        @hookimpl
        def on_order(self, order: Order) -> None: ...

    class Broken:
        @hookimpl
        def on_order(self, order: Order) -> None:
            raise ValueError("mine alone")

    plugins = Plugins()
    for name, plugin in {"a": Sound(), "b": Broken(), "c": Sound()}.items():
        plugins.register(name, plugin)
    plugins.check()
    order: Any = object()
    with pytest.raises(PluginError, match=r"plugin 'b' raised in on_order: ValueError: mine alone"):
        plugins.on_order(order, Book())


def test_a_spec_that_is_not_ours_is_no_hook() -> None:
    class Mine:
        @hookspec
        def on_whim(self) -> None: ...

        @hookimpl
        def lookback(self) -> int:
            return 3

    assert registered(Mine()).lookback() == 3


# -- declared records ------------------------------------------------------------------------------


def test_one_table_belongs_to_one_class() -> None:
    @record(table="streaks", key=("symbol",))
    class Mine:
        symbol: str

    @record(table="streaks", key=("symbol",))
    class Yours:
        symbol: str

    class One:
        @hookimpl
        def records(self) -> list[type]:
            return [Mine]

    class Two:
        @hookimpl
        def records(self) -> list[type]:
            return [Yours]

    plugins = Plugins()
    plugins.register("one", One())
    assert Mine in plugins.kinds()
    plugins.register("two", Two())
    with pytest.raises(ConfigError, match=r"Mine|Yours.*: table 'streaks' is already declared by"):
        plugins.kinds()


@pytest.mark.parametrize("table", ["bars", "symbols", "order_intents"])
def test_a_table_of_core_can_not_be_taken(table: str) -> None:
    @record(table=table, key=("symbol",))
    class Mine:
        symbol: str

    class Plugin:
        @hookimpl
        def records(self) -> list[type]:
            return [Mine]

    with pytest.raises(ConfigError, match=f"table '{table}' is already declared by"):
        registered(Plugin()).kinds()


def test_two_plugins_may_share_a_class() -> None:
    @record(table="streaks", key=("symbol",))
    class Shared:
        symbol: str

    class Plugin:
        @hookimpl
        def records(self) -> list[type]:
            return [Shared]

    plugins = Plugins()
    plugins.register("one", Plugin())
    plugins.register("two", Plugin())
    assert plugins.kinds().count(Shared) == 1


# -- decimal contexts ------------------------------------------------------------------------------


def in_place() -> None:
    decimal.getcontext().prec = 3


def by_traps() -> None:
    decimal.getcontext().traps[decimal.Inexact] = True


def by_rounding() -> None:
    decimal.getcontext().rounding = decimal.ROUND_UP


def by_another() -> None:
    decimal.setcontext(decimal.Context(prec=2))


@pytest.mark.parametrize("disturb", [in_place, by_traps, by_rounding, by_another])
@pytest.mark.parametrize("hook", ["on_bar", "on_equity", "on_order", "describe", "on_fill"])
def test_a_plugin_changes_nobody_elses_sums(disturb: Callable[[], None], hook: str) -> None:
    """Neither core's nor the next plugin's, and its own not beyond the call."""
    sums: list[Decimal] = []

    class Disturbing:
        @hookimpl(specname=hook, tryfirst=True)
        def disturb(self) -> None:
            sums.append(Decimal(2) / 3)
            disturb()

    class Summing:
        @hookimpl(specname=hook)
        def add(self) -> None:
            sums.append(Decimal(2) / 3)

    plugins = Plugins()
    plugins.register("disturbing", Disturbing())
    plugins.register("summing", Summing())
    plugins.check()
    event: Any = None
    calls: dict[str, Callable[[], object]] = {
        "on_bar": lambda: plugins.on_bar([event], Book()),
        "on_equity": lambda: plugins.on_equity(event, Book()),
        "on_order": lambda: plugins.on_order(event, Book()),
        "on_fill": lambda: plugins.on_fill(event, Book()),
        "describe": lambda: plugins.describe(Book()),
    }
    for _ in range(2):
        calls[hook]()
        sums.append(Decimal(2) / 3)
    assert sums == [Decimal("0.6666666666666666666666666667")] * 6


def test_a_plugin_that_raises_changes_no_sums_either() -> None:
    class Raising:
        @hookimpl
        def on_equity(self) -> None:
            in_place()
            raise ValueError("no")

    with pytest.raises(PluginError):
        registered(Raising()).on_equity(cast(Any, None), Book())
    assert Decimal(2) / 3 == Decimal("0.6666666666666666666666666667")


# -- what is looked at once ------------------------------------------------------------------------


def test_a_hook_that_is_replaced_in_its_class_is_checked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Mine:
        @hookimpl
        def on_bar(self, bar: Bar) -> None: ...

    class Other:
        @hookimpl
        def on_bar(self, baar: Bar) -> None: ...

    registered(Mine())
    monkeypatch.setattr(Mine, "on_bar", Other.on_bar)
    with pytest.raises(ConfigError, match="on_bar has no argument 'baar'"):
        registered(Mine())


def test_a_hook_may_be_kept_by_the_instance() -> None:
    class Mine:
        def __init__(self) -> None:
            self.on_bar = hookimpl(lambda bar: seen.append(bar))

        @hookimpl
        def lookback(self) -> int:
            return 7

    seen: list[Any] = []
    plugins = registered(Mine())
    plugins.on_bar(cast(Any, ["bar"]), Book())
    assert (seen, plugins.lookback()) == (["bar"], 7)


def test_a_subclass_switches_a_hook_off() -> None:
    class Mine:
        @hookimpl
        def on_bar(self, bar: Bar) -> None: ...

        @hookimpl
        def lookback(self) -> int:
            return 7

    class Quiet(Mine):
        on_bar: Any = None

    assert registered(Quiet()).bar_hooks == []
    assert registered(Quiet()).lookback() == 7
