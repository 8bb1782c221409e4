"""Plugins that a type checker finds nothing in."""

from __future__ import annotations

from typing import assert_type

import click

from smabot.api import (
    App,
    Bar,
    Block,
    Book,
    Check,
    Command,
    EquityPoint,
    Fill,
    Order,
    OrderIntent,
    Recovery,
    RecoveryStep,
    Rule,
    Settings,
    Side,
    Signal,
    Strategy,
    Veto,
    hookimpl,
    record,
)
from smabot.provider import Broker, Config, Feed, Provider, Reconciliation
from smabot.testing import Book as WholeBook
from smabot.testing import FakeBot, FakeExchange


class RisingSettings(Settings):
    bars: int = 3


@record(table="rising", key=("symbol",))
class Rising:
    symbol: str
    count: int = 0


class FewArguments(Strategy):
    """Hooks take what they need, in any order."""

    def __init__(self, settings: RisingSettings) -> None:
        self.settings = settings

    @hookimpl
    def records(self) -> list[type]:
        return [Rising]

    @hookimpl
    def lookback(self) -> int:
        return self.settings.bars

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        return Signal.long(bar) if bar.close > bar.open else None

    @hookimpl(tryfirst=True)
    def on_signal(self, book: Book, signal: Signal) -> OrderIntent | None:
        held = book.holding(signal.strategy, signal.symbol)
        return OrderIntent(signal.symbol, Side.SELL, held) if held else None

    @hookimpl
    def on_order(self, order: Order) -> None:
        print(order.status)

    @hookimpl
    def on_fill(self) -> None:
        pass

    @hookimpl
    def describe(self, book: Book) -> tuple[str, str]:
        return "rising", f"{len(book.table(Rising))}"

    @hookimpl
    def register_commands(self, cli: click.Group) -> None:
        cli.add_command(rising)

    def of_its_own(self, anything: float) -> float:
        return anything


class Both(Strategy, Rule):
    """A strategy that is a rule, too."""

    @hookimpl
    def on_bar(self, bar: Bar, book: Book) -> list[Signal]:
        return [Signal.flat(bar)] if book.price(bar.symbol) is None else []

    @hookimpl
    def before_submit(self, order: Order, book: Book) -> Veto | list[Check] | None:
        return [Check("both", book.equity() > 0)]

    @hookimpl
    def may_leave(self, order: Order) -> Veto | None:
        return None if order.reduces else Veto("no")

    @hookimpl
    def on_equity(self, point: EquityPoint, book: Book) -> None:
        book.apply(Block("both", "entries", "because", book.now))

    @hookimpl
    def on_fill(self, fill: Fill, book: Book) -> None:
        row = book.row(Rising, fill.symbol)
        assert_type(row, Rising | None)

    @hookimpl
    def on_command(self, command: Command) -> str | None:
        return command.verb

    @hookimpl
    def on_startup_recover(self, recovery: Recovery) -> RecoveryStep | None:
        return RecoveryStep(f"{reads(recovery.book)}")


class Bare:
    """Without a base class, as ever."""

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        return Signal.long(bar)


class Connects(Provider):
    @hookimpl
    def open_broker(self, config: Config) -> Broker | None:
        return None

    @hookimpl
    def open_feed(self, config: Config) -> Feed | None:
        return None

    @hookimpl
    def reconcile(self, recovery: Recovery) -> Reconciliation:
        return Reconciliation()


@click.command()
@click.pass_obj
def rising(app: App) -> None:
    with app.rows() as rows:
        found = rows.rows(Rising)
    app.emit({"rising": len(found)}, [row.symbol for row in found])


def reads(book: Book) -> int:
    return len(book.open_orders()) + len(book.positions) + len(book.copy().signals)


def test(bars: list[Bar]) -> None:
    book = Book()
    book.apply(bars[0])
    Bare().on_bar(bars[0])
    whole = WholeBook()
    whole.now = bars[0].time
    Both().on_bar(bars[0], whole)
    bot = FakeBot(FakeExchange(bars), both=Both)
    bot.play(until=None)
    with bot.started() as engine:
        reads(engine.book)
    assert_type(bot.rows(Rising), list[Rising])
