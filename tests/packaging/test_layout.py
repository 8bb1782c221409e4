"""The house rules of the code's layout: floors, sizes, names. Read from the source, nothing is imported.

Imports run downward only; those in functions and under ``TYPE_CHECKING`` count like any other.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_LINES, MOST_ATTRIBUTES = 400, 12

FLOORS = {
    "smabot": [
        ["errors", "old_names", "system"],
        ["domain"],
        ["settings"],
        ["hooks"],
        ["engine"],
        ["cli", "testing"],
        ["api", "provider"],
    ],
    "smabot_exchange": [
        ["data", "as_seen"],
        ["matching"],
        ["faults"],
        ["ledger"],
        [
            "serialisation",
            "order_entry",
            "matching_engine",
            "replay",
            "exchange_queries",
            "exchange_orders",
            "exchange",
        ],
        ["json_forms"],
        ["streams"],
        ["http", "settings", "opening"],
        ["in_process", "in_memory", "embedded", "server_process", "broker_activities"],
        ["data_check", "store_import"],
        ["data_report", "store_list", "import_report"],
        ["commands", "data_commands", "doctor", "plugin"],
    ],
    "smabot_alpaca": [
        ["settings", "machine", "http_adapter"],
        ["credentials", "clock", "backoff", "order_json", "bar_json"],
        ["endpoints"],
        ["rest", "streams"],
        ["connection"],
        ["broker", "feed"],
        ["doctor", "probe", "simulated_client", "bar_fetch"],
        ["probe_command", "fetch_command"],
        ["commands", "data_commands"],
        ["plugin"],
    ],
}
"""From the ground up, the parts of a distribution that have floors of their own."""
DISTRIBUTIONS = {
    "smabot": ROOT / "core/smabot",
    **{
        folder.name: folder
        for folder in sorted((ROOT / "plugins").glob("*/smabot_*"))
        if (folder / "__init__.py").exists()
    },
}


def modules(name: str) -> dict[str, Path]:
    """Return a distribution's modules by their dotted names."""
    folder = DISTRIBUTIONS[name]
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path, known: dict[str, Path]) -> set[str]:
    """Return those of the known modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for each in node.names:
                inner = f"{node.module}.{each.name}"
                found.add(inner if inner in known else node.module)
    return found & known.keys()


def classes(path: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield each class of a file with the names that its instances are given."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef) and not _only_declares(node):
            yield node.name, set(_attributes(node))


def _only_declares(node: ast.ClassDef) -> bool:
    """Whether it is a record, a message or settings: fields, and nothing that changes them."""
    decorated = {ast.unparse(each).split("(")[0] for each in node.decorator_list}
    frozen = any("frozen=True" in ast.unparse(each) for each in node.decorator_list)
    bases = {ast.unparse(base) for base in node.bases}
    return (
        frozen or "record" in decorated or bool(bases & {"NamedTuple", "Settings", "BaseSettings"})
    )


def _attributes(node: ast.ClassDef) -> Iterator[str]:
    if any("dataclass" in ast.unparse(each) for each in node.decorator_list):
        for each in node.body:
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
                yield each.target.id
    for each in ast.walk(node):
        targets: list[ast.expr] = []
        if isinstance(each, ast.Assign):
            targets = list(each.targets)
        elif isinstance(each, ast.AnnAssign | ast.AugAssign):
            targets = [each.target]
        for target in targets:
            for part in ast.walk(target):
                if (
                    isinstance(part, ast.Attribute)
                    and isinstance(part.value, ast.Name)
                    and part.value.id == "self"
                    and isinstance(part.ctx, ast.Store)
                ):
                    yield part.attr


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_there_is_no_circle(name: str) -> None:
    known = modules(name)
    try:
        TopologicalSorter({each: imported(path, known) for each, path in known.items()}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("name", FLOORS)
def test_imports_run_downward(name: str) -> None:
    known = modules(name)
    floors = {part: number for number, parts in enumerate(FLOORS[name]) for part in parts}
    upward = []
    for each, path in known.items():
        own = floors.get(each.split(".")[1] if "." in each else "")
        for other in imported(path, known) if own is not None else ():
            floor = floors.get(other.split(".")[1] if "." in other else "")
            if floor is not None and own is not None and floor > own:
                upward.append(f"{each} -> {other}")
    assert upward == []


@pytest.mark.parametrize("name", FLOORS)
def test_every_module_has_a_floor(name: str) -> None:
    parts = {each.split(".")[1] for each in modules(name) if "." in each}
    assert parts - {part for floor in FLOORS[name] for part in floor} <= {"__main__"}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_no_file_is_too_long(name: str) -> None:
    lines = {str(p): len(p.read_text().splitlines()) for p in modules(name).values()}
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_no_class_has_too_many_attributes(name: str) -> None:
    many = {
        f"{each}.{kind}": len(names)
        for each, path in modules(name).items()
        for kind, names in classes(path)
        if len(names) > MOST_ATTRIBUTES
    }
    assert many == {}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_no_module_name_stands_twice(name: str) -> None:
    names = Counter(
        path.stem for path in modules(name).values() if path.stem not in ("__init__", "__main__")
    )
    assert [each for each, count in names.items() if count > 1] == []
