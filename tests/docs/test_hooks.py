"""The hook reference tells every hook as it is, and its examples run."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from textwrap import dedent, indent
from types import SimpleNamespace
from typing import Any

import click
import pytest
from packaging.version import Version

import smabot
from smabot import api
from smabot.cli.installation_checks import plugin_findings
from smabot.domain.book import Book
from smabot.domain.bot_health import Health
from smabot.domain.bot_records import Command, Run
from smabot.domain.committed_steps import CommittedStep
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import (
    Account,
    Bar,
    EquityPoint,
    Fill,
    Order,
    OrderIntent,
    Position,
    Signal,
)
from smabot.domain.risk_answers import Veto
from smabot.domain.tables import record
from smabot.hooks import specifications as hookspecs
from smabot.hooks.findings import Finding
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.plugins import Plugins
from smabot.hooks.recovery_answers import Reconciliation, Recovery, RecoveryStep
from smabot.hooks.simulated_machine import SimulatedClient
from smabot.hooks.specifications import HOOKS
from smabot.settings.model import Config

D = Decimal
PAGE = Path(__file__).parents[2] / "docs" / "hooks.md"
NOW = datetime(2026, 3, 2, 15, 31, tzinfo=UTC)
BAR = Bar("SPY", datetime(2026, 3, 2, 15, 30, tzinfo=UTC), 500.0, 502.0, 499.0, 501.0, 1000.0)
RUN = Run("r", 1, "0.1", "streaks", "PAPER", NOW)
BUY = Order(
    "smabot-example-SPY-20260302T1530Z-1", "example", "SPY", Side.BUY, D(101), OrderType.MARKET,
    None, TimeInForce.DAY, BAR.time, 1, False, NOW,
)  # fmt: skip
FILL = Fill(BUY.client_order_id, D(5), "example", "SPY", Side.BUY, D(5), D(500), D(0), NOW, False)


@record(table="streaks", key=("symbol",))
class Streak:
    symbol: str
    days: Decimal = D(0)


def sections() -> dict[str, tuple[str, str]]:
    parts = re.split(r"^### (\w+)\n", PAGE.read_text(), flags=re.M)[1:]
    told = {}
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        blocks = re.findall(r"```python\n(.*?)```", text, re.S)
        assert len(blocks) == 2, f"{name}: a signature and an example"
        told[name] = (blocks[0].strip(), blocks[1].strip())
    return told


def example(hook: str) -> str:
    """Return the example in a hook's docstring."""
    doc = inspect.cleandoc(getattr(hookspecs, hook).__doc__)
    return dedent(doc[re.search(rf"^ *def {hook}\(", doc, re.M).start() :]).strip()  # type: ignore[union-attr]


