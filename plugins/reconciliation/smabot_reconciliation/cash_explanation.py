"""What explains a difference in cash: the broker's activities, and what they explain later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from smabot.provider import ZERO, Adjustment, Book, CashMovement
from smabot_reconciliation.adjustments import cash_adjustments

EXPLAINED_LATER = "explained by the broker's activities now: adopted before without them"


@dataclass(frozen=True, slots=True)
class ExplainedCash:
    """``booked``: what activities explain; ``adopted``: the rest, which an operator may adopt."""

    booked: tuple[CashMovement | Adjustment, ...] = ()
    adopted: tuple[Adjustment, ...] = ()


def explain_cash(
    after: Book,
    cash: Decimal,
    movements: Sequence[CashMovement],
    unexplained: Callable[[], Decimal],
    now: datetime,
) -> ExplainedCash:
    """Explain the broker's cash by movements that are not booked yet; the book has all else.

    ``unexplained`` gives the cash that was adopted without an explanation so far. A movement whose cash was
    adopted before takes that back: it counts once.
    """
    rest = cash - moved_cash(movements)
    left = cash_adjustments(after, rest, now)
    if not (left and movements):
        return ExplainedCash(tuple(movements), left)
    back, before = left[0].cash, unexplained()
    if back * before < 0 and abs(back) <= abs(before):
        taken_back = Adjustment(now, "", "", ZERO, ZERO, EXPLAINED_LATER, back)
        return ExplainedCash((*movements, taken_back))
    return ExplainedCash(tuple(movements), left)


def moved_cash(movements: Sequence[CashMovement]) -> Decimal:
    """Return the cash of all movements together, US dollars."""
    return sum((each.amount for each in movements if each.counted), ZERO)
