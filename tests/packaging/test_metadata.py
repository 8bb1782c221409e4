"""What the distributions say of themselves."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from smabot import __version__

LOWER = {">=", "==", "~=", ">"}
UPPER = {"<", "<=", "==", "~="}


def declared(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())


def test_every_dependency_is_bounded_below_and_above(projects: dict[str, Path]) -> None:
    unbounded = []
    for name, folder in projects.items():
        content = declared(folder)
        project = content["project"]
        groups = [
            content["build-system"]["requires"],
            project["dependencies"],
            *project.get("optional-dependencies", {}).values(),
        ]
        for requirement in map(Requirement, chain.from_iterable(groups)):
            operators = {each.operator for each in requirement.specifier}
            if not (operators & LOWER and operators & UPPER):
                unbounded.append(f"{name}: {requirement}")
    assert unbounded == []


def test_the_distributions_are_of_one_kind(projects: dict[str, Path]) -> None:
    core = declared(projects["smabot"])["project"]
    for name, folder in projects.items():
        project = declared(folder)["project"]
        assert project["name"] == name
        assert (folder / project["readme"]).is_file()
        for key in ("version", "requires-python", "license", "classifiers"):
            assert project[key] == core[key], f"{name}: {key}"
    assert core["version"] == __version__


def test_every_plugin_asks_for_this_core(projects: dict[str, Path]) -> None:
    for name, folder in projects.items():
        if name == "smabot":
            continue
        project = declared(folder)["project"]
        needs = {r.name: r.specifier for r in map(Requirement, project["dependencies"])}
        assert __version__ in needs["smabot"]
        for plugin, target in project["entry-points"]["smabot"].items():
            assert plugin.split(".")[0] == folder.name
            assert target.startswith(f"smabot_{folder.name}.")


def test_core_needs_no_plugin_and_nothing_heavy(root: Path) -> None:
    names = {Requirement(line).name for line in declared(root)["project"]["dependencies"]}
    heavy = {"sqlalchemy", "alembic", "pandas", "numpy", "exchange-calendars", "alpaca-py"}
    assert not names & heavy
    assert not [name for name in names if name.startswith("smabot")]


def test_requirements_and_tox_install_every_distribution(
    root: Path, projects: dict[str, Path]
) -> None:
    folders = {folder.relative_to(root).as_posix() for folder in projects.values()}
    lines = (root / "requirements.txt").read_text().splitlines()
    assert {Path(line.removeprefix("-e ")).as_posix() for line in lines} == folders
    tox = (root / "tox.ini").read_text()
    for name in (folder.name for folder in projects.values() if folder != root):
        assert f"-e ./plugins/{name}\n" in tox
        assert re.search(rf"^    {name}: pytest ", tox, re.MULTILINE)


def test_python_versions_are_those_that_tox_runs(root: Path) -> None:
    tox = (root / "tox.ini").read_text()
    classifiers = declared(root)["project"]["classifiers"]
    versions = re.findall(r":: (3\.\d+)$", "\n".join(classifiers), re.MULTILINE)
    assert f"py{{{','.join(v.replace('.', '') for v in versions)}}}-all" in tox
    assert declared(root)["project"]["requires-python"] == f">={versions[0]}"


@pytest.mark.parametrize(
    "name",
    [
        "requirements.txt", "tox.ini", ".ci/run", ".ci/build", "pyproject.toml",
        ".pre-commit-config.yaml", ".github/workflows/check.yml", ".github/workflows/publish.yml",
    ],
)  # fmt: skip
def test_no_package_index_is_written_down(root: Path, name: str) -> None:
    text = (root / name).read_text()
    assert not re.search(r"index-url|find-links|extra-index|https?://", text)
