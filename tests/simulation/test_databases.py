"""The simulated journal keeps what a real database keeps: the same schedules on both, table by table."""

from __future__ import annotations

from pathlib import Path

import pytest

from smabot.testing.simulation.databases import MemoryDatabase
from smabot.testing.simulation.schedule import Schedule
from smabot.testing.simulation.setup import Setup
from smabot.testing.table_comparison import first_difference, tables_of

pytestmark = pytest.mark.plugins


def kills_on_both(setup: Setup, seed: int, path: Path) -> int:
    schedule = setup.draw.schedule(seed)
    memory, file = MemoryDatabase(), setup.file_database(path)
    results = [setup.world(schedule, database).run() for database in (memory, file)]
    assert [result.violation for result in results] == [None, None]
    assert results[0].kills == results[1].kills
    assert results[0].trace == [line.replace(str(path), "memory") for line in results[1].trace]
    said = ("memory", "the file")
    assert first_difference(tables_of(memory), tables_of(file), said) is None
    assert memory.bars == file.bars != []
    return len(results[0].kills)


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_a_file_ends_with_the_same_tables_as_memory(setup: Setup, seed: int, folder: Path) -> None:
    assert kills_on_both(setup, seed, folder / "t.db") > 10


@pytest.mark.slow(seconds=50)
def test_many_files_end_with_the_same_tables_as_memory(setup: Setup, folder: Path) -> None:
    kills = [kills_on_both(setup, seed, folder / f"{seed}.db") for seed in range(20, 40)]
    assert sum(kills) > 300


def test_rows_that_are_lost_in_the_file_are_found(setup: Setup, folder: Path) -> None:
    memory, file = MemoryDatabase(), setup.file_database(folder / "t.db")
    schedule = Schedule(0, far=False, minutes=30, actions=())  # no start finds the row missing
    setup.world(schedule, memory).run()
    lost = []
    open_journal = file.open

    def forgetful(records):  # type: ignore[no-untyped-def]
        journal = open_journal(records)
        commit = journal.commit

        def lose_one(rows, bars=()):  # type: ignore[no-untyped-def]
            if len(bars) > 1 and not lost:
                lost.append(bars[-1])
                bars = bars[:-1]
            commit(rows, bars)

        journal.commit = lose_one
        return journal

    file.open = forgetful  # type: ignore[method-assign]
    setup.world(schedule, file).run()
    assert lost
    assert first_difference(tables_of(memory), tables_of(file)) is not None


def test_a_second_process_can_not_open_the_file(setup: Setup, folder: Path) -> None:
    file = setup.file_database(folder / "t.db")
    journal = file.open(())
    with pytest.raises(Exception, match="use another --db"):
        setup.file_database(folder / "t.db").open(())
    journal.close()
    setup.file_database(folder / "t.db").open(()).close()
