"""What `orders`, `trades`, `signals`, `equity` and `pnl` share: how a listing is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from smabot.cli import output
from smabot.cli.records.record_filters import Filters, Span, limit_option, rows_within
from smabot.cli.text_layout import width_of, wrapped

if TYPE_CHECKING:
    from smabot.cli.app import App

ON_SCREEN = 20


def limit_of(what: str) -> Any:
    return limit_option(what, ON_SCREEN)


def newest(
    app: App, rows: Any, kind: type, column: str, filters: Filters
) -> tuple[list[Any], Span]:
    """Return the newest records and the span of time that was asked for.

    On the screen it is one more than is shown, to tell that there are more.
    """
    span = filters.span(app, rows)
    found = rows_within(
        rows, kind, column, span, where=filters.where, limit=reading_limit(app, filters)
    )
    return found, span


def reading_limit(app: App, filters: Filters) -> int | None:
    """Return how many records are to be read."""
    if filters.limit is None and not app.as_json and not filters.as_csv:
        return ON_SCREEN + 1
    return filters.limit


def cut_for_screen(filters: Filters, found: list[Any]) -> tuple[list[Any], list[str]]:
    """Return the records that the screen shows, and a note where there are more."""
    if filters.limit is not None or len(found) <= ON_SCREEN:
        return found, []
    return found[-ON_SCREEN:], [f"the newest {ON_SCREEN}; --limit N shows more"]


def show(
    app: App,
    name: str,
    found: list[Any],
    filters: Filters,
    span: Span,
    *,
    csv_fields: type | Sequence[str],
    screen: Callable[[list[Any]], Any],
    noun: str = "",
    notes: Iterable[str] = (),
    as_json: Callable[[Any], Any] | None = None,
) -> None:
    """Show records as JSON, as CSV, or on the screen, where ``screen`` makes them a table.

    ``name`` is their key in JSON, ``noun`` what they are called on the screen where that differs.
    """
    if filters.as_csv:
        output.print_csv(csv_fields, found)
        return
    shown, more = cut_for_screen(filters, found)
    below = lines_below([*more, *span.notes, *notes])
    if app.as_json:
        app.emit({name: [as_json(each) for each in found] if as_json else found}, "")
    elif not found:
        app.emit({}, [f"no {noun or name}", *below])
    else:
        app.emit({}, [screen(shown), *below])


def lines_below(notes: Iterable[str]) -> list[str]:
    """Return the lines below a listing, wrapped to the terminal's width."""
    width = width_of(sys.stdout)
    return [line for note in notes for line in wrapped(note, width)]
