"""What a type checker says of plugins: nothing of right ones, and each mistake of wrong ones.

The base classes and the view of the Book are types alone; tests here hold them to what is called.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smabot import api, provider
from smabot.domain.book import Book
from smabot.domain.book_view import BookView
from smabot.hooks import plugin_book, roles, specifications

ROOT = Path(__file__).parents[2]
TYPED = Path(__file__).parent / "typed"
CORES_OWN = {
    "apply_bars", "apply_update", "drain", "find_earlier_events_by", "find_ended_orders_by", "forget_bars", "ignore_blocks_of", "replaying",
    "restore",
}  # fmt: skip
"""What only core may do with a Book, or has a use for."""

Errors = set[tuple[str, int]]
"""Files and lines in which a type checker found something."""


def mypy() -> Errors:
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-pretty", str(TYPED)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    found = re.findall(r"^(\S+\.py):(\d+): error:", done.stdout, re.M)
    assert found, done.stdout + done.stderr
    return {(Path(path).name, int(line)) for path, line in found}


def pyright() -> Errors:
    pytest.importorskip("basedpyright")
    config = {
        "include": [str(TYPED)],
        "extraPaths": [str(ROOT / "core")],
        "typeCheckingMode": "standard",
    }
    path = Path("pyrightconfig.json")
    path.write_text(json.dumps(config))
    command = [
        sys.executable, "-m", "basedpyright", "--outputjson", "--project", str(path),
        "--pythonpath", sys.executable,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1)
        for each in found
        if each["severity"] == "error"
    }


@pytest.mark.slow
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_each_mistake_is_found_and_nothing_else(
    checker: Callable[[], Errors], in_tmp: Path
) -> None:
    lines = (TYPED / "wrong.py").read_text().splitlines()
    marked = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert len(marked) > 15
    assert checker() == {("wrong.py", number) for number in marked}


@pytest.mark.slow
def test_the_pages_strategy_and_its_test_are_right_for_a_type_checker(in_tmp: Path) -> None:
    """mypy without the plugin of pydantic sees of a setting's default what pyright sees."""
    pytest.importorskip("mypy")
    page = (ROOT / "docs" / "plugins.md").read_text()
    for name, flags in (
        ("smabot_streak.py", "--strict"),
        ("test_streak.py", "--check-untyped-defs"),
    ):
        found = re.search(rf"^\*\*`{name}`\*\*\n\n```python\n(.*?)```", page, re.S | re.M)
        assert found
        Path(name).write_text(found[1])
        command = [sys.executable, "-m", "mypy", flags, name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout


# -- base classes ----------------------------------------------------------------------------------


def declared() -> dict[str, str]:
    """Return what each hook of the base classes returns, by the hook."""
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(inspect.getsource(roles))):
        if isinstance(node, ast.FunctionDef):
            assert node.name not in found
            assert node.returns is not None
            found[node.name] = ast.unparse(node.returns)
            described = f"``{node.name}({', '.join(arguments(node.name))})``:"
            assert (ast.get_docstring(node) or "").startswith(described)
    return found


def arguments(hook: str) -> list[str]:
    return list(inspect.signature(getattr(specifications, hook)).parameters)


def test_the_base_classes_have_each_hook_as_it_is_specified() -> None:
    specified = {
        hook: inspect.signature(getattr(specifications, hook)).return_annotation
        for hook in specifications.HOOKS
    }
    assert declared() == specified


@pytest.mark.parametrize("base", [api.Plugin, api.Strategy, api.Rule, provider.Provider])
def test_a_base_class_has_no_hook_when_a_bot_runs(base: type) -> None:
    assert [name for name in dir(base()) if not name.startswith("__")] == []


# -- the Book --------------------------------------------------------------------------------------


def in_view() -> set[str]:
    (view,) = (
        node
        for node in ast.parse(inspect.getsource(sys.modules[BookView.__module__])).body
        if isinstance(node, ast.ClassDef)
    )
    functions = (node for node in ast.walk(view) if isinstance(node, ast.FunctionDef))
    return {node.name for node in functions if not node.name.startswith("_")}


def test_the_view_has_all_that_a_plugin_may_use_of_the_book() -> None:
    book = Book()
    all_of_it = {name for name in (*dir(book), *vars(book)) if not name.startswith("_")}
    assert in_view() == all_of_it - CORES_OWN


def test_a_plugin_can_use_all_of_the_view() -> None:
    door = plugin_book.PluginBook(Book(), "mine", ())
    for name in in_view():
        getattr(door, name)


def test_a_test_may_make_a_book_and_change_it() -> None:
    from smabot.testing import Book as WholeBook

    assert api.Book is provider.Book is WholeBook is Book
    book = api.Book()
    book.now = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
    assert book.apply(api.Event(book.now, "kind", "subject", "text"))
