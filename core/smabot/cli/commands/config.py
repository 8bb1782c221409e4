"""`smabot config show` and `smabot config check`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import click

from smabot.cli import output
from smabot.errors import ConfigError, suggest
from smabot.system.redaction import MASK

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
    shown = loaded.shown(_tables(app, loaded))
    if key is not None:
        under = {dotted: v for dotted, v in shown.items() if f"{dotted}.".startswith(f"{key}.")}
        if not under:
            raise ConfigError(f"no setting '{key}'{suggest(key, shown)}")
        shown = under
    rows = [
        (dotted, _text(value), *([f"({loaded.origin(dotted)})"] if origin else []))
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


def _tables(app: App, loaded: Loaded) -> dict[str, Any]:
    """Return the plugins' tables: of those that can be loaded with their defaults, of others as set, and
    masked, as any of their values may be a secret."""
    from smabot.hooks.discovery import discover, named_by, settings_named

    tables = _masked(None, loaded.config.plugin)
    sound = app.plugins().names
    named = named_by(loaded.config)
    for name in discover(named):
        values = loaded.config.table(name)
        if not values and name not in sound:
            continue
        model = settings_named(name, named)
        if model is not None and name in sound:
            values = model.model_validate(values).model_dump(mode="json")
        if values:
            _put(tables, name, _masked(model, values))
    return tables


def _put(tables: dict[str, Any], name: str, values: dict[str, Any]) -> None:
    *path, last = name.split(".")
    for part in path:
        tables[part] = dict(tables.get(part, {}))
        tables = tables[part]
    tables[last] = values


def _masked(model: Any, values: dict[str, Any], path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a table with the values of declared secrets masked; without a model any may be one."""
    from smabot.settings.values import holds_secret

    masked = dict(values)
    for name, value in values.items():
        secret = model is None or holds_secret(model, (*path, name))
        if isinstance(value, dict):
            masked[name] = _masked(model, value, (*path, name))
        elif secret and value not in (None, "") and not isinstance(value, bool):
            masked[name] = MASK
    return masked


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
