"""What runs around the code: workflows, hooks and forms call only what there is, in the versions that tox has."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def jobs(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read(path)["jobs"]
    return found


def values(tree: Any, key: str) -> Iterator[str]:
    """Yield the values of a key anywhere in a document."""
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    if isinstance(tree, dict) and isinstance(tree.get(key), str):
        yield tree[key]
    for each in inner:
        yield from values(each, key)


def tox() -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read(ROOT / "tox.ini")
    return parser


# -- workflows -------------------------------------------------------------------------------------


def test_there_are_workflows() -> None:
    assert [path.name for path in WORKFLOWS] == ["check.yml", "publish.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_commit(path: Path) -> None:
    used = list(values(read(path), "uses"))
    assert used
    for each in used:
        if each.startswith("./"):
            assert (ROOT / each).is_file()
            assert True in read(ROOT / each) or "on" in read(ROOT / each)
        else:
            assert PINNED.fullmatch(each), f"{each} is not pinned by 40 hex digits"
            assert re.search(rf"{re.escape(each)}  # v\d+\.\d+\.\d+$", path.read_text(), re.M)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_a_workflow_runs_is_there(path: Path) -> None:
    called = [line.split()[0] for run in values(jobs(path), "run") for line in run.splitlines()]
    assert called
    for script in called:
        assert os.access(ROOT / script, os.X_OK), script


def test_one_action_has_one_version() -> None:
    used = {each for path in WORKFLOWS for each in values(read(path), "uses") if "@" in each}
    assert len(used) == len({each.split("@")[0] for each in used})


def test_the_check_has_the_pythons_of_the_classifiers() -> None:
    check = jobs(ROOT / ".github/workflows/check.yml")["check"]
    (versions,) = (version.split() for version in values(check, "python-version"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r":: (3\.\d+)$", "\n".join(project["classifiers"]), re.M)
    assert sorted(versions) == sorted(named)
    assert ".ci/run" in values(check, "run")


def test_every_distribution_is_published_after_the_check_and_without_a_token(
    projects: dict[str, Path],
) -> None:
    path = ROOT / ".github/workflows/publish.yml"
    found = jobs(path)
    publish = found["publish"]
    assert set(publish["strategy"]["matrix"]["distribution"]) == set(projects)
    assert (publish["needs"], found["build"]["needs"]) == ("build", "check")
    assert found["check"]["uses"] == "./.github/workflows/check.yml"
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"] == "pypi-${{ matrix.distribution }}"
    assert read(path)["permissions"] == {"contents": "read"}
    assert "permissions" not in found["build"]
    assert "secrets." not in path.read_text()


def test_only_a_tag_publishes() -> None:
    assert read(ROOT / ".github/workflows/publish.yml")[True] == {"push": {"tags": ["v*"]}}


# -- hooks -----------------------------------------------------------------------------------------


def hooks() -> list[dict[str, Any]]:
    repos = read(ROOT / ".pre-commit-config.yaml")["repos"]
    assert {repo["repo"] for repo in repos} == {"local"}
    return [hook for repo in repos for hook in repo["hooks"]]


def test_hooks_are_in_the_versions_of_tox() -> None:
    lines = f"{tox()['tools']['deps']}\n{tox()['testenv']['deps']}".splitlines()
    wanted = {Requirement(line) for line in lines if line and ":" not in line and line[0] != "-"}
    needed = {Requirement(line) for hook in hooks() for line in hook["additional_dependencies"]}
    assert needed <= wanted
    tools = {each.name for each in map(Requirement, tox()["tools"]["deps"].split())}
    assert tools <= {each.name for each in needed}


def test_what_a_hook_runs_is_there() -> None:
    named = [
        word for hook in hooks() for word in hook["entry"].split() if word.startswith("tests/")
    ]
    assert named
    assert all((ROOT / path).is_file() for path in named)


def test_lint_validates_every_project(projects: dict[str, Path]) -> None:
    lines = tox()["testenv:lint"]["commands"].split("\n")
    validated = {line.split()[1] for line in lines if line.startswith("validate-pyproject ")}
    assert validated == {
        (folder / "pyproject.toml").relative_to(ROOT).as_posix() for folder in projects.values()
    }


# -- forms -----------------------------------------------------------------------------------------


def test_the_bug_form_asks_for_the_doctor() -> None:
    form = read(ROOT / ".github/ISSUE_TEMPLATE/bug.yml")
    fields = {field.get("id"): field for field in form["body"]}
    assert "`smabot doctor --json`" in fields["doctor"]["attributes"]["label"]
    assert fields["doctor"]["validations"] == {"required": True}
    assert set(re.findall(r"\]\(\.\./blob/main/([^)]+)\)", str(form))) == {"SECURITY.md"}
    assert (ROOT / "SECURITY.md").is_file()
