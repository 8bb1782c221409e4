"""Deposits, withdrawals and other external cash: no profit or loss, so every baseline moves along with it."""

from __future__ import annotations

from decimal import Decimal

from smabot.api import ZERO, Book


def opening_cash(book: Book) -> Decimal | None:
    """Return the account's opening cash, with external cash since; None: no account is bound yet."""
    return book.account.opening_cash if book.account is not None else None


def external_cash_since(before: Decimal | None, book: Book) -> Decimal:
    """Return the external cash since the opening cash was ``before``; a withdrawal is negative.

    0 where ``before`` or the opening cash is unknown.
    """
    now = opening_cash(book)
    return now - before if now is not None and before is not None else ZERO
