"""`smabot simulate`: kills a bot at every boundary, under faults, on a simulated exchange."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smabot.cli.broker_options import PLUGINS_OPTION, with_options

if TYPE_CHECKING:
    from smabot.cli.app import App


@click.command()
@with_options(PLUGINS_OPTION)
@click.option("--seeds", type=click.IntRange(1), metavar="N", help="Play so many schedules. [100]")
@click.option(
    "--kills", type=click.IntRange(1), metavar="N", help="Play until so many kills count."
)
@click.option(
    "--pairs", type=click.IntRange(1), metavar="N",
    help="Prefer seeds that bring boundaries and faults together that met fewer than N times.",
)  # fmt: skip
@click.option(
    "--first", type=click.IntRange(0), default=0, metavar="SEED", help="Begin with this seed."
)
@click.option("--jobs", type=click.IntRange(1, 256), default=1, metavar="N", help="Processes. [1]")
@click.option(
    "--faults",
    metavar="NAMES",
    help="Only these kinds of faults, separated by commas; `none`, or `list`.",
)
@click.option(
    "--broker", type=click.Choice(["alpaca"]),
    help="Play with this plugin's own broker and feed, over requests and frames. [simulated ones]",
)  # fmt: skip
@click.option(
    "--replay", metavar="SEED|FILE", help="Play one schedule again, and show what happened."
)
@click.option(
    "--resume", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Add to what this file sums up, and keep the sums there.",
)  # fmt: skip
@click.pass_obj
def simulate(
    app: App, /, plugins: tuple[str, ...], seeds: int | None, kills: int | None, pairs: int | None,
    first: int, jobs: int, faults: str | None, broker: str | None, replay: str | None, resume: Path | None,
) -> int:  # fmt: skip
    """Kill a bot anywhere, under faults, and check what must hold.

    Bot and exchange run in this process under a virtual clock. Nothing is traded, and no database is
    touched. Exit code 1: a rule was broken.
    """
    from smabot.cli.simulation_run import SimulationOptions, replay_schedule, simulate_many

    options = SimulationOptions(
        plugins, tuple(_names(faults or "")),
        seeds, kills, pairs or 0, first, jobs, resume, broker or "",
    )  # fmt: skip
    return replay_schedule(app, options, replay) if replay else simulate_many(app, options)


def _names(text: str) -> Sequence[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
