"""The screen of `smabot data check`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from shutil import get_terminal_size
from typing import TYPE_CHECKING

from smabot.provider import listed
from smabot_exchange.data.data_files import DataFiles
from smabot_exchange.data.data_source import open_data
from smabot_exchange.data.file_check import FileReport
from smabot_exchange.data.file_layout import Hints
from smabot_exchange.data.store_folder import next_step
from smabot_exchange.data_check import DataReport, as_json, check_files, listed_actions

if TYPE_CHECKING:
    from smabot.api import App

_WIDEST = 80
_INDENT = 12
_LONG_GAP = 30
"""Minutes in a row without a bar that are worth a look."""
SPLIT_REMEDY = (
    "smabot adjusts no prices: over a split that is not listed a position seems to lose or to win. List it in "
    "corporate_actions.csv, as `smabot data fetch` does, or take adjusted bars"
)
_MOST_FILES = 10
"""More files than these are shown in full only where something is to be said of them."""


def show_check(app: App, spec: str, hints: Hints) -> int:
    """Show what smabot makes of data; returns the exit code. Raises ConfigError where nothing is there."""
    source = open_data(spec, hints.zone)
    if not isinstance(source, DataFiles):
        sessions, symbols, bars = _simulated(source)
        data = {
            "data": spec, "can_be_replayed": True, "problem": None, "sessions": len(sessions),
            "symbols": sorted(symbols), "bars": bars, "files": [],
        }  # fmt: skip
        lines = [
            f"{spec}: can be replayed",
            *_line("symbols", f"{len(symbols)}: {listed(sorted(symbols))}"),
            *_line("sessions", f"{len(sessions)}, from {sessions[0]} to {sessions[-1]}"),
            *_line("bars", f"{bars:,}, artificial: made from a seed, not by a market"),
        ]
        app.emit(data, "\n".join(lines))
        return 0
    report = check_files(source, hints)
    lines = [*_screen(app, report)]
    if report.sound and hints.for_import:
        lines += ["import it", f"  smabot data import {shlex.quote(spec)}{hints.options}"]
    elif report.sound:
        lines += next_step(spec, hints.options)
    app.emit(as_json(report), "\n".join(lines))
    return 0 if report.sound else 3


def _screen(app: App, report: DataReport) -> Iterator[str]:
    what = "imported" if report.hints.for_import else "replayed"
    verdict = "can be" if report.sound else "can't be"
    yield f"{report.spec}: {verdict} {what}"
    many = len(report.files) > _MOST_FILES
    for each in report.files:
        if many and not each.refusals:
            yield f"{each.path.name}: {_in_short(app, each)}"
        else:
            if len(report.files) > 1:
                yield each.path.name
            yield from _file(app, each)
        yield from _remarks(app, each, report)
        for refusal in each.refusals.values():
            count = f"{refusal.count:,} rows, first " if refusal.count > 1 else ""
            yield from _line("refused", f"{count}{refusal.first}")
    if len(report.files) > 1:
        yield "all files"
    if report.sessions:
        yield from _line("sessions", f"{report.sessions:,}, with {report.minutes:,} minutes")
    for note in report.notes:
        yield from _line("note", note)
    yield from _gaps(app, report)
    if report.actions:
        yield from _line("actions", listed_actions(report.actions))
    if any(not report.lists(split) for each in report.files for split in each.suspected.splits):
        yield from _line("note", SPLIT_REMEDY)
    if report.problem:
        yield from _line("refused", report.problem)


def _gaps(app: App, report: DataReport) -> Iterator[str]:
    """Yield a line for each symbol that lacks what others have, or many minutes in a row."""
    all_missing = [set(each.missing) for each in report.symbols.values()]
    absent = set.intersection(*all_missing) if all_missing else set()
    lines = []
    for symbol, each in report.symbols.items():
        if missing := [day for day in each.missing if day not in absent]:
            lines.append(
                f"{symbol}: no bar in {len(missing):,} of the others' sessions, the first {missing[0]}, the last "
                f"{missing[-1]}: get them by `smabot data fetch` or `import`, unless it did not trade"
            )
        if each.longest is not None and each.longest.minutes >= _LONG_GAP:
            lines.append(
                f"{symbol}: no bar for {each.longest.minutes} minutes from "
                f"{app.times.full(each.longest.start)}: a halt, a thin share, or lost rows: get that day again"
            )
    if len(lines) > _MOST_FILES:
        lines[_MOST_FILES:] = [f"{len(lines) - _MOST_FILES} more; --json has all"]
    for line in lines:
        yield from _line("gap?", line)


def _file(app: App, report: FileReport) -> Iterator[str]:
    if report.format.kind:
        yield from _line("format", report.format.kind)
    if report.format.columns:
        pairs = (
            name if name.casefold() == meaning else f"{meaning} from {name}"
            for meaning, name in report.format.columns
        )
        yield from _line("columns", ", ".join(pairs))
    if report.format.ignored:
        yield from _line("ignored", listed([name or "(no name)" for name in report.format.ignored]))
    if report.symbols:
        yield from _line("symbols", _symbols(report))
    if report.times:
        yield from _line("times", report.times)
    if report.first is not None:
        yield from _line("minutes", _span(app, report))
    yield from _line("rows", f"{report.rows:,}")


def _remarks(app: App, report: FileReport, data: DataReport) -> Iterator[str]:
    if report.format.newest_first:
        yield from _line("note", "the newest row comes first: read from the end")
    if report.zones:
        counts = ", ".join(f"{count:,} as {zone}" for zone, count in report.zones.items())
        text = f"of {report.rows:,} rows these would lie in a regular session: {counts}"
        yield from _line("zone", f"{text}; say which it is with --data-zone")
    if report.zone_doubt:
        yield from _line("zone?", str(report.zone_doubt))
    if report.ends_of_minutes:
        text = (
            "sessions run from 09:31 to 16:00 New York: these times seem to be the ENDS of the minutes. "
            "smabot takes them for starts: `smabot data import --ends-of-minutes` takes a minute off each"
        )
        yield from _line("note", text)
    for split in report.suspected.splits:
        known = " It is listed among the corporate actions" if data.lists(split) else ""
        yield from _line("split?", f"{split}{known}")
    if report.suspected.spikes:
        spike, number = report.suspected.spikes[0], len(report.suspected.spikes)
        more = f"{number:,} minutes with such a price, first " if number > 1 else ""
        yield from _line(
            "spike?",
            f"{more}{spike.symbol} {app.times.full(spike.time)}: {spike.price:g}, and {spike.before:g} in the "
            "minutes beside it: a wrong price? Mend the row or leave it out, else stops may fill at it",
        )
    if report.suspected.jumps:
        first, count = report.suspected.jumps[0], len(report.suspected.jumps)
        others = f"{count:,} minutes with such a jump, first " if count > 1 else ""
        yield from _line(
            "jump?",
            f"{others}{first.symbol} {app.times.full(first.time)}: {first.price:g} after {first.before:g}, "
            "more than 10 times off: a wrong price?",
        )


def _symbols(report: FileReport) -> str:
    names = sorted(report.symbols)
    if report.format.symbol_from == "option":
        return f"{names[0]}, from --symbol"
    if report.format.symbol_from != "column":
        return f"{names[0]}, from the file's {report.format.symbol_from}" if names else ""
    return listed(names) if len(names) == 1 else f"{len(names)}: {listed(names)}"


def _in_short(app: App, report: FileReport) -> str:
    days = f"{app.times.day(report.first)} to {app.times.day(report.last)}"
    return f"{listed(sorted(report.symbols), 3)}, {report.rows:,} rows, {days}"


def _span(app: App, report: FileReport) -> str:
    if report.first is None:
        return "no minute that can be used"
    return f"{app.times.full(report.first)} to {app.times.full(report.last)}"


def _line(title: str, text: str) -> Sequence[str]:
    """Return a titled line, wrapped as `wrapped` does."""
    head = f"  {title:<{_INDENT - 2}}"
    return wrapped(text, head, " " * _INDENT)


def wrapped(text: str, head: str = "", indent: str = "") -> list[str]:
    """Return a text in lines of the terminal's width, of 80 columns at most."""
    from textwrap import wrap

    width = min(get_terminal_size().columns, _WIDEST) - 1
    return wrap(
        text, width, initial_indent=head, subsequent_indent=indent, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _simulated(market: object) -> tuple[list[str], list[str], int]:
    """Return the sessions' dates, the symbols, and the number of bars."""
    from smabot.provider import MINUTE
    from smabot_exchange.data.sessions import first_sessions
    from smabot_exchange.data.simulated_market import SimulatedMarket
    from smabot_exchange.data.simulated_symbols import simulated_symbols

    assert isinstance(market, SimulatedMarket)
    sessions = first_sessions(market.start, market.sessions)
    symbols = simulated_symbols(market.symbols)
    minutes = sum(int((each.close - each.open) / MINUTE) for each in sessions)
    return [each.date.isoformat() for each in sessions], symbols, minutes * len(symbols)
