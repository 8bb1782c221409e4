"""What `smabot data check` finds: each file on its own, and what their bars are together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from smabot.provider import ActionKind, Bar, ConfigError, CorporateAction, SuspectedSplit
from smabot_exchange.data.coverage import Coverage, CoverageCount
from smabot_exchange.data.data_files import DataFiles
from smabot_exchange.data.file_check import FileCheck, FileReport
from smabot_exchange.data.file_layout import Hints
from smabot_exchange.ledger.data_import import DataImport

_MOST_ACTIONS = 5
"""So many are named."""


@dataclass
class DataReport:
    """What smabot would make of a data file or a folder of them."""

    spec: str
    hints: Hints
    files: list[FileReport]
    notes: list[str] = field(default_factory=list)
    """As the import tells them."""
    problem: str = ""
    """What the import would refuse, where no row of a file is at fault."""
    sessions: int = 0
    minutes: int = 0
    symbols: dict[str, Coverage] = field(default_factory=dict)
    """What of the calendar each symbol's bars cover."""

    actions: tuple[CorporateAction, ...] = ()
    """What the data list."""

    def lists(self, split: SuspectedSplit) -> bool:
        """Whether what looks like a split is one that the data list."""
        return any(
            (each.symbol, each.ex_date, each.kind) == (split.symbol, split.date, ActionKind.SPLIT)
            for each in self.actions
        )

    @property
    def sound(self) -> bool:
        """Whether it can be imported, and without hints for that alone be replayed."""
        return not self.problem and not any(report.refusals for report in self.files)


def check_files(source: DataFiles, hints: Hints) -> DataReport:
    """Read all files to their end. Changes nothing."""
    latest: dict[str, Bar] = {}
    checks = [FileCheck(file, hints, latest) for file in source.files]

    def bars() -> Iterator[Bar]:
        for check in checks:
            yield from check.bars()

    try:
        actions, bad_list = source.actions(), ""
    except ConfigError as error:
        actions, bad_list = (), str(error)
    intake = DataImport(source.label, source.stored_label, actions)
    counts: dict[str, CoverageCount] = defaultdict(CoverageCount)
    for stamp, symbol, *_ in intake.rows(bars()):
        counts[symbol].add(stamp)
    report = DataReport(
        str(source.path), hints, [check.report for check in checks], problem=bad_list,
        actions=tuple(each.action for each in actions),
    )  # fmt: skip
    refused = any(each.refusals for each in report.files)
    try:
        sessions = intake.finish()
    except ConfigError as error:
        if not refused:
            report.problem = str(error).removeprefix(f"{source.label}: ")
    else:
        report.sessions = sum(played for _, played in sessions)
        report.minutes = len(intake.minutes)
        report.notes = intake.notes()[1:]
        report.symbols = {symbol: counts[symbol].coverage() for symbol in sorted(counts)}
    return report


def as_json(report: DataReport) -> dict[str, Any]:
    """Return a report as ``--json`` prints it; times are UTC."""
    return {
        "data": report.spec,
        "can_be_replayed": report.sound and not report.hints.for_import,
        "can_be_imported": report.sound,
        "problem": report.problem or None,
        "sessions": report.sessions,
        "minutes": report.minutes,
        "notes": report.notes,
        "corporate_actions": [action_as_json(each) for each in report.actions],
        "symbols": [{"symbol": name, **asdict(each)} for name, each in report.symbols.items()],
        "files": [_file_as_json(each, report) for each in report.files],
    }


def action_as_json(action: CorporateAction) -> dict[str, Any]:
    """Return what the data say of an action."""
    return {
        "symbol": action.symbol,
        "ex_date": action.ex_date,
        "kind": action.kind.value,
        "new_shares": action.new_shares,
        "old_shares": action.old_shares,
        "new_symbol": action.new_symbol or None,
    }


def listed_actions(actions: Sequence[CorporateAction]) -> str:
    """Return how many there are, and the first of them."""
    first = "; ".join(each.text for each in actions[:_MOST_ACTIONS])
    more = f"; {len(actions) - _MOST_ACTIONS} more" if len(actions) > _MOST_ACTIONS else ""
    return f"{len(actions)} listed: {first}{more}"


def _file_as_json(report: FileReport, data: DataReport) -> dict[str, Any]:
    return {
        "path": report.path,
        "kind": report.format.kind,
        "symbols": sorted(report.symbols),
        "symbol_from": report.format.symbol_from,
        "rows": report.rows,
        "columns": dict(report.format.columns),
        "ignored": list(report.format.ignored),
        "times": report.times,
        "first": report.first,
        "last": report.last,
        "newest_first": report.format.newest_first,
        "other_zone": report.zone_doubt.other and asdict(report.zone_doubt.other),
        "without_summer_time": bool(report.zone_doubt.without_summer_time),
        "ends_of_minutes": report.ends_of_minutes,
        "splits": [str(each) for each in report.suspected.splits],
        "suspected_splits": [
            {**asdict(each), "listed": data.lists(each)} for each in report.suspected.splits
        ],
        "price_jumps": [asdict(each) for each in report.suspected.jumps],
        "price_spikes": [asdict(each) for each in report.suspected.spikes],
        "rows_in_session_by_zone": report.zones or None,
        "refused": [
            {"kind": each.kind, "rows": each.count, "first": each.first}
            for each in report.refusals.values()
        ],
    }
