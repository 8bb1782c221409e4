"""Runs that go wrong: the command's own entry in a process of its own, over a short tape."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

Dump = dict[str, list[tuple[Any, ...]]]
SMABOT = str(Path(sys.executable).with_name("smabot"))
WAVES = {
    symbol: [
        round(price + 3 * math.sin(minute / 2.7 + shift) + 0.01 * minute, 2) for minute in range(40)
    ]
    for shift, (symbol, price) in enumerate({"SPY": 500.0, "IBM": 90.0}.items())
}
SETTINGS = """
[default]
data = "tape.csv"
speed = "max"
[default.plugin.sma]
fast = 2
slow = 5
"""


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line on stderr; anything more, or a traceback, fails."""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("smabot: ")
        assert "internal error" not in self.err
        return self.err.removeprefix("smabot: ").rstrip("\n")


class World:
    """A folder with a tape and settings, and the bot that is run in it."""

    def __init__(self, folder: Path, dump: Callable[..., Dump], fork: Callable[..., Any]) -> None:
        self.folder = folder
        self._fork = fork
        self.db = folder / "data/trades.db"
        self.ledger = folder / "data/trades.exchange.db"
        self._dump = dump

    def run(
        self,
        *arguments: str,
        plugins: Path | None = None,
        before: Callable[[], None] = lambda: None,
        typed: str | None = None,
        **variables: str,
    ) -> Result:
        """Run the command's entry in a forked process, with the distributions of a folder."""
        more = {} if plugins is None else {"PYTHONPATH": str(plugins)}
        return Result(*self._fork(arguments, variables | more, self.folder, before, typed))

    def execute(self, *arguments: str, **variables: str) -> Result:
        """Run the real executable."""
        done = subprocess.run(
            [SMABOT, *arguments], cwd=self.folder, env=os.environ | variables,
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start the real executable and leave it running."""
        return subprocess.Popen(
            [SMABOT, *arguments], cwd=self.folder, env=os.environ | variables, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def half_way(self) -> None:
        """Run until the middle of the tape, once for all tests: the others get its files."""
        if not _half_way:
            assert self.run("run", "--until", "2026-03-02T14:50:00Z").code == 0
            _half_way.update(
                (path.name, path.read_bytes())
                for path in self.db.parent.iterdir()
                if path.is_file()
            )
        self.db.parent.mkdir(exist_ok=True)
        for name, content in _half_way.items():
            (self.db.parent / name).write_bytes(content)

    def wait_ready(self, running: subprocess.Popen[str]) -> None:
        """Wait until a started bot trades."""
        assert running.stdout is not None
        assert any("ready in" in line for line in running.stdout)

    def dump(self, table: str) -> list[tuple[Any, ...]]:
        """All rows of a table."""
        return self._dump(self.db, without=())[table]

    def tables(self, *without: str) -> Dump:
        """All rows but those that tell of processes; each ledger's account has an id of its own."""
        tables = self._dump(self.db, without=("runs", "commands", *without))
        return {**tables, "account": [row[1:] for row in tables["account"]]}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SMABOT")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SMABOT_BROKER", "exchange")


@pytest.fixture
def make_world(
    tmp_path: Path,
    tape_writer: Callable[..., Path],
    dumper: Callable[..., Dump],
    fork: Callable[..., Any],
) -> Callable[..., World]:
    """Lay out a folder to run in."""

    def make(name: str, within: Path = tmp_path) -> World:
        folder = within / name
        folder.mkdir()
        tape_writer(folder / "tape.csv", WAVES)
        (folder / "settings.toml").write_text(SETTINGS)
        return World(folder, dumper, fork)

    return make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world("world")


_whole: list[Dump] = []
_half_way: dict[str, bytes] = {}


@pytest.fixture
def undisturbed(make_world: Callable[..., World]) -> Dump:
    """The tables of a run that nothing happened to."""
    if not _whole:
        world = make_world("undisturbed")
        assert world.run("run").code == 0
        _whole.append(world.tables())
    return _whole[0]


def install(folder: Path, name: str, code: str, requires: str = "smabot>=0.1") -> Path:
    """Lay out a distribution as pip would, with one plugin: the class ``Plugin`` of its module."""
    module = f"{name}_module"
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{module}.py").write_text(code)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: {requires}\n"
    )
    (info / "entry_points.txt").write_text(f"[smabot]\n{name} = {module}:Plugin\n")
    return folder


@pytest.fixture
def installed(tmp_path: Path) -> Callable[..., Path]:
    """Install a plugin into a folder that can be put on the path."""

    def make(name: str, code: str, requires: str = "smabot>=0.1") -> Path:
        return install(tmp_path / f"site-{name}", name, code, requires)

    return make
