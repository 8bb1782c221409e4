"""`smabot init`: makes a folder with settings and a strategy to begin with."""

from __future__ import annotations

import os
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
    from smabot.cli.starter_files import starter_files

    files = {folder / name: text for name, text in starter_files().items()}
    _refuse_to_overwrite(folder, files)
    _write(folder, files)
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


def _refuse_to_overwrite(folder: Path, files: dict[Path, str]) -> None:
    from smabot.errors import ConfigError

    if os.path.lexists(folder) and not folder.is_dir():
        raise ConfigError(f"{folder} is no folder: give another name; nothing was written")
    if there := [str(path) for path in files if os.path.lexists(path)]:
        verb = "is" if len(there) == 1 else "are"
        raise ConfigError(
            f"{', '.join(there)} {verb} there already: nothing was written; give another folder, as "
            f"`smabot init bot`"
        )


def _write(folder: Path, files: dict[Path, str]) -> None:
    """Write all files or none."""
    from smabot.errors import ConfigError

    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        where = error.filename or folder
        raise ConfigError(
            f"{where}: can't be written: {error.strerror}; nothing was written"
        ) from None
