"""`smabot init`: what it writes runs as it is, is what the pages show, and overwrites nothing."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smabot.cli.starter_files import SETTINGS, starter_files
from smabot.settings.loading import load
from smabot.settings.model import Config

Call = Callable[..., Any]
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def without_comments(text: str) -> str:
    lines = [re.sub(r"\s*#.*", "", line) for line in text.splitlines()]
    return "\n".join(lines).strip()


def run(line: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Type a line into a shell."""
    environ = {"PATH": "/usr/bin:/bin", **more}
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environ, capture_output=True, text=True, timeout=400
    )


@pytest.mark.slow
@pytest.mark.plugins
def test_what_it_makes_runs_and_what_it_prints_can_be_typed(in_tmp: Path) -> None:
    (in_tmp / "my env").symlink_to(BIN.parent)
    made = run("'my env/bin/smabot' init 'my bot'", in_tmp)
    assert (made.returncode, made.stderr) == (0, "")
    steps = [line.strip() for line in made.stdout.splitlines() if line.startswith("  ")]
    assert steps[:2] == ["cd 'my bot'", "'../my env/bin/smabot' run --speed max"]
    done = run(" && ".join(steps), in_tmp)
    assert (done.returncode, done.stderr) == (0, "")
    assert "by strategy" in done.stdout
    assert "end of the data" in done.stdout
    assert sorted(path.name for path in (in_tmp / "my bot").iterdir()) == [
        ".gitignore", "data", "settings.toml", "strategy.py",
    ]  # fmt: skip
    status = run("'../my env/bin/smabot' status", in_tmp / "my bot")
    assert "not loaded" not in status.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "path", "first"),
    [
        ("smabot init bot", f"{BIN}:/usr/bin:/bin", "smabot run --speed max"),
        (f"{BIN}/smabot init bot", "/usr/bin:/bin", f"{BIN}/smabot run --speed max"),
        ("python -m smabot init bot", f"{BIN}:/usr/bin:/bin", "python -m smabot run --speed max"),
    ],
)
def test_the_program_is_named_as_it_is_reached(
    in_tmp: Path, typed: str, path: str, first: str
) -> None:
    made = run(typed, in_tmp, PATH=path)
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[3:5] == ["  cd bot", f"  {first}"]


def test_without_a_folder_it_is_the_current_one(call: Call) -> None:
    made = call("init", "--json").json
    assert made["files"] == ["settings.toml", "strategy.py", ".gitignore"]
    assert not any(step.startswith("cd") for step in made["next"])
    assert {path.name for path in Path().iterdir()} == set(made["files"])
    assert all(shlex.split(step) for step in made["next"])


@pytest.mark.parametrize("there", ["settings.toml", "strategy.py", ".gitignore"])
def test_it_overwrites_nothing(call: Call, there: str) -> None:
    Path("bot").mkdir()
    Path("bot", there).write_text("mine")
    result = call("init", "bot")
    assert (result.code, result.out) == (3, "")
    assert result.err == (
        f"smabot: bot/{there} is there already: nothing was written; give another folder, as `smabot "
        "init bot`\n"
    )
    assert [path.name for path in Path("bot").iterdir()] == [there]
    assert Path("bot", there).read_text() == "mine"


def test_a_link_that_leads_nowhere_is_something_too(call: Call) -> None:
    Path("strategy.py").symlink_to("elsewhere.py")
    assert call("init").code == 3
    assert not Path("elsewhere.py").exists()


def test_a_folder_that_can_not_be_is_one_line(call: Call, unprivileged: Any) -> None:
    Path("file").write_text("")
    assert call("init", "file").err == (
        "smabot: file is no folder: give another name; nothing was written\n"
    )
    assert call("init", "file/bot").code == 3
    Path("locked").mkdir(mode=0o500)
    with unprivileged():
        refused = call("init", "locked")
    assert (refused.code, refused.err.count("\n")) == (3, 1)
    assert "can't be written: Permission denied; nothing was written" in refused.err


def test_its_settings_are_the_shipped_ones_but_for_the_strategy(in_tmp: Path) -> None:
    text = starter_files()["settings.toml"]
    Path("settings.toml").write_text(text)
    config = load().config
    assert config.plugins == ("./strategy.py", "risk")
    same = {"exclude": {"plugins", "plugin"}}
    assert config.model_dump(**same) == Config().model_dump(**same)
    shipped = SETTINGS.read_text().splitlines()
    changed = [n for n, line in enumerate(text.splitlines()) if line != shipped[n]]
    assert len(text.splitlines()) == len(shipped)
    assert [shipped[n].split(" = ")[0] for n in changed[1:]] == ["# plugins"]
    assert changed[0] == 0
    assert (ROOT / "settings.toml").read_text() == SETTINGS.read_text()


def test_its_strategy_is_the_one_of_the_readme() -> None:
    (shown,) = re.findall(r"```python\n(from smabot.api import Bar.*?)```", (ROOT / "README.md").read_text(), re.S)  # fmt: skip
    assert without_comments(starter_files()["strategy.py"]) == without_comments(shown)


def test_git_keeps_no_secret_and_no_database(in_tmp: Path, call: Call) -> None:
    call("init")
    for name in ("data/trades.db", ".secrets.toml", ".env", "__pycache__/x.pyc"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("")
    subprocess.run(["git", "init", "-q"], check=True)
    told = subprocess.run(
        ["git", "status", "--porcelain", "-uall"], capture_output=True, text=True, check=True
    )
    assert sorted(line[3:] for line in told.stdout.splitlines()) == [
        ".gitignore", "settings.toml", "strategy.py",
    ]  # fmt: skip