def test_the_page_tells_every_hook_and_no_other() -> None:
    assert sorted(sections()) == sorted(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_told_with_its_exact_signature_and_example(hook: str) -> None:
    signature = str(inspect.signature(getattr(hookspecs, hook))).replace("'", "")
    assert sections()[hook] == (f"def {hook}{signature}", example(hook))


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_says_since_which_version_there_is_one(hook: str) -> None:
    doc = inspect.cleandoc(getattr(hookspecs, hook).__doc__)
    (since,) = re.findall(r"^Since (\d+\.\d+)\.$", doc, re.M)
    assert Version(since) <= Version(smabot.__version__)
    text = re.split(rf"^### {hook}\n", PAGE.read_text(), flags=re.M)[1]
    assert re.match(rf"\n```python\n[^`]*```\n\nSince {re.escape(since)}\.\n", text)


# -- the examples run ------------------------------------------------------------------------------


@click.command()
def streaks() -> None:
    """A command of a plugin."""


class Opened(tuple[Any, ...]):
    """What was opened with which arguments; it has whatever core needs of it."""

    def __getattr__(self, name: str) -> Any:
        return None


NAMES: dict[str, Any] = {
    **{name: getattr(api, name) for name in api.__all__},
    "Streak": Streak,
    "streaks": streaks,
    "MyJournal": lambda db, records: Opened(("journal", db, tuple(records))),
    "MyRows": lambda db, records: Opened(("rows", db, tuple(records))),
    "MyExchanges": lambda bars: Opened(("exchanges", bars)),
    "MyBroker": lambda paper: Opened(("broker", paper)),
    "MyFeed": lambda symbols: Opened(("feed", symbols)),
    "SimulatedClient": SimulatedClient,
}


@pytest.fixture
def plugins_with() -> Callable[[str], tuple[Plugins, Any]]:
    """Make a plugin of a hook's example and register it."""

    def make(hook: str) -> tuple[Plugins, Any]:
        source = f"class Example:\n    @hookimpl\n{indent(example(hook), '    ')}\n"
        if hook != "records":
            source += f"    @hookimpl\n{indent(example('records'), '    ')}\n"
        names = dict(NAMES)
        exec(compile(source, f"<example of {hook}>", "exec"), names)
        plugin = names["Example"]()
        plugin.settings = SimpleNamespace(slow=30)
        plugin.refused, plugin.peak = 0, D(0)
        plugins = Plugins()
        plugins.register("example", plugin)
        plugins.check()
        return plugins, plugin

    return make


@pytest.fixture
def book() -> Book:
    book = Book()
    book.now = NOW
    book.apply(Account("a", "exchange", D(1000), D(1000), NOW))
    book.apply(BAR)
    book.apply(Position("example", "SPY", D(5), D(2500), D(500), D(0), NOW))
    book.apply(Streak("SPY", D(3)))
    return book


def recovery(book: Book, orders: Sequence[Any] = ()) -> Recovery:
    broker: Any = SimpleNamespace(orders=lambda: list(orders))
    clock: Any = SimpleNamespace(now=lambda: NOW)
    return Recovery(Config(), book, MemoryJournal(), broker, clock, ("SPY",))


def records(plugins: Plugins, plugin: Any, book: Book) -> None:
    assert Streak in plugins.kinds()


def lookback(plugins: Plugins, plugin: Any, book: Book) -> None:
    assert plugins.lookback() == 31


def on_startup_recover(plugins: Plugins, plugin: Any, book: Book) -> None:
    answer = plugins.on_startup_recover(recovery(book))
    assert answer == [("example", RecoveryStep("1 streaks"))]


def on_bar(plugins: Plugins, plugin: Any, book: Book) -> None:
    ((name, decide),) = plugins.bar_hooks
    assert (name, decide(BAR, book)) == ("example", Signal.long(BAR))
    assert decide(BAR._replace(close=400.0), book) is None


def on_signal(plugins: Plugins, plugin: Any, book: Book) -> None:
    flat = replace(Signal.flat(BAR), strategy="example")
    assert plugins.on_signal(flat, book) == ("example", OrderIntent("SPY", Side.SELL, D(5)))
    assert plugins.on_signal(replace(flat, target=1), book) is None


def before_submit(plugins: Plugins, plugin: Any, book: Book) -> None:
    assert [c.reason for c in plugins.before_submit(BUY, book)] == ["more than 100 shares"]
    assert plugins.before_submit(replace(BUY, reduces=True), book) == []


def may_leave(plugins: Plugins, plugin: Any, book: Book) -> None:
    assert plugins.may_leave(BUY, book) == []
    assert plugins.may_leave(replace(BUY, symbol="IBM"), book) == [Veto("no streak any more")]


def on_order(plugins: Plugins, plugin: Any, book: Book) -> None:
    plugins.on_order(replace(BUY, status=Status.REJECTED), book)
    plugins.on_order(BUY, book)
    assert plugin.refused == 1


def on_fill(plugins: Plugins, plugin: Any, book: Book) -> None:
    plugins.on_fill(FILL, book)
    assert book.row(Streak, "SPY") == Streak("SPY", D(5))


def on_equity(plugins: Plugins, plugin: Any, book: Book) -> None:
    ((_, tell),) = plugins.equity_hooks
    tell(EquityPoint(NOW, D(3505), D(1000), D(2505), D(0)), book)
    assert plugin.peak == D(3505)


def on_command(plugins: Plugins, plugin: Any, book: Book) -> None:
    command = Command("1", "streaks reset", "", NOW)
    assert plugins.on_command(command, book) == ["streaks are reset"]
    assert plugins.on_command(replace(command, verb="other"), book) == []


def describe(plugins: Plugins, plugin: Any, book: Book) -> None:
    assert plugins.describe(book) == [("streaks", "1 symbols on a streak")]


def after_commit(plugins: Plugins, plugin: Any, book: Book) -> None:
    sent: list[tuple[str, int]] = []
    plugin.send = lambda text, key: sent.append((text, key))
    (tell,) = plugins.after_commit().values()
    assert tell(CommittedStep(7, fills=(FILL,)), "") is None
    assert sent == [("buy 5 SPY", 7)]


def receivers(plugins: Plugins, plugin: Any, book: Book) -> None:
    assert plugin.receivers() == ["mail", "phone"]
    assert plugins.after_commit() == {}  # it has nothing to tell them


def on_health(plugins: Plugins, plugin: Any, book: Book) -> None:
    pinged: list[tuple[str, str]] = []
    plugin.ping = lambda path, text: pinged.append((path, text))
    (tell,) = plugins.on_health().values()
    fine = Health("trading", NOW, 1.0, 7, "0.1.0", "PAPER", NOW)
    tell(fine)
    tell(replace(fine, reasons=("halted: lunch", "no bar for 4 minutes")))
    assert pinged == [("", ""), ("/fail", "halted: lunch; no bar for 4 minutes")]


def on_start(plugins: Plugins, plugin: Any, book: Book) -> None:
    plugin.connect = lambda run_id: SimpleNamespace(of=run_id)
    plugins.on_start(RUN)
    assert plugin.socket.of == "r"


def on_stop(plugins: Plugins, plugin: Any, book: Book) -> None:
    closed: list[int] = []
    plugin.socket = SimpleNamespace(close=lambda: closed.append(1))
    plugins.on_stop(RUN)
    assert closed == [1]


def diagnose(plugins: Plugins, plugin: Any, book: Book) -> None:
    assert list(plugin_findings(Config(symbols=("SPY",)), plugins)) == [
        Finding.ok("streaks", "watches 1 symbols")
    ]
    (finding,) = plugin_findings(Config(), plugins)
    assert (finding.level, finding.exit_code) == ("failure", 3)


def reconcile(plugins: Plugins, plugin: Any, book: Book) -> None:
    order = SimpleNamespace(update=lambda: "update")
    found = plugins.reconcile(recovery(book, [order]))
    assert found == Reconciliation(updates=("update",))  # type: ignore[arg-type]


def open_journal(plugins: Plugins, plugin: Any, book: Book) -> None:
    opened: Any = plugins.open_journal(Config())
    assert opened == ("journal", Config().db, plugins.kinds())


def open_rows(plugins: Plugins, plugin: Any, book: Book) -> None:
    opened: Any = plugins.open_rows(Config())
    assert opened == ("rows", Config().db, plugins.kinds())


def open_broker(plugins: Plugins, plugin: Any, book: Book) -> None:
    paper: Any = plugins.open_broker(Config())
    live: Any = plugins.open_broker(Config(live=True))
    assert (paper, live) == (("broker", True), ("broker", False))


def open_feed(plugins: Plugins, plugin: Any, book: Book) -> None:
    opened: Any = plugins.open_feed(Config(symbols=("SPY",)))
    assert opened == ("feed", ("SPY",))


def simulated_exchanges(plugins: Plugins, plugin: Any, book: Book) -> None:
    assert plugins.simulated_exchanges(Config(), []) == ("exchanges", [])


def simulated_client(plugins: Plugins, plugin: Any, book: Book) -> None:
    machine: Any = object()
    made = plugins.simulated_client(Config(), machine)
    assert (made.broker, made.feed) == (("broker", machine), ("feed", machine))


def account_files(plugins: Plugins, plugin: Any, book: Book) -> None:
    assert plugins.account_files(Config(), "mine") == [Config().ledger_path]
    assert plugins.account_files(Config(), "another") == []


def register_commands(plugins: Plugins, plugin: Any, book: Book) -> None:
    assert plugins.commands(taken=()) == {"streaks": streaks}


@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_of_a_hook_does_what_its_description_says(
    hook: str, plugins_with: Callable[[str], tuple[Plugins, Any]], book: Book
) -> None:
    globals()[hook](*plugins_with(hook), book)
