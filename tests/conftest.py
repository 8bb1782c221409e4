"""Worlds to test in: a tape, a database, a ledger and a bot over them, in a temporary folder."""

from __future__ import annotations

import asyncio
import codecs
import csv
import ctypes
import gc
import importlib.metadata
import os
import pkgutil
import pty
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import hypothesis
import pytest

from smabot.system.redaction import Redactor

hypothesis.settings.register_profile(
    "same every time",
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("same every time")

for _key in ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "CREDENTIALS_DIRECTORY"):
    os.environ.pop(_key, None)  # no test may trade in the account of whoever runs it

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # as in a shell's background job: bots inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(process: Any, kind: Any, error: Any, trace: Any) -> None:
    """A test that fails does not wait for the program that it started."""
    if kind is not None:
        process.kill()
    _wait_for(process, kind, error, trace)


_wait_for = subprocess.Popen.__exit__
subprocess.Popen.__exit__ = _leave  # type: ignore[method-assign]


_read_installed = importlib.metadata.entry_points


@cache
def _installed(path: tuple[str, ...], **wanted: str) -> Any:
    return _read_installed(**wanted)


# Every start of a bot reads what is installed; here it stays the same for as long as the path does.
importlib.metadata.entry_points = lambda **wanted: _installed(tuple(sys.path), **wanted)

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
COLUMNS = ("symbol", "timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap")
CAPABILITIES_V3 = 0x20080522  # see capget(2)
MEMORY, ROOM = Path("/dev/shm"), 2 << 30
OVERRIDE_RIGHTS = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
PLUGINS = {
    "persistence_sqlite",
    "reconciliation",
    "alpaca",
    "exchange",
    "sma",
    "risk.circuit_breaker",
    "risk.daily_limits",
}
SPY_TAPE = Path(__file__).parents[2] / "shared/data/minute/pyalgotrade/SPY.csv.gz"


def pytest_configure(config: pytest.Config) -> None:
    """Keep the files of tests in memory where there is room: thousands of databases wait for no disk."""
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, for tests also wait."""
    ours = getattr(os, "sched_getaffinity", None)  # not on macOS
    return (len(ours(0)) if ours else os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take longest, so that several workers end together."""
    items.sort(key=_seconds, reverse=True)


def _seconds(item: pytest.Item) -> float:
    """About how long a slow test takes, where its mark says so."""
    slow = item.get_closest_marker("slow")
    return 0 if slow is None else slow.kwargs.get("seconds", 0)


def pytest_collection_finish() -> None:
    """Keep modules and collected tests out of every later collection of garbage, also in forks."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what plays on the plugins that smabot comes with where they are not all installed."""
    installed = {point.name for point in importlib.metadata.entry_points(group="smabot")}
    if item.get_closest_marker("plugins") and (missing := PLUGINS - installed):
        pytest.skip(f"not installed: {', '.join(sorted(missing))}")


def write_tape(
    path: Path,
    closes: Mapping[str, Sequence[float | None]],
    *,
    volume: float = 10_000,
    start: datetime = OPEN,
) -> Path:
    """Write a tape whose bars open at the minute before's close, a minute a value; None: no bar."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for minute in range(max(map(len, closes.values()))):
            time = (start + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ")
            for symbol, values in closes.items():
                end = values[minute] if minute < len(values) else None
                if end is not None:
                    before = values[max(minute - 1, 0)]
                    begin = end if before is None else before
                    high, low = max(begin, end), min(begin, end)
                    writer.writerow([symbol, time, begin, high, low, end, volume, "", ""])
    return path


def dump(db: Path, *, without: Sequence[str] = ("runs",)) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table of a database, but those left out."""
    connection = sqlite3.connect(f"file:{db}?mode=ro", uri=True)
    try:
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        names = sorted(name for (name,) in connection.execute(query) if name not in without)
        return {
            name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for name in names
        }
    finally:
        connection.close()


# -- smabot in a process of its own ----------------------------------------------------------------


