"""What `smabot data fetch` does: checks what was asked for, fetches what is missing, shows what is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from smabot.provider import (
    EXCHANGE_ZONE,
    BrokerError,
    ConfigError,
    Session,
    UsageError,
    listed,
)
from smabot_alpaca.bar_fetch import (
    BarFetch,
    calendar_of,
    missing_chunks,
    newest_stored,
)
from smabot_alpaca.connection import AlpacaConnection, connect_to_data
from smabot_alpaca.rest.bar_history import BarHistory
from smabot_alpaca.rest.client import RequestRefused
from smabot_alpaca.rest.corporate_actions import corporate_actions
from smabot_alpaca.rest.rate_limit import Urgency
from smabot_alpaca.settings import AlpacaSettings

if TYPE_CHECKING:
    from smabot.api import App
    from smabot_exchange.data.bar_store import BarStore

SETTLED = timedelta(minutes=20)
"""So long after its close a session's bars are complete, and free of charge."""
SPLIT_ADJUSTED = ("split", "all")
"""Adjustments after which bars have no jump at a split."""
INTERRUPTED = 130
GO_ON = "the same command goes on where it ended"


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """What was asked for."""

    names: Sequence[str]
    first: date
    last: date | None
    folder: str | None
    feed: str | None
    adjustment: str
    format: str | None
    url: str | None


def fetch_bars(app: App, settings: AlpacaSettings, options: FetchOptions) -> int:
    """Fetch what a store lacks; returns the exit code.

    Raises UsageError, ConfigError where a symbol has no bars or the store has others, BrokerError.
    """
    symbols = _symbols(options.names)
    if options.last is not None and options.first > options.last:
        raise UsageError(f"--from {options.first} is after --to {options.last}")
    store = _store(app, options)
    app.set_up_log()
    connection = connect_to_data(settings, options.url or app.config().url)
    try:
        sessions = _sessions(app, options, connection)
        with store.lock():
            fetch = _Fetching(app, connection, store, options.feed or settings.feed, options)
            fetch.run(symbols, sessions)
    except KeyboardInterrupt:
        return app.fail(f"interrupted: {GO_ON}", None, code=INTERRUPTED)
    finally:
        connection.rest.close()
    return 0


