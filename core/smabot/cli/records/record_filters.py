"""The filters that the commands which list records share: their options, and how the records are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

import click

from smabot.cli.records.time_arguments import ParamType, TimeArgument, TypedTime
from smabot.errors import UsageError, suggest

if TYPE_CHECKING:
    from smabot.cli.app import App

OPEN_GROUP = "open"


class Names(ParamType):
    """Names with commas between them, as a tuple."""

    name = "names"

    def __init__(self, *, upper: bool = False) -> None:
        self._upper = upper

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[Any, ...]:
        if isinstance(value, tuple):
            return value
        names = [name.strip() for name in value.split(",")]
        if not all(names):
            raise click.BadParameter(f"'{value}' has an empty name", ctx, param)
        return tuple(
            self.checked(name.upper() if self._upper else name, param, ctx) for name in names
        )

    def checked(self, name: str, param: Any, ctx: Any) -> Any:
        return name


class Statuses(Names):
    """Statuses of orders, or ``open`` for those of orders that may still fill."""

    name = "statuses"

    def checked(self, name: str, param: Any, ctx: Any) -> Any:
        from smabot.domain.order_terms import Status

        known = [OPEN_GROUP, *(status.value for status in Status)]
        wanted = name.lower().replace("-", "_").replace("cancelled", "canceled")
        if wanted not in known:
            hint = suggest(wanted, known) or f": it is one of {', '.join(known)}"
            raise click.BadParameter(f"'{name}' is no status of an order{hint}", ctx, param)
        return wanted


@dataclass(frozen=True, slots=True)
class Span:
    """The times that were asked for, in UTC: from ``since`` to ``until``, both included."""

    since: datetime | None = None
    until: datetime | None = None
    notes: tuple[str, ...] = ()
    """Lines for the screen: what the typed times mean, where they depend on the newest time of the data,
    and which names are unknown."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a listing was asked for."""

    symbols: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    since: TypedTime | None = None
    until: TypedTime | None = None
    date: TypedTime | None = None
    limit: int | None = None
    as_csv: bool = False

    @property
    def selective(self) -> bool:
        """Whether anything but a limit was asked for."""
        return bool(
            self.symbols
            or self.strategies
            or self.statuses
            or self.since
            or self.until
            or self.date
        )

    @property
    def where(self) -> dict[str, Any]:
        """The columns that must be equal, for `Rows.rows`."""
        from smabot.domain.order_terms import OPEN, Status

        where: dict[str, Any] = {}
        if self.symbols:
            where["symbol"] = self.symbols
        if self.strategies:
            where["strategy"] = self.strategies
        if self.statuses:
            groups = [OPEN if s == OPEN_GROUP else (Status(s),) for s in self.statuses]
            where["status"] = tuple(dict.fromkeys(status for group in groups for status in group))
        return where

    def span(self, app: App, rows: Any, *, by_wall: bool = False) -> Span:
        """Return the times asked for. Raises UsageError where they are none.

        Today and ages count from the newest time of the data: in a replay that is not today's date.
        With ``by_wall`` they count from this machine's time.
        """
        from smabot.domain.calendar import EXCHANGE_ZONE

        unknown = self._unknown_names(rows)
        first, last = self.date or self.since, self.date or self.until
        if first is None and last is None:
            return Span(notes=unknown)
        relative = [each for each in (first, last) if each is not None and each.relative]
        newest = newest_time(rows) if relative and not by_wall else None
        now = newest or app.wall()
        zone = UTC if app.utc else EXCHANGE_ZONE
        try:
            since = first.begin(now, zone) if first else None
            until = last.end(now, zone) if last else None
        except OverflowError:
            raise UsageError("--since or --until is a time that can't be") from None
        if since and until and since > until:
            said = f"{app.times.full(since)} is after --until {app.times.full(until)}"
            raise UsageError(f"--since {said}")
        notes = list(unknown)
        if newest is not None:
            bounds = [
                f"since {app.times.full(since)}" if since else "",
                f"until {app.times.full(until)}" if until else "",
            ]
            said = " ".join(filter(None, bounds))
            notes.append(f"{said}; the newest data is of {app.times.full(now)}")
        return Span(since, until, tuple(notes))

    def _unknown_names(self, rows: Any) -> tuple[str, ...]:
        """Return a line for each name that nothing has which was ever signalled or held; mistyped, perhaps."""
        from smabot.domain.records import Position, SignalState

        if not (self.symbols or self.strategies):
            return ()
        known = [row for kind in (Position, SignalState) for row in rows.rows(kind)]
        asked = {"symbol": self.symbols, "strategy": self.strategies}
        return tuple(
            f"no {what} {name} was ever traded here{suggest(name, names)}"
            for what, given in asked.items()
            for name in given
            if name not in (names := {getattr(row, what) for row in known})
        )


