"""`python -m smabot` is `smabot`: the same name, output, exit codes and answer to Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MODULE = [sys.executable, "-m", "smabot"]
Call = Callable[..., Any]


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"], [], ["--version"], ["run", "--help"], ["statsu"], ["status"],
        ["run", "--settings", "no.toml"],
    ],
)  # fmt: skip
def test_it_answers_as_the_script_does(
    in_tmp: Path, execute_itself: Call, arguments: list[str]
) -> None:
    script = execute_itself(*arguments)
    done = subprocess.run([*MODULE, *arguments], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == script


def test_the_help_names_the_program(in_tmp: Path) -> None:
    done = subprocess.run([*MODULE, "--help"], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("Usage: smabot ")


@pytest.mark.slow
@pytest.mark.plugins
def test_ctrl_c_is_code_130(in_tmp: Path) -> None:
    run = [*MODULE, "run", "--broker", "exchange", "--speed", "1"]
    bot = subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert bot.stdout is not None
    assert any(line.startswith("ready in ") for line in bot.stdout)
    bot.send_signal(signal.SIGINT)
    _, err = bot.communicate(timeout=60)
    assert (bot.returncode, err) == (130, "")
