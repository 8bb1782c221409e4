"""What `smabot data import` does: reads files, keeps their bars, and shows what came of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smabot.provider import ConfigError, listed
from smabot_exchange.data.bar_store import BarStore
from smabot_exchange.data.data_files import DataFiles
from smabot_exchange.data.file_layout import Hints
from smabot_exchange.data.store_folder import next_step
from smabot_exchange.data_report import SPLIT_REMEDY, wrapped
from smabot_exchange.store_import import FileImport, Rules, StoreImport, bad_rows

if TYPE_CHECKING:
    from smabot.api import App

COLUMNS = ("symbol", ">new", ">same", ">replaced", ">sessions")
_PICKLES = (".pkl", ".pickle")
_MOST_REMARKS = 10


def import_files(
    app: App, store: BarStore, names: Sequence[str], hints: Hints, rules: Rules
) -> int:
    """Import files and folders of them; returns the exit code. Raises ConfigError, and LockHeld."""
    files = [file for name in names for file in _files(name, hints)]
    done = StoreImport(store, hints, rules)
    with app.progress(2 * len(files)) as tell:
        done.check(files, tell)
        with store.lock():  # it makes the folder: where files are refused there is none
            done.keep(lambda number, text: tell(len(files) + number, text))
    head = f"{store.folder}: {sum(each.new for each in done.symbols.values()):,} new bars"
    remarks = (line for text in _remarks(store.folder, done.files) for line in wrapped(text))
    table = app.table(COLUMNS, _rows(done))
    app.emit(_data(store, done), [head, table, *remarks, *next_step(str(store.folder))])
    return 0


def _files(name: str, hints: Hints) -> list[Path]:
    if name.lower().endswith(_PICKLES):
        raise ConfigError(
            f"{name}: a pickle is not read, as it may run code: write the frame with to_csv or to_parquet"
        )
    return DataFiles(Path(name).expanduser(), hints.zone).files


def _rows(done: StoreImport) -> Iterator[list[str]]:
    for symbol, each in sorted(done.symbols.items()):
        counts = (each.new, each.same, each.replaced, len(each.days))
        yield [symbol, *(f"{count:,}" for count in counts)]


def _remarks(folder: Path, files: Sequence[FileImport]) -> Iterator[str]:
    if outside := sum(each.outside for each in files):
        yield f"{outside:,} rows outside the regular sessions left out"
    if others := sum(each.others for each in files):
        yield f"{others:,} rows of other symbols left out"
    wrong = [each.report for each in files if each.report.zone_doubt]
    for report in wrong[:_MOST_REMARKS]:
        yield (
            f"WRONG TIME ZONE? {report.path.name}: {report.zone_doubt}; before you import it again, remove the "
            f"files of its symbols from {folder}"
        )
    if counts := bad_rows(files):
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in counts.items())
        first = next(r for each in files for r in each.report.refusals.values())
        yield f"{counts.total():,} bad rows left out ({kinds}), first {first.first}"
    splits = [split for each in files for split in each.report.suspected.splits]
    yield from map(str, splits[:_MOST_REMARKS])
    if splits:
        yield SPLIT_REMEDY
    if jumps := [jump for each in files for jump in each.report.suspected.jumps]:
        names = listed(sorted({jump.symbol for jump in jumps}))
        yield f"{len(jumps):,} minutes with a price more than 10 times off ({names}): see `smabot data check`"


def _data(store: BarStore, done: StoreImport) -> dict[str, Any]:
    return {
        "data": str(store.folder),
        "files": [
            {
                "path": each.report.path, "rows": each.report.rows, "kept": each.kept,
                "outside_sessions": each.outside, "other_symbols": each.others,
                "bad": [asdict(refusal) for refusal in each.report.refusals.values()],
                "other_zone": each.report.zone_doubt.other and asdict(each.report.zone_doubt.other),
                "without_summer_time": bool(each.report.zone_doubt.without_summer_time),
                "suspected_splits": [asdict(split) for split in each.report.suspected.splits],
            }
            for each in done.files
        ],
        "symbols": [
            {
                "symbol": symbol, "new": each.new, "same": each.same, "replaced": each.replaced,
                "sessions": len(each.days),
            }
            for symbol, each in sorted(done.symbols.items())
        ],
    }  # fmt: skip