def newest_time(rows: Any) -> datetime | None:
    """Return the newest time of a database's bars and equity; None where it has none. Cheap."""
    from smabot.domain.calendar import MINUTE
    from smabot.domain.records import EquityPoint

    bar = rows.newest_bar()
    points = rows.rows(EquityPoint, newest_by="time", limit=1)
    times = [*([bar + MINUTE] if bar else []), *(point.time for point in points)]
    return max(times, default=None)


def rows_within(
    rows: Any,
    kind: type,
    column: str,
    span: Span,
    *,
    where: dict[str, Any] | None = None,
    limit: int | None = None,
) -> list[Any]:
    """Return records whose time in ``column`` is within a span, in its order, the newest ``limit``.

    A journal that can't read until a time is read to its end, and cut here.
    """
    bounds: dict[str, Any] = {} if span.since is None else {"since": (column, span.since)}
    if span.until is None:
        return list(rows.rows(kind, where=where, newest_by=column, limit=limit, **bounds))
    if reads_until(rows):
        bounds["until"] = (column, span.until)
        return list(rows.rows(kind, where=where, newest_by=column, limit=limit, **bounds))
    found = [
        record
        for record in rows.rows(kind, where=where, newest_by=column, **bounds)
        if getattr(record, column) <= span.until
    ]
    return found if limit is None else found[max(len(found) - limit, 0) :]


def reads_until(rows: Any) -> bool:
    """Whether a journal's ``rows`` takes ``until``."""
    taken = signature(rows.rows).parameters
    return "until" in taken or any(p.kind is Parameter.VAR_KEYWORD for p in taken.values())


# -- the options -----------------------------------------------------------------------------------

_SYMBOL = click.option(
    "--symbol", "symbols", type=Names(upper=True), multiple=True, metavar="SYMBOL",
    help="These symbols only: SPY or SPY,QQQ.",
)  # fmt: skip
_STRATEGY = click.option(
    "--strategy", "strategies", type=Names(), multiple=True, metavar="NAME",
    help="These strategies only.",
)  # fmt: skip
_STATUS = click.option(
    "--status", "statuses", type=Statuses(), multiple=True, metavar="STATUS",
    help="These statuses only: filled, or blocked,rejected; open is all that may still fill.",
)  # fmt: skip
_SINCE = click.option(
    "--since", type=TimeArgument(), metavar="TIME",
    help="From then on: a date (2026-03-02), a time (2026-03-02T10:30, 10:30) or an age (2d, 3h, 30m).",
)  # fmt: skip
_UNTIL = click.option("--until", type=TimeArgument(), metavar="TIME", help="Up to and with then.")
_DATE = click.option(
    "--date", type=TimeArgument(days=True), metavar="DATE",
    help="This New York trading date only: 2026-03-02, or today, the newest one there is.",
)  # fmt: skip
_CSV = click.option(
    "--csv", "as_csv", is_flag=True, help="Print CSV on stdout: exact values, UTC times."
)


def limit_option(what: str, on_screen: int) -> Any:
    return click.option(
        "--limit", type=click.IntRange(1, 1_000_000_000), metavar="N",
        help=f"The newest N {what} only. [{on_screen} on the screen, all with --json and --csv]",
    )  # fmt: skip


def filtered(
    *, limit: Any, names: bool = True, status: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the filters' options; it gets them as one argument, ``filters``.

    ``names``: also ``--symbol`` and ``--strategy``; ``status``: also ``--status``. Put it below
    ``click.pass_obj``.
    """
    options = [_CSV, limit, _DATE, _UNTIL, _SINCE, *([_STRATEGY, _SYMBOL] if names else [])]
    options += [_STATUS] if status else []

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def called(app: App, **given: Any) -> Any:
            own = {name: given.pop(name) for name in list(given) if name not in _FIELDS}
            for several in ("symbols", "strategies", "statuses"):
                given[several] = _joined(given.get(several, ()))
            filters = Filters(**given)
            _require_one_way(app, filters)
            return command(app, filters=filters, **own)

        for option in options:
            called = option(called)
        return called

    return decorate


_FIELDS = frozenset(Filters.__dataclass_fields__)


def _joined(given: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in given for name in names))


def _require_one_way(app: App, filters: Filters) -> None:
    if filters.as_csv and app.as_json:
        raise UsageError("--csv and --json: give one of them")
    if filters.date and (filters.since or filters.until):
        raise UsageError("--date is a span of its own: give it without --since and --until")
