"""`no-lookahead` names the files that a strategy reads before its first bar, and refuses the data themselves."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pluggy
import pytest

from smabot.cli import main
from smabot.testing.verifying.purity_guard import is_own

AT_IMPORT = """
import csv
from pathlib import Path
from smabot.api import Bar, Signal, hookimpl

with Path("{file}").open() as file:
    ROWS = list(csv.DictReader(file))

class Informed:
    @hookimpl
    def on_bar(self, bar: Bar):
        return Signal.long(bar) if bar.close > bar.open and ROWS else Signal.flat(bar)
"""
IN_CONSTRUCTOR = """
from pathlib import Path
from smabot.api import Bar, Signal, hookimpl

class Informed:
    def __init__(self):
        self.text = Path("{file}").read_text()

    @hookimpl
    def on_bar(self, bar: Bar):
        return Signal.long(bar) if bar.close > bar.open and self.text else Signal.flat(bar)
"""


@pytest.fixture
def verify(
    in_tmp: Path, capsys: pytest.CaptureFixture[str], tape_writer: Any
) -> Callable[..., tuple[int, str]]:
    Path("data").mkdir()
    tape_writer(in_tmp / "data" / "own.csv", {"KO": [10, 11, 12, 11, 10, 11, 12] * 9})
    Path("model.csv").write_text("weight\n1\n")

    def verify(code: str, *arguments: str) -> tuple[int, str]:
        Path("informed.py").write_text(code)
        code_ = main(["verify", "./informed.py", "--check", "no-lookahead", *arguments])
        return code_, " ".join(capsys.readouterr().out.split())

    return verify


@pytest.mark.plugins
@pytest.mark.parametrize("data", ["data", "data/own.csv"])
@pytest.mark.parametrize(("code", "line"), [(AT_IMPORT, 6), (IN_CONSTRUCTOR, 7)])
def test_one_that_reads_the_data_it_is_tried_on_knows_the_future(
    verify: Callable[..., tuple[int, str]], code: str, line: int, data: str
) -> None:
    exit_code, shown = verify(code.format(file="data/own.csv"), "--data", data)
    assert exit_code == 1
    assert f"reads data/own.csv (informed.py:{line}), the data that it is tried on" in shown


@pytest.mark.parametrize(("code", "line"), [(AT_IMPORT, 6), (IN_CONSTRUCTOR, 7)])
def test_another_file_is_named_as_not_seen(
    verify: Callable[..., tuple[int, str]], code: str, line: int
) -> None:
    exit_code, shown = verify(code.format(file="model.csv"))
    assert exit_code == 0
    assert f"not seen: what it knows from model.csv (informed.py:{line})" in shown


def test_one_that_reads_no_file_has_no_such_note(verify: Callable[..., tuple[int, str]]) -> None:
    exit_code, shown = verify(
        AT_IMPORT.replace("list(csv.DictReader(file))", "1").format(file="/dev/null")
    )
    assert exit_code == 0
    assert "not seen" not in shown


def test_a_virtual_environment_beside_the_plugin_is_not_its_own_code(tmp_path: Path) -> None:
    library = Path(pluggy.__file__)
    assert not is_own(str(library), Path(sys.prefix).parent)
    assert is_own(str(library), library.parent), "unless it is the plugin itself"
    assert is_own(str(tmp_path / "rising.py"), tmp_path)
    assert not is_own(f"{tmp_path}-other/rising.py", tmp_path)
