"""What `smabot doctor` checks: changes nothing, and says what to do about each finding."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

import click

from smabot.cli import installation_checks as core
from smabot.cli.live_trading import check_live_settings
from smabot.cli.text_layout import width_of, wrapped
from smabot.errors import ConfigError, SmabotError, counted, one_line
from smabot.hooks.findings import Finding, Level
from smabot.hooks.plugins import Plugins
from smabot.system.redaction import redact

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.settings.loading import Loaded
    from smabot.settings.model import Config

MARKS = {Level.OK: "ok", Level.WARNING: "WARNING", Level.FAILURE: "FAILURE"}
MARK, TEXT = 8, 24
"""Columns of the mark, and where the text begins."""
STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILURE: "red"}


def show_findings(app: App, load: Callable[[], Loaded]) -> int:
    """Show the findings as they come; returns the worst one's exit code."""
    found: list[Finding] = []
    for each in _findings(app, load):
        found.append(each)
        if not app.as_json:
            click.echo("\n".join(_lines(each, app)))
    code = max((each.exit_code for each in found), default=0)
    if app.as_json:
        lines = [
            {"name": e.name, "level": e.level, "text": redact(e.text), "exit_code": e.exit_code}
            for e in found
        ]
        app.emit({"exit_code": code, "findings": lines}, "")
    failed = list(dict.fromkeys(each.name for each in found if each.level is Level.FAILURE))
    if failed:
        return app.fail(f"failed checks: {', '.join(failed)}", None, code)
    return 0


def _lines(found: Finding, app: App) -> list[str]:
    """Return a finding in the screen's width; its mark says the level, and its color only repeats it."""
    text = app.times.in_text(one_line(found.text), near=app.wall())
    plain = f"{MARKS[found.level]:<{MARK}} {found.name:<14} {text}"
    lines = wrapped(plain, width_of(sys.stdout), TEXT)
    if "NO_COLOR" not in os.environ:
        lines[0] = click.style(lines[0][:MARK], fg=STYLES[found.level]) + lines[0][MARK:]
    return lines


def _findings(app: App, load: Callable[[], Loaded]) -> Iterator[Finding]:
    yield from core.python_and_packages()
    secrets = core.secrets_file(app.settings)
    yield secrets
    if secrets.level is Level.FAILURE:
        return
    try:
        loaded = load()
    except ConfigError as error:
        yield Finding.failure("settings", str(error))
        return
    config = loaded.config
    count = sum(1 for dotted in loaded.shown() if loaded.origin(dotted) != "default")
    yield Finding.ok(
        "settings",
        f"{config.mode}, the broker is plugin {config.broker}; {counted(count, 'setting')} changed",
    )
    try:
        plugins = Plugins.load(config, origins=loaded.origins)
    except SmabotError as error:
        yield Finding.failure("plugins", str(error))
        return
    yield Finding.ok("plugins", ", ".join(plugins.names))
    if config.live:
        yield _live_settings(loaded, plugins)
    yield from _further_findings(config, plugins)


def _live_settings(loaded: Loaded, plugins: Plugins) -> Finding:
    """Look at what `run --live` needs."""
    try:
        check_live_settings(loaded.config, loaded.origins, plugins.names)
    except ConfigError as error:
        return Finding.failure("real money", str(error))
    return Finding.ok("real money", "both risk plugins, and limits that you chose")


def _further_findings(config: Config, plugins: Plugins) -> Iterator[Finding]:
    sound = True
    for each in chain(core.database_folder(config), core.plugin_findings(config, plugins)):
        sound = sound and each.level is not Level.FAILURE
        yield each
    if sound:
        yield from core.agreement_with_broker(config, plugins)
    else:
        yield Finding.ok("agreement", "not compared with the broker: fix the failures first")
