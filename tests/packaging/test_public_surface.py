"""Authors need three modules, and the project's own plugins two of them."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from smabot import api, provider
from smabot.hooks import ports, specifications

ROOT = Path(__file__).parents[2]
FOR_PLUGINS = {"smabot.api", "smabot.provider"}
FOR_AUTHORS = {*FOR_PLUGINS, "smabot.testing"}
EXPORTED = {*api.__all__, *provider.__all__}
NOT_OURS = {
    "Any", "Callable", "Collection", "Decimal", "Iterator", "Mapping", "Path", "R", "Sequence", "TypeGuard",
    "click", "date", "datetime", "timedelta", *vars(builtins),
}  # fmt: skip
"""Names in annotations that smabot need not export."""
HEAVY = ("rich", "click", "sqlalchemy", "alembic", "pandas", "numpy", "dynaconf", "loguru")


def imported(source: str) -> Iterator[str]:
    """Yield the modules of smabot that a file imports: in functions and for types, too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.split(".")[0] == "smabot")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "smabot":
            if node.module == "smabot":
                yield from (f"smabot.{each.name}" for each in node.names)
            else:
                yield node.module or ""


@pytest.mark.parametrize("plugin", sorted(path.name for path in (ROOT / "plugins").iterdir()))
def test_a_plugin_imports_nothing_else_of_core(plugin: str) -> None:
    files = sorted((ROOT / "plugins" / plugin).rglob("*.py"))
    found = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in files
        for module in imported(path.read_text())
        if module not in FOR_PLUGINS
    }
    assert found == set()
    assert any(set(imported(path.read_text())) & FOR_PLUGINS for path in files)


@pytest.mark.parametrize("module", [api, provider])
def test_it_exports_what_it_says_and_nothing_else(module: ModuleType) -> None:
    assert module.__all__ == sorted(module.__all__, key=_order)
    for name in module.__all__:
        assert getattr(module, name) is not None
    beside = {
        name
        for name, value in vars(module).items()
        if name not in module.__all__ and not name.startswith("_") and not inspect.ismodule(value)
    }
    assert beside <= {"annotations", "TYPE_CHECKING", "Any"}


def _order(name: str) -> tuple[int, str]:
    """Constants, classes, functions: as the linter sorts them."""
    return 0 if name.isupper() else 1 if name[0].isupper() else 2, name


def annotated(module: ModuleType) -> set[str]:
    """Return the names in the annotations of a module's functions, methods and fields."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            own = [*node.args.args, *node.args.kwonlyargs]
            hints = [each.annotation for each in own] + [node.returns]
        elif isinstance(node, ast.AnnAssign):
            hints = [node.annotation]
        else:
            continue
        for hint in hints:
            names = ast.walk(hint) if hint is not None else ()
            found |= {each.id for each in names if isinstance(each, ast.Name)}
    return found


@pytest.mark.parametrize("module", [specifications, ports])
def test_what_hooks_and_ports_take_and_return_can_be_imported(module: ModuleType) -> None:
    assert annotated(module) - NOT_OURS - EXPORTED == set()


@pytest.mark.parametrize("name", ["api", "provider"])
def test_importing_it_imports_nothing_heavy(name: str) -> None:
    code = f"import sys, smabot.{name}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & set(HEAVY) == set()


AUTHORS_READ = [ROOT / "docs/plugins.md", ROOT / "docs/hooks.md", *ROOT.glob("plugins/*/README.md")]
LINKED = {"smabot.commands", "smabot.hooks.specifications"}
"""An entry-point group, and where the hooks are described."""


@pytest.mark.parametrize("page", AUTHORS_READ, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_authors_read_names_the_public_modules_alone(page: Path) -> None:
    for dotted in set(re.findall(r"\bsmabot\.[a-z]\w+(?:\.\w+)*", page.read_text())) - LINKED:
        module = ".".join(dotted.split(".")[:2])
        assert module in FOR_AUTHORS
        if dotted != module:
            names = import_module(module).__all__
            assert dotted.removeprefix(f"{module}.") in names
