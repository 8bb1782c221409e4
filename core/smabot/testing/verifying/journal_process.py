"""A process that commits to a journal without end, for a parent that kills it."""

from __future__ import annotations

import json
import sys
from decimal import Decimal

from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import Side
from smabot.domain.records import Bar
from smabot.testing.sample_records import OPEN
from smabot.testing.verifying.trial_rows import TrialRow

CHILD = "from smabot.testing.verifying.journal_process import main; main()"


def batch(number: int) -> tuple[list[TrialRow], list[Bar]]:
    """Return what the commit of that number writes."""
    rows = [
        TrialRow(name, number, Decimal(number), 0.5, True, OPEN, OPEN.date(), Side.BUY)
        for name in "abcdefgh"
    ]
    return rows, [Bar("SPY", OPEN + number * MINUTE, 1.0, 1.0, 1.0, 1.0, 1.0)]


def main() -> None:
    """Commit batch after batch; print each one's number when its commit has returned."""
    from smabot.testing.verifying.subject import from_description

    subject = from_description(json.loads(sys.argv[1]))
    journal = subject.alone(with_trial_rows=True).open_journal(subject.config)
    assert journal is not None
    number = 0
    while True:
        journal.commit(*batch(number))
        print(number, flush=True)
        number += 1
