"""The checks of `smabot doctor` that core makes: Python, packages, files, disk, agreement with the broker."""

from __future__ import annotations

import os
import platform
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, closing
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any, cast

from smabot.domain.blocks import require_blocking_plugins
from smabot.domain.book import Book
from smabot.engine.start.book_restore import restore_book
from smabot.errors import BrokerError, ConfigError, RiskHalt, SmabotError
from smabot.hooks.discovery import discover
from smabot.hooks.findings import Finding
from smabot.hooks.plugins import Plugins
from smabot.hooks.recovery_answers import Recovery
from smabot.settings.model import Config
from smabot.system.paths import file_exists
from smabot.system.redaction import SECRETS_FILE

LITTLE_DISK, NO_DISK = 1_000_000_000, 50_000_000
"""Free bytes below which a disk is a warning, and below which a failure."""
OLDEST_PYTHON = (3, 11)
CODES = (3, 4, 6)


def python_and_packages() -> Iterator[Finding]:
    """Check Python and the installed packages."""
    python = platform.python_version()
    where = f"{python} on {platform.system()} {platform.machine()}"
    if tuple(map(int, platform.python_version_tuple()[:2])) < OLDEST_PYTHON:
        yield Finding.failure("python", f"{where}: smabot needs 3.11 or newer")
    else:
        yield Finding.ok("python", where)
    yield from _packages()


def _packages() -> Iterator[Finding]:
    ours = {"smabot": distribution("smabot")} | {
        point.dist.name: point.dist
        for points in discover().values()
        for point in points
        if point.dist
    }
    wrong = [line for each in ours.values() for line in _unmet(each)]
    for line in wrong:
        yield Finding.failure("packages", line)
    if not wrong:
        told = ", ".join(f"{name} {each.version}" for name, each in sorted(ours.items()))
        yield Finding.ok("packages", told)


def _unmet(found: Distribution) -> Iterator[str]:
    """Yield what a distribution needs and does not have."""
    from packaging.requirements import Requirement

    for line in found.requires or ():
        need = Requirement(line)
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        try:
            there = version(need.name)
        except PackageNotFoundError:
            yield f"{found.name} needs {need.name}, which is not installed: `pip install {need.name}`"
            continue
        if not need.specifier.contains(there, prereleases=True):
            yield (
                f"{found.name} needs {need.name}{need.specifier}, installed is {there}: "
                f"`pip install '{need.name}{need.specifier}'`"
            )


def secrets_file(settings: Path | None) -> Finding:
    """Check the secrets file beside the settings."""
    file = (settings or Path("settings.toml")).with_name(SECRETS_FILE)
    try:
        there = file_exists(file, str(file))
    except ConfigError as error:
        return Finding.failure("secrets", str(error))
    if not there:
        return Finding.ok("secrets", f"no {file}")
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        return Finding.failure(
            "secrets", f"{file}: others may read it (mode {mode:04o}): run `chmod 600 {file}`"
        )
    return Finding.ok("secrets", f"{file}, for you alone (mode {mode:04o})")


def database_folder(config: Config) -> Iterator[Finding]:
    """Check the folder of the database, and its free disk space."""
    try:
        file_exists(config.db, f"database {config.db}")
    except ConfigError as error:
        yield Finding.failure("folder", str(error))
        return
    wanted = config.db.resolve().parent
    there = next(path for path in (wanted, *wanted.parents) if path.exists())
    if not there.is_dir() or not os.access(
        there, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids
    ):
        yield Finding.failure("folder", f"{there}: can't be written: check its rights")
    else:
        made = "" if there == wanted else f"; {wanted} is created by the first run"
        yield Finding.ok("folder", f"{there} can be written{made}")
    free = shutil.disk_usage(there).free
    words = f"{free / 1e9:,.1f} GB free at {there}"
    if free < NO_DISK:
        yield Finding.failure("disk", f"{words}: make room, the next commit may fail")
    elif free < LITTLE_DISK:
        yield Finding.warning("disk", f"{words}: make room soon")
    else:
        yield Finding.ok("disk", words)


def plugin_findings(config: Config, plugins: Plugins) -> Iterator[Finding]:
    """Ask each plugin for its findings. An error of a plugin is itself a finding."""
    for name, found in plugins.diagnose(config):
        if isinstance(found, SmabotError):
            code = found.exit_code if found.exit_code in CODES else 3
            yield Finding.failure(name, str(found), code)
        else:
            yield from found


def agreement_with_broker(config: Config, plugins: Plugins) -> Iterator[Finding]:
    """Compare the database with the broker, where no bot runs on it; writes to neither."""
    name = "agreement"
    try:
        if not file_exists(config.db, f"database {config.db}"):
            yield Finding.ok(name, "nothing to compare: there is no database yet")
            return
        yield from _comparison_findings(config, plugins)
    except BrokerError as error:
        yield Finding.failure(name, str(error), 4)
    except ConfigError as error:
        yield Finding.failure(name, str(error))
    except SmabotError as error:
        yield Finding.warning(name, f"not compared: {error}")


def _block_findings(book: Book, plugins: Plugins) -> Iterator[Finding]:
    """Warn where a start would be refused because a plugin that holds a block is left out."""
    if book.point is not None:
        book.now = book.point.time
    try:
        require_blocking_plugins(book, plugins.names)
    except RiskHalt as error:
        yield Finding.warning("blocks", f"a start ends with exit code 5: {error}")


def _comparison_findings(config: Config, plugins: Plugins) -> Iterator[Finding]:
    with ExitStack() as opened:
        rows = opened.enter_context(closing(plugins.open_rows(config)))
        if rows.in_use():
            yield Finding.ok("agreement", "a bot runs on the database, and compares by itself")
            return
        book = Book()
        restore_book(book, rows, plugins)
        yield from _block_findings(book, plugins)
        if book.account is None:
            yield Finding.ok("agreement", "nothing to compare: no run has got as far as the broker")
            return
        broker = opened.enter_context(closing(plugins.open_broker(config)))
        feed = opened.enter_context(closing(plugins.open_feed(config)))
        book.calendar = broker.calendar()
        symbols = feed.tradable(config.symbols)
        recovery = Recovery(config, book, cast(Any, rows), broker, feed, symbols)
        found = plugins.reconcile(recovery)
    if found is None:
        yield Finding.warning("agreement", "no plugin compares: add reconciliation to base_plugins")
        return
    for conflict in found.conflicts:
        yield Finding.failure(
            "agreement",
            f"{conflict.kind} {conflict.what}: here {conflict.here}, at the broker "
            f"{conflict.there}; resolve: {conflict.resolve}",
            6,
        )
    if not found.conflicts:
        yield Finding.ok("agreement", "; ".join(("database and broker agree", *found.notes)))
