"""Mistakes that a type checker finds, each on a line marked with it."""

from __future__ import annotations

from smabot.api import Bar, Book, Order, Rule, Settings, Signal, Strategy, Veto, hookimpl
from smabot.provider import Config, Feed, Provider, Recovery


class WrongAnswers(Strategy, Rule):
    @hookimpl
    def on_bar(self, bar: Bar) -> int:  # wrong
        return 1

    @hookimpl
    def lookback(self) -> str:  # wrong
        return "30"

    @hookimpl
    def before_submit(self, order: Order) -> bool:  # wrong
        return True

    @hookimpl
    def may_leave(self, order: Order) -> Veto | None:
        return "no"  # wrong

    @hookimpl
    def describe(self, book: Book) -> str:  # wrong
        return ""


class WrongProvider(Provider):
    @hookimpl
    def open_broker(self, config: Config) -> Feed | None:  # wrong
        return None


class Changes(Strategy):
    @hookimpl
    def on_bar(self, bar: Bar, book: Book) -> Signal | None:
        book.account = None  # wrong
        book.now = bar.time  # wrong
        book.cash = 1  # wrong
        book.last[bar.symbol] = bar  # wrong
        del book.positions["a", "b"]  # wrong
        book.drain()  # wrong
        book.restore([])  # wrong
        book.apply_bars([bar])  # wrong
        with book.replaying():  # wrong
            pass
        return Signal.long(bar, 3)  # wrong

    @hookimpl
    def on_startup_recover(self, recovery: Recovery) -> None:
        recovery.book.drain()  # wrong
        recovery.book.account.cash = 5  # wrong
        recovery.symbols = ()  # wrong


class WrongSettings(Settings):
    bars: int = "three"  # wrong
