"""`smabot init`: makes a folder with settings and a strategy to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from smabot.cli.app import App


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@click.pass_obj
def init(app: App, folder: Path) -> None:
    """Make FOLDER with settings and a strategy to begin with.

    Without FOLDER they go into the current folder. Nothing is overwritten.
    """
    from smabot.cli.help.program_name import program_as_typed
    from smabot.cli.new_files import write_new_files
    from smabot.cli.starter_files import starter_files

    files = write_new_files(folder, starter_files(), "smabot init bot")
    moved = folder if folder.resolve() != Path.cwd() else None
    smabot = program_as_typed(moved)
    steps = [f"cd {shlex.quote(str(folder))}"] if moved is not None else []
    steps += [f"{smabot} run --speed max", f"{smabot} status"]
    data = {"folder": str(folder), "files": [str(path) for path in files], "next": steps}
    names = ", ".join(path.name for path in files)
    where = folder if moved is not None else "the current folder"
    app.emit(
        data,
        [
            f"wrote {names} to {where}",
            "",
            "try it on a simulated market:",
            *(f"  {step}" for step in steps),
            "",
            "then change strategy.py and settings.toml. After a change start over with",
            "another database, or the bot resumes with what it holds:",
            f"  {smabot} run --speed max --db data/second.db",
        ],
    )
