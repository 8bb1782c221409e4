"""A pytest plugin for `benchmarks.mutation`: which tests execute which lines; only the tests chosen."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import Any

import pytest


class Record:
    """Keeps the seconds of each test that passes, and the lines of some files that it executes."""

    def __init__(self, kept: Path, files: list[Path]) -> None:
        self._kept = kept
        self._files = {str(each.resolve()): str(each) for each in files}
        self._lines: set[tuple[str, int]] = set()
        self._tests: dict[str, dict[str, Any]] = {}
        self._failed: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._lines.clear()
        begun = perf_counter()
        sys.settrace(self._call)
        threading.settrace(self._call)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
            seconds = perf_counter() - begun
            self._tests[item.nodeid] = {"seconds": seconds, "lines": sorted(self._lines)}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        for name in self._failed:
            self._tests.pop(name, None)
        self._kept.write_text(json.dumps(self._tests))

    def _call(self, frame: FrameType, event: str, arg: object) -> Any:
        file = self._files.get(frame.f_code.co_filename)
        if file is None:
            return None

        def line(frame: FrameType, event: str, arg: object) -> Any:
            if event == "line":
                self._lines.add((file, frame.f_lineno))
            return line

        return line


class Chosen:
    """Runs some tests in an order; writes down the first that fails."""

    def __init__(self, names: list[str], failed: Path) -> None:
        self._names = names
        self._failed = failed

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        by_id = {item.nodeid: item for item in items}
        items[:] = [by_id[name] for name in self._names if name in by_id]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.write_text(report.nodeid)


def quiet() -> None:
    """Let this process write nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
