"""Pruning keeps the committed steps that a plugin is still to be told of."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from smabot.domain.bot_records import BotState, StepRow
from smabot.domain.committed_steps import TOLD_UNTIL
from smabot_persistence_sqlite.journal import SqliteJournal
from smabot_persistence_sqlite.pruning import prune_database


@pytest.mark.parametrize(("places", "left"), [((), 20), ((12, 25), 18), ((30,), 1), ((0,), 20)])
def test_steps_are_kept_until_all_plugins_were_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: tuple[int, ...], left: int
) -> None:
    monkeypatch.setattr("smabot_persistence_sqlite.pruning.MOST_BEHIND", 20)
    db = tmp_path / "trades.db"
    with closing(SqliteJournal.open(db)) as journal:
        at = datetime(2026, 3, 2, 17, tzinfo=UTC)
        journal.commit([StepRow(number, at, "{}") for number in range(1, 31)])
        journal.commit([BotState(f"p{each}", TOLD_UNTIL, str(each)) for each in places])
    prune_database(db, before=date(2026, 3, 2))
    with closing(SqliteJournal.open(db)) as journal:
        assert journal.count(StepRow) == 30
    prune_database(db, before=date(2026, 3, 3))
    with closing(SqliteJournal.open(db)) as journal:
        assert journal.count(StepRow) == left
        assert journal.rows(StepRow)[-1].number == 30
