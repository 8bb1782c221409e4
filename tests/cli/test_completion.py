"""Completion in a real bash, and what answers it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
BIN = Path(sys.executable).parent
TYPE = """
eval "$(smabot completion bash)"
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
complete -p smabot >/dev/null || exit 9
_smabot_completion smabot
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def completed(in_tmp: Path) -> Callable[[str], list[str]]:
    """Complete a line in bash; the last word, perhaps empty, is the one that is being typed."""

    def completed(line: str) -> list[str]:
        words = " ".join(f"'{word}'" for word in line.split(" "))
        done = subprocess.run(
            ["bash", "-c", TYPE.format(words=words)],
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split()

    return completed


@pytest.mark.slow
@pytest.mark.plugins
def test_bash_completes_commands_options_and_values(
    completed: Callable[[str], list[str]], in_tmp: Path
) -> None:
    (in_tmp / "rising.py").write_text("raise SystemExit('completion imports nothing')")
    assert completed("smabot re") == ["reconcile", "report", "resume"]
    assert completed("smabot br") == ["breaker"]
    assert completed("smabot config ") == ["check", "show"]
    assert completed("smabot run --sy") == ["--symbols"]
    assert completed("smabot pnl --by d") == ["day"]
    assert completed("smabot run --broker ") == ["alpaca", "exchange"]
    assert completed("smabot run --plugins ./") == ["./rising.py"]
    assert completed("smabot run --plugins sma,ri") == [
        "sma,risk", "sma,risk.circuit_breaker", "sma,risk.daily_limits",
    ]  # fmt: skip
    assert completed("smabot breaker r") == ["reset"]


@pytest.mark.slow
@pytest.mark.plugins
def test_what_is_wrong_does_not_stand_in_the_line(
    completed: Callable[[str], list[str]], in_tmp: Path
) -> None:
    (in_tmp / "settings.toml").write_text("[default\n")
    assert completed("smabot st") == ["status"]
    assert completed("smabot breaker ") == []


def test_commands_are_completed_without_a_plugin(in_tmp: Path) -> None:
    code = (
        "import sys\nfrom smabot.cli import main\nmain()\n"
        "print(*(name for name in sys.modules if name.startswith('smabot')), file=sys.stderr)"
    )
    for words in ("smabot ", "smabot run --plugins ", "smabot help r"):
        environ = {"_SMABOT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **environ}, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
        imported = done.stderr.split()
        assert "smabot.cli.command_group" in imported
        assert not [n for n in imported if n.startswith(("smabot_", "smabot.hooks"))]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(execute: Call, shell: str) -> None:
    done = execute("completion", shell)
    assert (done.code, done.err) == (0, "")
    assert f"_SMABOT_COMPLETE={shell}_complete" in done.out
    assert execute(_SMABOT_COMPLETE=f"{shell}_source").out.strip() == done.out.strip()
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=done.out, capture_output=True, text=True)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_another_shell_is_one_line(execute: Call) -> None:
    for arguments in (("completion",), ("completion", "tcsh")):
        done = execute(*arguments)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert "bash" in done.err


@pytest.mark.slow
def test_it_is_quick(in_tmp: Path, is_quick: Call) -> None:
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {
        "PYTHONPYCACHEPREFIX": str(in_tmp), "_SMABOT_COMPLETE": "bash_complete",
        "COMP_WORDS": "smabot ", "COMP_CWORD": "1",
    }  # fmt: skip

    assert is_quick([str(BIN / "smabot")], environ)
