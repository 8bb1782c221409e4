"""What `smabot doctor` is shows of the built-in paper exchange."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

from smabot.provider import (
    Config,
    ConfigError,
    Finding,
    file_exists,
    is_disk_full,
    is_locked,
    lock_holder,
)
from smabot_exchange.data.data_source import is_simulated
from smabot_exchange.data.sessions import span
from smabot_exchange.ledger.rows import to_time
from smabot_exchange.ledger.schema import APPLICATION_ID, VERSION

LEDGER = "ledger"
CALENDAR_ENDS_DAYS = 180
"""From when on a warning says that the calendar of sessions ends: time for an upgrade without haste."""


def diagnose(config: Config) -> list[Finding]:
    """Look at data and ledger without opening the exchange, also while it is in use."""
    found = []
    data = config.data
    if data is not None and not is_simulated(data):
        if Path(data).exists():
            found.append(Finding.ok("data", data))
        else:
            found.append(Finding.failure("data", f"{data}: no such file: give another --data"))
    found += sessions_end(datetime.now(UTC).date())
    ledger = config.ledger_path
    try:
        there = file_exists(ledger, f"ledger {ledger}")
    except ConfigError as error:
        return [*found, Finding.failure(LEDGER, str(error))]
    if there:
        found.append(_ledger(ledger))
    elif config.broker == "exchange" and config.db.is_file() and config.db.stat().st_size:
        found.append(
            Finding.failure(
                LEDGER,
                f"{ledger} is not there, but the database {config.db} is, which was made with one: "
                "put it back, give its path with --ledger, or start with another --db",
            )
        )
    elif config.broker == "exchange":
        found.append(Finding.ok(LEDGER, f"{ledger} is created by the first run"))
    return found


def sessions_end(today: date) -> list[Finding]:
    """Warn when the calendar of sessions ends soon: a data file that reaches further is refused."""
    end = span()[1]
    if (end - today).days >= CALENDAR_ENDS_DAYS:
        return []
    text = f"the exchange's calendar ends on {end}: upgrade smabot-exchange to replay later data"
    return [Finding.warning("sessions", text)]


def account_of(path: Path) -> str | None:
    """Return the account that a ledger holds; None where there is no ledger.

    Raises ConfigError when there is something that can't be read.
    """
    if not file_exists(path, f"ledger {path}"):
        return None
    resolved = path.resolve()
    log = resolved.with_name(resolved.name + "-wal")
    at_rest = not is_locked(path) and not (log.exists() and log.stat().st_size)
    mode = "ro&immutable=1" if at_rest else "ro"  # which needs no room beside it
    try:
        with closing(sqlite3.connect(f"{resolved.as_uri()}?mode={mode}", uri=True)) as db:
            if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                return None
            row = db.execute("SELECT value FROM meta WHERE key = 'account_id'").fetchone()
            return None if row is None else str(row[0])
    except sqlite3.Error as error:
        raise ConfigError(f"ledger {path}: can't be read: {error}") from error


def _ledger(path: Path) -> Finding:
    resolved = path.resolve()
    if not resolved.stat().st_size:
        return Finding.failure(LEDGER, f"{path} is empty, it was truncated: restore it from a copy")
    try:
        with closing(sqlite3.connect(f"{resolved.as_uri()}?mode=ro", uri=True)) as db:
            if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                return Finding.failure(
                    LEDGER, f"{path} is not an exchange ledger: give another --ledger"
                )
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                return Finding.failure(
                    LEDGER, f"{path} is of a newer smabot-exchange (schema {version}): upgrade it"
                )
            now, played = db.execute("SELECT now, minutes_played FROM state").fetchone()
            meta = dict(db.execute("SELECT key, value FROM meta"))
    except sqlite3.Error as error:
        if isinstance(error, sqlite3.OperationalError) and is_disk_full(resolved.parent):
            return Finding.failure(
                LEDGER, f"{path} can't be read: the disk is full: free some space"
            )
        return Finding.failure(LEDGER, f"{path} can't be read: {error}: restore it from a copy")
    words = (
        f"{path}, account {meta['account_id']}, {played:,} of {int(meta['minutes']):,} minutes "
        f"replayed, {to_time(now):%Y-%m-%d %H:%M} UTC"
    )
    if is_locked(resolved):
        words += f"; in use by pid {lock_holder(resolved)}"
    return Finding.ok(LEDGER, words)
