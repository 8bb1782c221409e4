"""`smabot new strategy`: makes a package of a new strategy, with tests, checks and a way to publish it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from smabot.cli.app import App


@click.group()
def new() -> None:
    """Make a package to develop, test and publish."""


@new.command()
@click.argument("name")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where to write it. [./smabot-NAME]",
)
@click.pass_obj
def strategy(app: App, name: str, folder: Path | None) -> None:
    """Make the package of a strategy NAME, to publish or to keep.

    It has a strategy that works, tests, tox.ini, workflows and a README. Nothing is overwritten.
    """
    from smabot.cli.help.program_name import program_as_typed, python_as_typed
    from smabot.cli.new_files import write_new_files
    from smabot.cli.strategy_package import check_name, distribution_of, strategy_package

    check_name(name)
    folder = folder or Path(distribution_of(name))
    another = f"smabot new strategy {name} --folder {shlex.quote(f'{folder}-2')}"
    files = write_new_files(folder, strategy_package(name), another)
    moved = folder if folder.resolve() != Path.cwd() else None
    smabot, python = program_as_typed(moved), python_as_typed(moved)
    steps = [f"cd {shlex.quote(str(folder))}"] if moved is not None else []
    steps += [
        f"{python} -m pip install -e '.[test]'",
        f"{python} -m pytest",
        f"{smabot} verify {name}",
        f"{smabot} run --plugins {name},risk --broker exchange --speed max",
    ]
    data = {
        "name": name, "folder": str(folder), "files": [str(path) for path in files], "next": steps,
    }  # fmt: skip
    app.emit(
        data,
        [
            f"wrote {len(files)} files to {folder if moved is not None else 'the current folder'}",
            "",
            "install it here, then test, verify and run it:",
            *(f"  {step}" for step in steps),
            "",
            f"then change smabot_{name}/strategy.py and its tests.",
            "README.md says how to publish it. The license is yours to choose.",
        ],
    )
