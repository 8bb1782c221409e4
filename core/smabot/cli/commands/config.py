"""`smabot config show` and `smabot config check`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import click

from smabot.cli import output
from smabot.cli.shown_settings import setting_text, shown_settings
from smabot.errors import ConfigError, suggest

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.settings.loading import Loaded


_NO_FILES = ("simulated", "made")
"""What `data` may be instead of a path: a simulated market, by its name and its old name."""


@click.group()
def config() -> None:
    """Show or check the settings."""


@config.command()
@click.argument("key", required=False)
@click.option("--origin", is_flag=True, help="Also show where each value comes from.")
@click.pass_obj
def show(app: App, key: str | None, origin: bool) -> None:
    """Show all settings in force, or KEY and what is under it.

    Secrets are masked.
    """
    loaded = app.loaded()
    shown = shown_settings(loaded, app.plugins().names)
    if key is not None:
        under = {dotted: v for dotted, v in shown.items() if f"{dotted}.".startswith(f"{key}.")}
        if not under:
            raise ConfigError(f"no setting '{key}'{suggest(key, shown)}")
        shown = under
    rows = [
        (dotted, setting_text(value), *([f"({loaded.origin(dotted)})"] if origin else []))
        for dotted, value in shown.items()
    ]
    data: Any = shown
    if origin:
        data = {d: {"value": v, "origin": loaded.origin(d)} for d, v in shown.items()}
    app.emit(data, output.table(("setting", "value", "origin")[: 3 if origin else 2], rows))


@config.command()
@click.pass_obj
def check(app: App) -> None:
    """Check all settings, the plugins' too; exit code 3 if one is wrong."""
    from smabot.hooks.plugins import Plugins

    loaded = app.loaded()
    _require_data(loaded)
    names = Plugins.load(loaded.config, origins=loaded.origins).names
    changed = sum(1 for dotted in loaded.shown() if loaded.origin(dotted) != "default")
    data = {"ok": True, "mode": loaded.config.mode, "plugins": names, "set": changed}
    app.emit(
        data,
        [
            f"{loaded.config.mode}: all settings valid, {changed} changed",
            *textwrap.wrap(f"plugins: {', '.join(names)}", 80, subsequent_indent="  "),
        ],
    )


def _require_data(loaded: Loaded) -> None:
    """Raise ConfigError where the data file that the settings name is not there."""
    from pathlib import Path

    data = loaded.config.data
    if data is None or data.partition(":")[0] in _NO_FILES:
        return
    path = Path(data).expanduser()
    if not path.exists():
        names = (each.name for each in path.parent.iterdir()) if path.parent.is_dir() else ()
        raise ConfigError(
            f"data = {data!r} ({loaded.origin('data')}): no such file or folder{suggest(path.name, names)}; "
            "`smabot data check FILE` shows what is in one"
        )
