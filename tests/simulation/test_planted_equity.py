"""Each point of the equity curve is right, at once and not only in the end: each fault spoils some of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from smabot.domain.book import Book
from smabot.domain.records import Fill
from smabot.domain.valuation import Valuation
from smabot.engine.mark_to_market import MarkToMarket
from smabot.engine.start import opening

pytestmark = [pytest.mark.plugins, pytest.mark.slow]


def cash_of_the_point_before(plant: Any) -> None:
    """A point has the cash that was there when the one before it was made."""

    def make(original: Any) -> Any:
        def marking(self: Any, time: datetime, **how: bool) -> None:
            book, account = self._book, self._book.account
            book.account = getattr(self, "_account_before", account)
            self._account_before = account
            try:
                original(self, time, **how)
            finally:
                book.account = account

        return marking

    plant.instead(MarkToMarket, "_mark", make)


def positions_at_the_price_before(plant: Any) -> None:
    """What is held is worth what it was when it last changed."""
    plant.never(Valuation, "note_new_prices")


def a_fill_is_paid_for_again_by_a_restart(plant: Any) -> None:
    """A start takes what the newest fill has cost out of the cash once more."""

    def make(original: Any) -> Any:
        def restoring(book: Book, rows: Any, plugins: Any) -> None:
            original(book, rows, plugins)
            for fill in rows.rows(Fill, newest_by="time", limit=1):
                if book.account is not None:
                    paid = fill.qty * fill.price * fill.side.sign
                    book.account = replace(book.account, cash=book.account.cash - paid)

        return restoring

    plant.instead(opening, "restore_book", make)


FAULTS = (
    cash_of_the_point_before,
    positions_at_the_price_before,
    a_fill_is_paid_for_again_by_a_restart,
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_planted_fault_is_found(plant: Any, fault: Any) -> None:
    fault(plant)
    assert plant.is_found(["bar repeated"]).rule == "3 equity"
