"""Interrupted while it starts, and libraries that warn where warnings are errors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest

pytestmark = [pytest.mark.plugins, pytest.mark.slow]

INTERRUPTED_AT = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.{signal})

sys.meta_path.insert(0, Interrupt())
sys.argv = ["smabot", *{arguments!r}]
from smabot.cli import main
sys.exit(main())
"""


def interrupted_at(module: str, world: Any, *arguments: str, signal: str = "SIGINT") -> Any:
    code = INTERRUPTED_AT.format(module=module, arguments=arguments, signal=signal)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=world.folder, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("click", ["--help"]),
        ("smabot.cli.command_group", ["run"]),
        ("smabot.errors", ["status"]),
        ("pydantic", ["config", "show"]),
        ("dynaconf", ["run"]),
        ("smabot.cli.bot_run", ["run"]),
        ("smabot_exchange.data.sessions", ["run"]),
        ("smabot_persistence_sqlite.new_database", ["run"]),
        ("smabot_persistence_sqlite.record_reader", ["status"]),
    ],
)
def test_an_interrupt_while_modules_are_imported(
    module: str, arguments: list[str], world: Any
) -> None:
    done = interrupted_at(module, world, *arguments)
    assert (done.returncode, done.stderr.strip()) == (130, "smabot: interrupted")
    killed = interrupted_at(module, world, *arguments, signal="SIGTERM")
    assert (killed.returncode, killed.stderr) == (-15, "")


def test_a_second_interrupt_while_the_first_is_reported(world: Any) -> None:
    code = (
        "import signal, os, sys\nfrom smabot.cli import main\nfrom smabot.cli.app import App\n"
        "App.fail = lambda *a, **k: os.kill(os.getpid(), signal.SIGINT)\n"
        "App.loaded = App.fail\nsys.argv = ['smabot', 'config', 'show']\nsys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=world.folder, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr.strip()) == (130, "")


@pytest.mark.parametrize("broker", ["exchange", "alpaca"])
def test_a_library_that_warns_ends_nothing(broker: str, world: Any, undisturbed: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "smabot", "run", "--broker", broker],
        cwd=world.folder, env=os.environ | {"PYTHONWARNINGS": "error"}, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    warned = [line for line in done.stderr.splitlines() if "Warning" in line]
    assert [line for line in warned if re.match(r"\S*/(core|plugins/\w+)/smabot", line)] == []
    if broker == "exchange":
        assert world.tables() == undisturbed
