"""A report as a page: one HTML file with its style, its scripts and its data, which loads nothing."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

import smabot
from smabot.cli.output import money, number
from smabot.cli.performance.backtest_table import COMPARED, figures_of, other_figures, span_line
from smabot.cli.report.data_gaps import data_gaps, gap_words
from smabot.cli.report.distribution import Distribution
from smabot.cli.report.page_tables import page_tables, plain_text
from smabot.cli.report.period_returns import day_returns
from smabot.domain.calendar import EXCHANGE_ZONE, end_of, new_york_date
from smabot.domain.order_terms import Status
from smabot.domain.records import Order
from smabot.system.redaction import redact

if TYPE_CHECKING:
    from smabot.cli.report.report_data import Report
    from smabot.cli.times import Times

MOST_MARKS = 6_000
"""Entries, exits and blocked orders in the charts of prices: the newest ones."""


@dataclass(frozen=True, slots=True)
class PageHead:
    """What stands above a report: PAPER or LIVE and the database, what it is, and when it was made, UTC."""

    title: str
    heading: str
    made_at: datetime


def report_page(report: Report, head: PageHead, times: Times, notes: Sequence[str]) -> str:
    """Return the page of a report."""
    folder = files(__package__).joinpath("page")

    def text(name: str) -> str:
        return folder.joinpath(name).read_text(encoding="utf-8").strip()

    library, script = text("uplot.min.js"), text("report.js")
    made = f"Made {times.full(head.made_at)} by smabot {smabot.__version__}. Times are {times.place}'s."
    return Template(text("report.html")).substitute(
        page_tables(report, times),
        title=plain_text(head.title),
        heading=plain_text(head.heading),
        span=plain_text(span_line(report.performance, times)),
        notes="".join(f"<li>{plain_text(times.in_text(note))}</li>" for note in notes),
        compared=_compared(report),
        others=_others(report, times),
        gaps=plain_text(gap_words(data_gaps(report.performance.days))),
        made=plain_text(made),
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src {_hashes(library, script)}",
        style=f"{text('uplot.min.css')}\n{text('report.css')}",
        licence=escape(text("uplot.LICENSE")),
        data=as_script_data(page_data(report, times)),
        library=library,
        script=script,
    )


def as_script_data(data: Any) -> str:
    """Return JSON that ends no script element, whatever its texts are."""
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def page_data(report: Report, times: Times) -> dict[str, Any]:
    """Return what the charts show. Times are in seconds since 1970, UTC."""
    spread = Distribution.of([each.trip.realized_pnl for each in report.trades])
    marks = _marks(report)
    return {
        "zone": "UTC" if times.zone == "UTC" else str(EXCHANGE_ZONE),
        "days": _days(report),
        "equity": {
            "time": _seconds(point.time for point in report.curve),
            "equity": [round(point.equity, 2) for point in report.curve],
            "fall": [round(-point.fall, 6) for point in report.curve],
        },
        "exposure": {
            "time": _seconds(each.time for each in report.exposure),
            "mean": [round(each.mean, 5) for each in report.exposure],
        },
        "returns": [
            [each.period, None if each.gained is None else round(each.gained, 6)]
            for each in day_returns(report.performance.days)
        ],
        "results": None if spread is None else {
            "begin": float(spread.begin), "width": float(spread.width), "counts": spread.counts,
        },
        "prices": [
            {
                "symbol": symbol,
                "time": _seconds(point.time for point in points),
                "close": [round(point.close, 4) for point in points],
                "marks": [mark[1:] for mark in marks if mark[0] == symbol],
            }
            for symbol, points in report.prices.items()
            if points
        ],
    }  # fmt: skip


def _marks(report: Report) -> list[tuple[str, int, float, str, str]]:
    """Return each fill and each blocked order: its symbol, time, price, kind, and what it was."""
    reducing = {order.client_order_id for order in report.orders if order.reduces}
    marks = [
        (
            fill.symbol, int(fill.time.timestamp()), float(fill.price),
            "exit" if fill.client_order_id in reducing or fill.reduces else "entry",
            f"{fill.side} {number(fill.qty)} at {money(fill.price)}",
        )
        for fill in report.performance.fills
        if fill.qty
    ]  # fmt: skip
    marks += [
        (order.symbol, int(order.created_at.timestamp()), decided, "blocked", _blocked(order))
        for order in report.unfilled
        if order.status is Status.BLOCKED
        and (decided := report.priced.get(order.client_order_id)) is not None
    ]
    return sorted(marks, key=lambda mark: mark[1])[-MOST_MARKS:]


def _blocked(order: Order) -> str:
    return redact(f"{order.side} {number(order.qty)} blocked: {order.reason}")


def _days(report: Report) -> list[tuple[str, int, int]]:
    """Return each New York date that the charts have a point of, with its first and its last time.

    A span without data is a date without a name.
    """
    ends: dict[str, tuple[int, int]] = {}
    times = [point.time for point in report.curve]
    times += [point.time for points in report.prices.values() for point in points]
    for time in times:
        day, second = new_york_date(time).isoformat(), int(time.timestamp())
        first, last = ends.get(day, (second, second))
        ends[day] = (min(first, second), max(last, second))
    gaps = _seconds(end_of(last) for last, _ in data_gaps(report.performance.days))
    days = [(day, *bounds) for day, bounds in ends.items()] + [("", gap, gap) for gap in gaps]
    return sorted(days, key=lambda day: day[1])


def _seconds(times: Iterable[datetime]) -> list[int]:
    return [int(time.timestamp()) for time in times]


def _compared(report: Report) -> str:
    own, market = figures_of(report.performance), report.market.figures
    return "".join(
        f'<tr><th scope="row">{escape(title)}</th><td class="number">{shown(own[name])}</td>'
        f'<td class="number">{shown(market[name])}</td></tr>'
        for name, (title, shown) in COMPARED.items()
    )


def _others(report: Report, times: Times) -> str:
    return "".join(
        f'<tr><th scope="row">{escape(title)}</th><td>{plain_text(text)}</td></tr>'
        for title, text in other_figures(report.performance, times)
    )


def _hashes(*scripts: str) -> str:
    """Return what a policy calls these scripts, so that the browser runs no other one."""
    digests = (b64encode(sha256(script.encode()).digest()).decode() for script in scripts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)
