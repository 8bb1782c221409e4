"""The plugins of the last run: installed ones, and files that have to be named to be loaded again."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from smabot.domain.bot_records import BotState, Run
from smabot.domain.plugin_origins import PLUGIN_FILE
from smabot.hooks.discovery import discover, named_by

if TYPE_CHECKING:
    from smabot.hooks.ports import Rows
    from smabot.settings.model import Config


def plugins_of_last_run(rows: Rows, config: Config) -> dict[str, str]:
    """Return the names of the last run's plugins, each with its file where the settings do not name it
    now; empty for all others."""
    known = discover(named_by(config))
    files = {}
    for run in rows.rows(Run, newest_by="run_id", limit=1):
        for name in filter(None, run.plugins.split(",")):
            file = None if name in known else rows.row(BotState, name, PLUGIN_FILE)
            files[name] = _shown(file.value) if file is not None else ""
    return files


def _shown(file: str) -> str:
    """Return a path as somebody in the current folder would type it."""
    path = Path(file)
    with suppress(OSError, ValueError):
        return f"./{path.relative_to(Path.cwd())}"
    return str(path)
