"""`smabot plugins`: lists the installed plugins, those in files, and their hooks."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from smabot.cli.broker_options import PLUGINS_OPTION, load_settings
from smabot.errors import SmabotError

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.hooks.discovery import Source
    from smabot.settings.loading import Loaded

WIDTH = 78


@click.command()
@click.argument("names", metavar="[NAME|FILE.py]...", nargs=-1)
@PLUGINS_OPTION
@click.pass_obj
def plugins(app: App, /, names: Sequence[str], plugins: Sequence[str] | None) -> None:
    """List the installed plugins, those in files, and their hooks.

    With NAME or FILE.py only that one. For a broken one, the list says what is wrong.
    """
    from smabot.hooks.discovery import discover, named_by, select

    loaded = load_settings(app, {"plugins": plugins})
    config = loaded.config
    known = discover([*named_by(config), *names])
    selected: list[str] = []
    for name in named_by(config):
        try:
            selected += select([name], config.no_plugins, known)
        except SmabotError as error:
            app.warn(str(error))
    listed = select(names, (), known) if names else sorted(known)
    found = [_look_at(loaded, name, source, selected) for name in listed for source in known[name]]
    app.emit({"plugins": found}, _lines(found) or "no plugins are installed")


def _lines(found: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line for each plugin, and below it its hooks or what is wrong with it."""
    rows = [("plugin", "from", "selected")]
    below = [[""]]
    for each in found:
        origin = each["file"] or f"{each['distribution']} {each['version']}"
        rows.append((each["name"], origin, "yes" if each["selected"] else "no"))
        told = f"BROKEN: {each['broken']}" if each["broken"] else ", ".join(each["hooks"])
        below.append(wrap(told, WIDTH, initial_indent="  ", subsequent_indent="  "))
    name, origin = (max(len(row[place]) for row in rows) for place in (0, 1))
    heads = [f"{row[0]:<{name}}  {row[1]:<{origin}}  {row[2]}" for row in rows]
    lines = [
        line for head, more in zip(heads, below, strict=True) for line in (head, *more) if line
    ]
    return lines if found else []


def _look_at(loaded: Loaded, name: str, source: Source, selected: list[str]) -> dict[str, Any]:
    from smabot.hooks.plugin_files import PluginFile
    from smabot.hooks.plugins import Plugins

    hooks: list[str] = []
    broken = None
    file = source.value if isinstance(source, PluginFile) else None
    try:
        alone = Plugins.load(
            loaded.config.model_copy(update={"no_plugins": ()}), [file or name], loaded.origins
        )
        plugin = alone.manager.get_plugin(name)
        hooks = sorted(caller.name for caller in alone.manager.get_hookcallers(plugin) or ())
    except SmabotError as error:
        broken = " ".join(str(error).split())
    return {
        "name": name, "distribution": source.dist.name if source.dist else "",
        "version": source.dist.version if source.dist else "", "file": file,
        "selected": name in selected, "hooks": hooks, "broken": broken,
    }  # fmt: skip
