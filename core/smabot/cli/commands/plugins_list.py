"""`smabot plugins`: lists the installed plugins and their hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from smabot.cli import output
from smabot.errors import SmabotError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from smabot.cli.app import App
    from smabot.settings.loading import Loaded


@click.command()
@click.pass_obj
def plugins(app: App) -> None:
    """List the installed plugins and their hooks.

    For a broken one, the list says what is wrong.
    """
    from smabot.hooks.discovery import discover, select

    loaded, installed = app.loaded(), discover()
    config = loaded.config
    selected: list[str] = []
    for name in (*config.base_plugins, *config.plugins):
        try:
            selected += select([name], config.no_plugins, installed)
        except SmabotError as error:
            app.warn(str(error))
    found = [
        _look_at(loaded, name, point, selected)
        for name, points in sorted(installed.items())
        for point in points
    ]
    listed = output.table(
        ("plugin", "distribution", "version", "selected", "hooks"),
        (
            (
                p["name"], p["distribution"], p["version"], "yes" if p["selected"] else "no",
                f"BROKEN: {p['broken']}" if p["broken"] else ", ".join(p["hooks"]),
            )
            for p in found
        ),
    )  # fmt: skip
    app.emit({"plugins": found}, listed if found else "no plugins are installed")


def _look_at(loaded: Loaded, name: str, point: EntryPoint, selected: list[str]) -> dict[str, Any]:
    from smabot.hooks.plugins import Plugins

    hooks: list[str] = []
    broken = None
    try:
        alone = Plugins.load(
            loaded.config.model_copy(update={"no_plugins": ()}), [name], loaded.origins
        )
        plugin = alone.manager.get_plugin(name)
        hooks = sorted(caller.name for caller in alone.manager.get_hookcallers(plugin) or ())
    except SmabotError as error:
        broken = " ".join(str(error).split())
    return {
        "name": name, "distribution": point.dist.name if point.dist else "",
        "version": point.dist.version if point.dist else "",
        "selected": name in selected, "hooks": hooks, "broken": broken,
    }  # fmt: skip
