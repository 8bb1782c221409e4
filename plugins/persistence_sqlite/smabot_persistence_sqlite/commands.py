"""`smabot db`: backup, check, prune."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from smabot.errors import UsageError

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def db() -> None:
    """Back up, check or prune the database."""


@db.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@as_json
@click.pass_context
def backup(ctx: click.Context, path: Path | None, as_json: bool) -> None:
    """Copy the database to PATH, also while a bot runs, and check the copy.

    Without PATH the copy lies beside the database, named by the time.
    """
    from smabot_persistence_sqlite.maintenance import back_up

    made = back_up(ctx.obj.config().db, path)
    _show(made, as_json, f"{made.path}: {made.bytes:,} bytes, checked")


@db.command()
@as_json
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """Read the whole database: is it sound, and do orders, trades and positions agree?

    Exit code 0 when all is well, 1 when not.
    """
    from smabot_persistence_sqlite import maintenance

    path = ctx.obj.config().db
    problems = maintenance.check(path, ctx.obj.record_kinds())
    if as_json:
        click.echo(json.dumps({"db": str(path), "ok": not problems, "problems": problems}))
    else:
        click.echo("\n".join(problems) or f"{path}: sound; orders, trades and positions agree")
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
    type=click.IntRange(min=0),
    metavar="N",
    help="Delete bars more than N days older than the newest.",
)
@click.option("--equity", is_flag=True, help="Also delete points of the equity curve before that.")
@click.option("--vacuum", is_flag=True, help="Give the space back; needs as much free disk.")
@as_json
@click.pass_context
def prune(
    ctx: click.Context,
    bars_before: datetime | None,
    keep_days: int | None,
    equity: bool,
    vacuum: bool,
    as_json: bool,
) -> None:
    """Delete old bars; orders, trades and state stay, and each symbol's newest 1,000 bars.

    Refuses while a bot runs.
    """
    from smabot_persistence_sqlite import maintenance

    if (bars_before is None) == (keep_days is None):
        raise UsageError("smabot db prune: give either --bars-before DATE or --keep-days N")
    pruned = maintenance.prune(
        ctx.obj.config().db,
        ctx.obj.record_kinds(),
        before=bars_before.date() if bars_before else None,
        keep_days=keep_days,
        equity=equity,
        vacuum=vacuum,
    )
    words = f"deleted {pruned.bars:,} bars"
    if equity:
        words += f" and {pruned.equity_points:,} equity points"
    _show(
        pruned,
        as_json,
        f"{words} before {pruned.before:%Y-%m-%dT%H:%M:%SZ}; the file has {pruned.bytes:,} bytes",
    )


def _show(result: Any, as_json: bool, words: str) -> None:
    fields = dataclasses.asdict(result)
    click.echo(json.dumps(fields, default=datetime.isoformat) if as_json else words)
