"""The files of a report: the page and the folder of CSV files, neither of which overwrites anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smabot.cli.new_files import refuse_to_overwrite, write_new_files
from smabot.cli.output import csv_text
from smabot.cli.records.equity_history import points
from smabot.cli.records.record_filters import Span
from smabot.cli.report.report_values import CHECKS, ORDERS, PERIODS, TRADES, report_rows
from smabot.domain.records import EquityPoint, Fill
from smabot.errors import ConfigError

if TYPE_CHECKING:
    from smabot.cli.report.report_data import Report

CSV_FILES = (
    "trades.csv", "fills.csv", "orders.csv", "days.csv", "months.csv", "checks.csv", "equity.csv",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """Where a report is to be written; None: not there. ``command`` is the command that writes it."""

    command: str
    html: Path | None = None
    folder: Path | None = None

    def __bool__(self) -> bool:
        return self.html is not None or self.folder is not None

    def require_new(self) -> None:
        """Raise ConfigError where one of the files is there already or can't be, before anything is computed."""
        if self.html is not None:
            if self.html.is_dir():
                raise ConfigError(
                    f"--html {self.html}: is a folder: nothing was written; give a file's name, as "
                    f"`smabot {self.command} --html {self.html / 'report.html'}`"
                )
            refuse_to_overwrite(self.html.parent, [self.html], *self._other_page)
        if self.folder is not None:
            files = [self.folder / name for name in CSV_FILES]
            refuse_to_overwrite(self.folder, files, *self._other_folder)

    def write_page(self, text: str) -> list[Path]:
        """Write the page; raises ConfigError as `write_new_files` does."""
        assert self.html is not None
        return write_new_files(self.html.parent, {self.html.name: text}, *self._other_page)

    def write_csv(self, report: Report, rows: Any, span: Span) -> list[Path]:
        """Write the folder; raises ConfigError as `write_new_files` does."""
        assert self.folder is not None
        texts = dict(zip(CSV_FILES, _csv_texts(report, rows, span), strict=True))
        return write_new_files(self.folder, texts, *self._other_folder)

    @property
    def _other_page(self) -> tuple[str, str]:
        return f"smabot {self.command} --html other.html", "file"

    @property
    def _other_folder(self) -> tuple[str, str]:
        return f"smabot {self.command} --csv other", "folder"


def _csv_texts(report: Report, rows: Any, span: Span) -> Iterator[str]:
    """Yield the texts of `CSV_FILES`."""
    found = report_rows(report)
    yield csv_text(TRADES, found["trades"])
    yield csv_text(Fill, report.performance.fills)
    yield csv_text(ORDERS, found["orders"])
    yield csv_text(PERIODS, found["days"])
    yield csv_text(PERIODS, found["months"])
    yield csv_text(CHECKS, found["checks"])
    yield csv_text(EquityPoint, points(rows, span))
