"""`smabot events`: lists what an operator should know of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from smabot.cli.records.record_filters import Filters, Names, filtered, rows_within
from smabot.cli.records.record_listing import ON_SCREEN, limit_of, show
from smabot.errors import UsageError, suggest

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.cli.records.listing import Listing
    from smabot.domain.bot_records import Event


@click.command()
@click.option(
    "--kind", "kinds", type=Names(), multiple=True, metavar="KIND",
    help="These kinds only: halt, or stream_lost,stream_back.",
)  # fmt: skip
@click.option(
    "--subject", "--symbol", "subject", metavar="TEXT",
    help="Of this subject only: a symbol, an order's id or a part of it, a plugin.",
)  # fmt: skip
@click.option("--grave", is_flag=True, help="Grave events only.")
@click.pass_obj
@filtered(limit=limit_of("events"), names=False)
def events(
    app: App, filters: Filters, kinds: tuple[tuple[str, ...], ...], subject: str | None, grave: bool
) -> None:
    """List events, the newest last; grave ones are marked with !.

    The documentation's page on operating says what each kind means.
    """
    from smabot.domain.bot_records import Event
    from smabot.domain.event_order import causal_order

    wanted = [name.lower().replace("-", "_").replace(" ", "_") for names in kinds for name in names]
    where: dict[str, Any] = {"grave": True} if grave else {}
    if wanted:
        where["kind"] = tuple(wanted)
    unlimited = filters.limit is None and (app.as_json or filters.as_csv)
    limit = None if unlimited else filters.limit or ON_SCREEN + 1
    with app.rows(app.journal_plugins()) as rows:
        if wanted:
            _require_kinds(rows, wanted)
        span = filters.span(app, rows)
        failed_run = _failed_run(rows)
        read = limit if subject is None else None
        found: list[Event] = rows_within(rows, Event, "time", span, where=where, limit=read)
    found.sort(key=causal_order)
    if subject is not None:
        found = [event for event in found if _is_about(event, subject)]
        found = found if limit is None else found[-limit:]
    show(
        app, "events", found, filters, span, csv_fields=Event,
        screen=lambda shown: _listing(app, shown), notes=failed_run,
    )  # fmt: skip


def _failed_run(rows: Any) -> list[str]:
    """Return a line on the last run where it failed or was killed: a start that fails writes no event."""
    from smabot.cli.run_outcome import failure_of, how_it_ended
    from smabot.domain.bot_records import Run

    runs = rows.rows(Run, newest_by="run_id", limit=1)
    if not runs or (runs[0].ended_at is None and rows.in_use()):
        return []
    why = failure_of(runs[0])
    if runs[0].ended_at is None:
        return [f"the last run was {how_it_ended(runs[0], running=False)}; `smabot runs` shows it"]
    return [f"the last run failed: {why}; `smabot runs` shows it"] if why else []


def _require_kinds(rows: Any, wanted: list[str]) -> None:
    """Raise UsageError for a kind that neither core nor this database knows."""
    from smabot.cli.event_kinds import EVENT_KINDS
    from smabot.domain.bot_records import Event

    unknown = [kind for kind in wanted if kind not in EVENT_KINDS]
    if not unknown:
        return
    known = EVENT_KINDS | {event.kind for event in rows.rows(Event)}
    for kind in unknown:
        if kind not in known:
            hint = suggest(kind, known) or f": these are: {', '.join(sorted(known))}"
            raise UsageError(f"there is no kind of event '{kind}'{hint}")


def _is_about(event: Event, subject: str) -> bool:
    """Whether an event's subject is a text, or an order's id of which the text is a part."""
    its, wanted = event.subject.casefold(), subject.casefold()
    return its == wanted or f"-{wanted}-" in f"-{its}-"


def _listing(app: App, events: list[Event]) -> Listing:
    from smabot.cli.records.listing import Listing
    from smabot.cli.records.order_ids import short_id

    return Listing(
        (
            app.times.column(events, lambda e: e.time, seconds=True),
            ("", lambda e: "!" if e.grave else ""),
            ("kind", lambda e: e.kind),
            ("subject", lambda e: short_id(e.subject)),
        ),
        events,
        movable=("", lambda e: app.times.in_text(e.text, near=e.time)),
    )
