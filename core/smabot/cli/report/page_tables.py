"""The tables of a report's page, as HTML: every text in them is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from smabot.cli import output
from smabot.cli.commands.runs import TOLD, duration, span_words
from smabot.cli.output import clean, gain, money, number, price
from smabot.cli.performance.backtest_table import as_percent, as_share
from smabot.cli.records.order_outcome import failed_checks
from smabot.cli.report.period_returns import PeriodReturn, month_returns
from smabot.cli.run_outcome import failure_of, how_it_ended
from smabot.cli.run_settings import SETTING_COLUMNS, change_columns
from smabot.cli.start_steps import found_by
from smabot.domain.bot_records import Run
from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import Side
from smabot.domain.records import Order
from smabot.system.redaction import redact

if TYPE_CHECKING:
    from smabot.cli.report.report_data import Report
    from smabot.cli.times import Times

MOST_ROWS = 1_000
"""Rows of a table: the newest ones."""


LONGEST_LINE = 20
"""Characters of a text that is not wrapped."""


class Valued(NamedTuple):
    """A cell that is sorted by a number other than the one it shows."""

    text: str
    value: float


class PageTable(NamedTuple):
    """A table of the page: its place in the template, and its columns and records as `output.listing` has them.

    ``missing`` stands there in place of a table without a row.
    """

    place: str
    columns: output.Columns
    records: Sequence[Any]
    missing: str


def page_tables(report: Report, times: Times) -> dict[str, str]:
    """Return the HTML of each table by its place in the template."""
    found = {each.place: _html(each) for each in _tables(report, times)}
    if defaults := found["defaults"]:
        found["defaults"] = f"<details><summary>Defaults</summary>{defaults}</details>"
    if changes := found["settings_changes"]:
        found["settings_changes"] = f"<h3>Changed between runs</h3>{changes}"
    return found


def plain_text(text: str) -> str:
    """Return a text from the database as HTML has it, on one line, without secrets and control characters."""
    return escape(clean(redact(text)).replace("\n", " "))


def _tables(report: Report, times: Times) -> Iterator[PageTable]:
    months = month_returns(report.performance.days)
    yield PageTable("months", _month_columns(months), months, "")
    yield PageTable("trades", _trade_columns(times), report.trades, "No trade was closed.")
    yield PageTable(
        "unfilled", _order_columns(report, times), report.unfilled, "Every order that ended has filled."
    )  # fmt: skip
    yield PageTable("checks", _check_columns(times), report.checks, "No check was asked.")
    yield PageTable("runs", _run_columns(report, times), report.runs, "No run is known.")
    used = report.settings
    none = "No run has recorded its settings." if used is None else "All are defaults."
    changed = [each for each in used or () if not each.is_default]
    yield PageTable("settings", SETTING_COLUMNS, changed, none)
    defaults = [each for each in used or () if each.is_default]
    yield PageTable("defaults", SETTING_COLUMNS, defaults, "")
    yield PageTable("settings_changes", change_columns(times), report.settings_changes, "")


def _month_columns(months: Sequence[PeriodReturn]) -> output.Columns:
    deposits = [(">deposits", lambda m: gain(m.deposits) if m.deposits else "")]
    return (
        ("month", lambda m: m.period),
        (">return", lambda m: as_percent(m.gained)),
        (">change", lambda m: gain(m.change)),
        *(deposits if any(each.deposits for each in months) else []),
        (">equity", lambda m: money(m.equity)),
    )


def _trade_columns(times: Times) -> output.Columns:
    return (
        (f"opened {times.zone}", lambda t: _minute(times, t.trip.opened_at)),
        ("symbol", lambda t: t.trip.symbol),
        (">P&L", lambda t: gain(t.trip.realized_pnl)),
        (">return", lambda t: as_percent(t.gained)),
        (">held", lambda t: _held(t.held)),
        (f"closed {times.zone}", lambda t: _minute(times, t.trip.closed_at)),
        ("side", lambda t: "long" if t.trip.side is Side.BUY else "short"),
        (">qty", lambda t: number(t.trip.qty)),
        (">entry", lambda t: price(t.trip.entry_price)),
        (">exit", lambda t: price(t.trip.exit_price)),
        ("strategy", lambda t: t.trip.strategy or "none"),
        ("why entered", lambda t: times.in_text(t.entry_reason, near=t.trip.opened_at)),
        ("why closed", lambda t: times.in_text(t.exit_reason, near=t.trip.closed_at)),
    )


def _order_columns(report: Report, times: Times) -> output.Columns:
    def why(order: Order) -> str:
        return times.in_text(report.reasons[order.client_order_id], near=order.created_at)

    return (
        (f"decided {times.zone}", lambda o: _minute(times, o.created_at)),
        ("symbol", lambda o: o.symbol),
        ("reason", lambda o: times.in_text(o.reason or o.cancel_reason, near=o.created_at)),
        ("strategy", lambda o: o.strategy or "none"),
        ("side", lambda o: o.side.value),
        (">qty", lambda o: number(o.qty)),
        (">price then", lambda o: price(report.priced.get(o.client_order_id))),
        ("end", lambda o: o.status.value),
        ("check", lambda o: ", ".join(check.name for check in failed_checks(o))),
        ("why made", why),
    )


def _check_columns(times: Times) -> output.Columns:
    return (
        ("check", lambda c: c.name),
        (">asked", lambda c: f"{c.asked:,}"),
        (">bound", lambda c: f"{c.bound:,}"),
        (">share", lambda c: as_share(c.bound / c.asked)),
        (f"last bound {times.zone}", lambda c: _minute(times, c.last_bound)),
    )


def _run_columns(report: Report, times: Times) -> output.Columns:
    def found(run: Run) -> str:
        steps = (f"{name}: {what}" for name in TOLD if (what := found_by(run, name)))
        return times.in_text("; ".join(filter(None, (failure_of(run), *steps))))

    def lasted(run: Run) -> Valued | str:
        took = duration(run)
        return "" if took is None else Valued(span_words(took), took.total_seconds())

    return (
        (f"started {times.zone}", lambda r: f"{times.day(r.started_at)} {times.clock(r.started_at, seconds=True)}"),
        ("end", lambda r: how_it_ended(r, running=r.run_id == report.running)),
        (">lasted", lasted),
        (">ready in ms", lambda r: "" if r.ready_ms is None else f"{r.ready_ms:,.0f}"),
        ("mode", lambda r: r.mode),
        ("version", lambda r: r.version),
        ("plugins", lambda r: ", ".join(r.plugins.split(","))),
        ("what the start found", found),
    )  # fmt: skip


def _minute(times: Times, time: Any) -> str:
    return f"{times.day(time)} {times.clock(time)}" if time else ""


def _held(span: timedelta) -> Valued:
    minutes = round(span / MINUTE)
    return Valued(f"{minutes // 60:,}:{minutes % 60:02}", minutes)


# -- as HTML -----------------------------------------------------------------------------------------


def _html(table: PageTable) -> str:
    if not table.records:
        return f"<p>{escape(table.missing)}</p>" if table.missing else ""
    shown = table.records[-MOST_ROWS:]
    left = len(table.records) - len(shown)
    more = f"<p>The newest {len(shown):,} of {len(table.records):,}.</p>" if left else ""
    heads = "".join(_head(title) for title, _ in table.columns)
    body = "".join(_row(table.columns, record) for record in shown)
    return (
        f'{more}<div class="scroll" tabindex="0" role="region" aria-label="{table.place}">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _head(title: str) -> str:
    kind = ' class="number"' if title[:1] == ">" else ""
    return f'<th scope="col"{kind}><button type="button">{escape(title.lstrip(">"))}</button></th>'


def _row(columns: output.Columns, record: Any) -> str:
    return f"<tr>{''.join(_cell(title, cell(record)) for title, cell in columns)}</tr>"


def _cell(title: str, cell: Any) -> str:
    if title[:1] != ">":
        wrapped = ' class="long"' if len(str(cell)) > LONGEST_LINE else ""
        return f"<td{wrapped}>{plain_text(str(cell))}</td>"
    text, value = cell if isinstance(cell, Valued) else (cell, None)
    sign = {"+": " gain", "-": " loss"}.get(text[:1], "") if text.strip("+-0.%") else ""
    sorted_by = "" if value is None else f' data-value="{value}"'
    return f'<td class="number{sign}"{sorted_by}>{plain_text(text)}</td>'