class Fork:
    """`smabot` in a fork of this process, which costs little: all that it may import is there already.

    For what is the interpreter's own (its encoding, its end, what it imports) run the executable.
    """

    def __init__(self) -> None:
        codecs.lookup("utf-8-sig")
        points = importlib.metadata.entry_points(group="smabot")
        plugins = {point.module.partition(".")[0] for point in points}
        for package in map(importlib.import_module, ["smabot", *sorted(plugins)]):
            for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
                if not module.name.endswith("__main__") and ".migrations." not in module.name:
                    importlib.import_module(module.name)
        for name in ("dynaconf", "packaging.requirements", "rich.progress", "rich.table"):
            importlib.import_module(name)
        if "smabot_exchange" in plugins:
            importlib.import_module("smabot_exchange.data.sessions").session_on(date(2026, 3, 2))

    def __call__(
        self,
        arguments: Sequence[str],
        variables: Mapping[str, str],
        folder: Path,
        before: Callable[[], None] = lambda: None,
        typed: str | None = None,
    ) -> tuple[int, str, str]:
        """Run a command in a folder, with more environment variables; return code, stdout and stderr.

        ``typed``: on a terminal on which this is typed, though nothing is shown there.
        """
        if typed is None:
            keyboard, stdin = None, os.open(os.devnull, os.O_RDONLY)
        else:
            keyboard, stdin = pty.openpty()
            os.write(keyboard, typed.encode())
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            child = os.fork()
            if child == 0:
                try:
                    os.chdir(folder)
                    for number, file in enumerate((stdin, out.fileno(), err.fileno())):
                        os.dup2(file, number)
                    self.become(arguments, variables, before)
                finally:
                    os._exit(99)
            _, status = os.waitpid(child, 0)
            said = [(file.seek(0), file.read())[1] for file in (out, err)]
        for terminal in (stdin, keyboard):
            if terminal is not None:
                os.close(terminal)
        return os.waitstatus_to_exitcode(status), *said

    @staticmethod
    def become(
        arguments: Sequence[str],
        variables: Mapping[str, str],
        before: Callable[[], None] = lambda: None,
    ) -> NoReturn:
        """Run a command in this process, which was forked for it, and end."""
        from smabot.cli import main

        code = 99
        try:
            sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
            sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace")
            os.environ.update(variables)
            sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
            before()
            code = main(arguments)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


@pytest.fixture(scope="session")
def fork() -> Fork:
    return Fork()


# -- what tests share --------------------------------------------------------------------------------


@pytest.fixture
def spy_tape() -> Path:
    """The real SPY sessions, where they lie beside the checkout."""
    if not SPY_TAPE.exists():
        pytest.skip("the real tape is not here")
    return SPY_TAPE


@pytest.fixture(scope="session")
def tape_writer() -> Any:
    return write_tape


@pytest.fixture
def dumper() -> Any:
    return dump


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder, without any SMABOT_ variable, and without plugin files that were imported from a
    folder of that name before."""
    for name in [name for name in sys.modules if name.endswith(".py")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in os.environ if name.startswith("SMABOT")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def unprivileged() -> Callable[[], AbstractContextManager[None]]:
    """A context in which the rights of files count, also for root."""

    @contextmanager
    def unprivileged() -> Iterator[None]:
        if os.geteuid() != 0:
            yield
            return
        libc = ctypes.CDLL(None, use_errno=True)
        header = (ctypes.c_uint32 * 2)(CAPABILITIES_V3, 0)
        sets = (ctypes.c_uint32 * 6)()
        assert libc.capget(header, sets) == 0
        effective = sets[0]
        sets[0] = effective & ~OVERRIDE_RIGHTS
        assert libc.capset(header, sets) == 0
        try:
            yield
        finally:
            sets[0] = effective
            assert libc.capset(header, sets) == 0

    return unprivileged


@pytest.fixture(autouse=True, scope="session")
def _servers_end_at_once() -> None:
    """Let uvicorn, which looks every tenth of a second whether to end, look more often."""
    if (server := sys.modules.get("uvicorn.server")) is not None:
        server.asyncio = SimpleNamespace(  # type: ignore[attr-defined]
            **{**vars(asyncio), "sleep": lambda seconds: asyncio.sleep(seconds / 20)}
        )


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The register of secrets is the process's: each test begins with an empty one."""
    monkeypatch.setattr("smabot.system.redaction._register", Redactor())