class _Fetching:
    """One call of the command."""

    def __init__(
        self,
        app: App,
        connection: AlpacaConnection,
        store: BarStore,
        feed: str,
        options: FetchOptions,
    ) -> None:
        self._app = app
        self._connection = connection
        self._store = store
        self._feed = feed
        self._adjustment = options.adjustment

    def run(self, symbols: list[str], sessions: Sequence[Session]) -> None:
        from smabot_exchange.data.sessions import session_on

        self._store.actions()  # a bad list is refused first
        chunks = missing_chunks(self._store, symbols, sessions)
        lacking = sorted({symbol for chunk in chunks for symbol in chunk.symbols})
        newest = newest_stored(self._store, lacking, session_on)
        fetch = self._fetch([*sessions, *newest.values()])
        try:
            fetch.check_source(newest)
            with self._app.progress(sum(chunk.size for chunk in chunks)) as tell:
                fetch.fetch(chunks, tell)
        except RequestRefused as error:
            hint = ": give --feed iex" if "subscription" in error.message else ""
            raise BrokerError(f"{error}{hint}") from error
        except BrokerError as error:
            raise BrokerError(f"{error}; {GO_ON}") from error
        added = self._fetch_actions(symbols, sessions)
        self._show(symbols, sessions, fetch, added)

    def _fetch_actions(self, symbols: Sequence[str], sessions: Sequence[Session]) -> int:
        """List the symbols' corporate actions beside raw bars, and return how many are new.

        Bars that are adjusted for splits need none. Bars are complete without them: an error is a warning.
        """
        if self._adjustment in SPLIT_ADJUSTED:
            return 0
        get = partial(self._connection.rest.data, urgency=Urgency.BULK)
        try:
            found = corporate_actions(get, symbols, sessions[0].date, sessions[-1].date)
        except BrokerError as error:
            self._app.warn(
                f"bars are fetched, but not which splits lie between them: {error}; the same command tries again"
            )
            return 0
        return self._store.add_actions(found)

    def _fetch(self, sessions: Sequence[Session]) -> BarFetch:
        get = partial(self._connection.rest.data, urgency=Urgency.BULK)
        history = BarHistory(get, calendar_of(sessions), self._feed, self._adjustment)
        return BarFetch(self._store, history, self._connection.machine)

    def _show(
        self,
        symbols: list[str],
        sessions: Sequence[Session],
        fetch: BarFetch,
        added: int,
    ) -> None:
        from smabot_exchange.data.store_folder import next_step

        first, last = sessions[0].date, sessions[-1].date
        years = range(first.year, last.year + 1)
        rows: list[dict[str, Any]] = []
        for symbol in symbols:
            days = {
                day: count
                for day, count in self._store.days(symbol, years).items()
                if first <= day <= last
            }
            rows.append(
                {
                    "symbol": symbol, "fetched": fetch.fetched[symbol], "bars": sum(days.values()),
                    "sessions": len(days), "missing": len(sessions) - len(days),
                }
            )  # fmt: skip
        folder = self._store.folder
        shown = ([row["symbol"], *(f"{row[name]:,}" for name in list(row)[1:])] for row in rows)
        table = self._app.table(["symbol", ">fetched", ">bars", ">sessions", ">missing"], shown)
        head = f"{folder}: {first} to {last}, {len(sessions):,} sessions, {self._feed}, {self._adjustment}"
        data = {
            "data": str(folder), "from": first, "to": last, "feed": self._feed,
            "adjustment": self._adjustment, "symbols": rows, "corporate_actions": added,
        }  # fmt: skip
        plural = "" if added == 1 else "s"
        told = f"{added} corporate action{plural} added to {self._store.actions_file}"
        actions = [told] if added else []
        stored = next_step(str(folder)) if any(row["bars"] for row in rows) else []
        self._app.emit(data, [head, table, *actions, *stored])
        if nothing := [row["symbol"] for row in rows if not row["bars"]]:
            raise ConfigError(
                f"no bar of {listed(nothing)} from {first} to {last}: {self._connection.name} does not know "
                f"such a symbol, or {self._feed} has no trade of it on these days"
            )


def _store(app: App, options: FetchOptions) -> BarStore:
    try:
        from smabot_exchange.data.store_folder import open_store
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("smabot_exchange"):
            raise
        raise ConfigError("the store of bars is a part of smabot-exchange: install it") from None
    return open_store(app.config(), options.folder, options.format)


def _symbols(names: Sequence[str]) -> list[str]:
    from smabot_exchange.data.ticker_names import ticker

    try:
        return sorted({ticker(name) for name in names if name.strip()})
    except ValueError as error:
        raise UsageError(f"--symbols: {error}") from None


def _sessions(app: App, options: FetchOptions, connection: AlpacaConnection) -> list[Session]:
    """Return the sessions that were asked for and have ended. Raises UsageError where there are none."""
    from smabot_exchange.data.sessions import regular_sessions

    first, last, now = options.first, options.last, connection.clock.now()
    today = now.astimezone(EXCHANGE_ZONE).date()
    for option, day in (("--from", first), ("--to", last)):
        if day is not None and day > today:
            raise UsageError(f"{option} {day}: is in the future: today is {today} in New York")
    sessions = regular_sessions(first, last or today)
    ended = [each for each in sessions if _has_ended(each, now, connection)]
    if not ended:
        why = "today's has not ended yet" if sessions else "the exchange was closed"
        raise UsageError(f"no session from {first} to {last or today}: {why}")
    if last is not None and len(ended) < len(sessions):
        app.warn(
            f"the session of {sessions[-1].date} has not ended: fetched up to {ended[-1].date}"
        )
    return ended


def _has_ended(session: Session, now: datetime, connection: AlpacaConnection) -> bool:
    return session.close + (SETTLED if connection.exchange is None else timedelta()) <= now
