"""A rule against losses that breaks the promise which its setting names; without one it keeps them all."""

from decimal import Decimal

from smabot.api import Block, Book, EquityPoint, Order, Settings, Veto, hookimpl, record


class RuleSettings(Settings):
    breaks: str = ""


@record(table="unsafe_rule", key=("name",))
class Worst:
    name: str
    lost: Decimal


class UnsafeRule:
    def __init__(self, settings: RuleSettings) -> None:
        self.breaks = settings.breaks
        self.lost = Decimal(0)

    @hookimpl
    def records(self) -> list[type]:
        return [Worst]

    @hookimpl
    def on_equity(self, point: EquityPoint, book: Book) -> None:
        lost = book.account.opening_cash - point.equity
        if lost > self.worst(book) and self.breaks != "blocks":
            self.lost = lost
            if self.breaks != "holds":
                book.apply(Worst("main", lost))
        if self.breaks == "scope" and self.worst(book) > 200:
            book.apply(Block("unsafe_rule", "all", "lost more than 200", point.time))

    @hookimpl
    def before_submit(self, order: Order, book: Book) -> Veto | None:
        return self.objection(order, book)

    @hookimpl
    def may_leave(self, order: Order, book: Book) -> Veto | None:
        return None if self.breaks == "asked-again" else self.objection(order, book)

    def objection(self, order: Order, book: Book) -> Veto | None:
        if order.reduces and self.breaks != "exits-pass":
            return None
        try:
            worst = self.worst(book)
        except RuntimeError:
            if self.breaks != "fails-closed":
                raise
            return None
        return Veto("lost more than 200") if worst > 200 else None

    def worst(self, book: Book) -> Decimal:
        if self.breaks == "holds":
            return self.lost
        row = book.row(Worst, "main")
        return row.lost if row else Decimal(0)
