"""`smabot db`: backup, restore, check, prune."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smabot.provider import BrokerError, ConfigError, ConflictError, UsageError

if TYPE_CHECKING:
    from smabot.api import App


@click.group()
def db() -> None:
    """Back up, restore, check or prune the database."""


@db.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.pass_obj
def backup(app: App, path: Path | None) -> None:
    """Copy the database to PATH, also while the bot is running.

    The copy is checked. Without PATH it lies beside the database, named by the time. The ledger of
    the built-in exchange is copied with it.
    """
    from smabot_persistence_sqlite.backup import back_up

    config, plugins = app.config(), app.plugins()
    made = back_up(config.db, path, lambda account: plugins.account_files(config, account))
    first, *others = map(asdict, made)
    app.emit(
        {**first, "account_files": others},
        [f"{each.path}: {each.bytes:,} bytes, checked" for each in made],
    )


@db.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--offline", is_flag=True, help="Do not ask the broker.")
@click.pass_obj
def restore(app: App, file: Path, offline: bool) -> None:
    """Put the backup FILE in the database's place.

    FILE is checked first. What was there is kept under another name. The ledger of the built-in
    exchange that lies beside FILE is restored with it. Then the broker is asked, as `smabot
    reconcile` does. Refused while the bot is running.
    """
    from smabot_persistence_sqlite.restore import restore_backup
    from smabot_persistence_sqlite.restored_screen import restored_data, restored_lines

    restored = restore_backup(app.config(), file, app.plugins().account_files)
    app.emit(restored_data(restored), restored_lines(restored, app))
    if restored.upgraded_by_next_start:
        app.warn(
            f"{app.config().db} is of an older smabot: `smabot reconcile` upgrades it and asks the broker"
        )
    elif not offline:
        _ask_broker(app)


def _ask_broker(app: App) -> None:
    """Show what the next start will reconcile, where the broker can be asked. Raises ConflictError."""
    try:
        app.compare_with_broker()
    except ConflictError as error:
        raise ConflictError(
            "the backup is restored, and the broker disagrees: `smabot reconcile` shows it again, and "
            "accepts the broker's state with `--accept broker`"
        ) from error
    except (BrokerError, ConfigError) as error:
        app.warn(f"the backup is restored, but the broker could not be asked: {error}")


@db.command()
@click.pass_context
def check(ctx: click.Context) -> None:
    """Check that the database is intact and its sums agree.

    Reads all of it: is the file damaged, and do orders, fills and positions agree? Exit code 0: intact;
    1: not.
    """
    from smabot_persistence_sqlite.integrity_check import check_database

    app: App = ctx.obj
    path = app.config().db
    problems = check_database(path, app.record_kinds())
    app.emit(
        {"db": str(path), "ok": not problems, "problems": problems},
        problems or f"{path}: intact; orders, fills and positions agree",
    )
    ctx.exit(1 if problems else 0)


@db.command()
@click.option(
    "--bars-before",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Delete bars before this date, 00:00 UTC.",
)
@click.option(
    "--keep-days",
    type=click.IntRange(0, 36_500),
    metavar="N",
    help="Delete bars more than N days older than the newest.",
)
@click.option("--equity", is_flag=True, help="Also delete older points of the equity curve.")
@click.option("--vacuum", is_flag=True, help="Shrink the file; needs as much free disk space.")
@click.pass_obj
def prune(
    app: App,
    bars_before: datetime | None,
    keep_days: int | None,
    equity: bool,
    vacuum: bool,
) -> None:
    """Delete old bars.

    Each symbol's newest 1,000 bars stay, and all orders, trades and state. Refused while the bot is running.
    """
    from smabot_persistence_sqlite.pruning import prune_database

    if (bars_before is None) == (keep_days is None):
        raise UsageError("db prune: give either --bars-before DATE or --keep-days N")
    pruned = prune_database(
        app.config().db,
        app.record_kinds(),
        before=bars_before.date() if bars_before else None,
        keep_days=keep_days,
        equity=equity,
        vacuum=vacuum,
    )
    words = f"deleted {pruned.bars:,} bars"
    if equity:
        words += f" and {pruned.equity_points:,} equity points"
    app.emit(
        asdict(pruned),
        f"{words} before {pruned.before:%Y-%m-%dT%H:%M:%SZ}; the file has {pruned.bytes:,} bytes",
    )
