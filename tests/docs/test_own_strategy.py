"""The strategies on README and docs/plugins.md, run, built and installed from the text of the pages."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "plugins.md"
README = ROOT / "README.md"
SMABOT = str(Path(sys.executable).with_name("smabot"))
SHARED = """
[default]
plugins = ["streak", "risk"]
data = "tape.csv"
speed = "max"
"""
FALLS_TWICE = [10, 11, 12, 13, 13, 12, 11, 10, 11, 12, 13, 13, 12, 11, 10, 11, 12, 13, 14]


def files_of_the_page() -> dict[str, str]:
    blocks = r"^\*\*`([\w.]+)`\*\*\n\n```\w+\n(.*?)```"
    return dict(re.findall(blocks, PAGE.read_text(), re.S | re.M))


def write_distribution(folder: Path) -> None:
    folder.mkdir()
    files = files_of_the_page()
    del files["rising.py"]
    for name, text in files.items():
        (folder / name).write_text(text)
    assert sorted(files) == ["pyproject.toml", "smabot_streak.py", "test_streak.py"]


def of_section(page: Path, title: str) -> tuple[str, list[str]]:
    """The first Python block of a section, and its lines for a shell."""
    _, _, rest = page.read_text().partition(f"## {title}\n")
    section = re.split(r"^## ", rest, maxsplit=1, flags=re.M)[0]
    (code, *_) = re.findall(r"```python\n(.*?)```", section, re.S)
    lines = [
        line
        for block in re.findall(r"```sh\n(.*?)```", section, re.S)
        for line in block.splitlines()
    ]
    return code, lines


@pytest.mark.slow
@pytest.mark.plugins
@pytest.mark.parametrize(
    ("page", "title"), [(README, "Your own strategy"), (PAGE, "Begin with a file")]
)
def test_the_nine_lines_run_as_they_are_shown(in_tmp: Path, page: Path, title: str) -> None:
    code, lines = of_section(page, title)
    assert len(code.splitlines()) <= 9
    (in_tmp / "rising.py").write_text(code)
    environ = {**os.environ, "PATH": f"{Path(SMABOT).parent}:{os.environ['PATH']}"}
    assert lines[0].startswith("smabot run --plugins ./rising.py,risk ")
    for line in lines:
        done = subprocess.run(
            line, shell=True, env=environ, capture_output=True, text=True, timeout=120
        )
        assert (done.returncode, done.stderr) == (0, ""), line
    with closing(sqlite3.connect(in_tmp / "data" / "rising.db")) as db:
        assert db.execute("SELECT DISTINCT strategy FROM trades").fetchall() == [("rising",)]


def test_the_pages_show_one_strategy() -> None:
    assert of_section(README, "Your own strategy")[0] == files_of_the_page()["rising.py"]


@pytest.fixture
def installed(in_tmp: Path, tape_writer: Any) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Build the page's distribution, install it beside this environment, run commands with it."""
    write_distribution(in_tmp / "smabot-streak")
    tape_writer(in_tmp / "tape.csv", {"SPY": FALLS_TWICE})
    (in_tmp / "settings.toml").write_text(SHARED)

    def call(*command: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "PYTHONPATH": str(in_tmp / "site")}
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)

    built = call(
        sys.executable, "-m", "uv", "pip", "install", "--no-deps", "--target", "site",
        "--python", sys.executable, "./smabot-streak",
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return call


@pytest.mark.slow
def test_the_strategy_is_built_installed_tested_and_run_by_name(
    installed: Callable[..., subprocess.CompletedProcess[str]], in_tmp: Path
) -> None:
    tested = installed(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "smabot-streak"
    )
    assert tested.returncode == 0, tested.stdout

    assert re.search(
        r"^  streak +Show the losing trades of each symbol\.",
        installed(SMABOT, "--help").stdout,
        re.M,
    )
    wrong = installed(SMABOT, "run", "--plugins", "streek")
    assert "did you mean 'streak'?" in wrong.stderr

    ran = installed(SMABOT, "run")
    assert ran.returncode == 0, ran.stderr
    assert "BUY signal at 13.00 by streak  rising" in ran.stdout
    shown = installed(SMABOT, "streak")
    assert (shown.returncode, shown.stdout.splitlines()[1:]) == (0, ["SPY: 2 on 2026-03-02"])
    with closing(sqlite3.connect(in_tmp / "data" / "trades.db")) as db:
        sides = db.execute("SELECT side FROM trades WHERE strategy = 'streak' ORDER BY time")
        assert [side for (side,) in sides] == ["buy", "sell", "buy", "sell"]
        assert db.execute("SELECT symbol, count FROM streak_losses").fetchall() == [("SPY", 2)]

    again = installed(SMABOT, "run", "--json")
    assert '"fills": 4' in again.stdout
