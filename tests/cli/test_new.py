"""`smabot new strategy`: what it writes is whole, valid and keeps its promises, and it overwrites nothing."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from smabot import __version__
from smabot.cli.strategy_package import strategy_package

Call = Callable[..., Any]
ROOT = Path(__file__).parents[2]
FILES = [
    ".github/workflows/check.yml",
    ".github/workflows/publish.yml",
    ".gitignore",
    "CHANGELOG.md",
    "README.md",
    "pyproject.toml",
    "smabot_mean_reversion/__init__.py",
    "smabot_mean_reversion/py.typed",
    "smabot_mean_reversion/strategy.py",
    "tests/test_mean_reversion.py",
    "tox.ini",
]
PACKAGE = strategy_package("mean_reversion")


def there() -> list[str]:
    return sorted(path.as_posix() for path in Path().rglob("*") if path.is_file())


# -- what it writes --------------------------------------------------------------------------------


def test_it_writes_the_whole_package(call: Call) -> None:
    made = call("new", "strategy", "mean_reversion", "--json").json
    assert made["folder"] == "smabot-mean-reversion"
    assert there() == sorted(made["files"]) == [f"smabot-mean-reversion/{each}" for each in FILES]
    assert {each: Path("smabot-mean-reversion", each).read_text() for each in FILES} == PACKAGE


def test_no_word_of_the_template_is_left() -> None:
    for path, text in PACKAGE.items():
        assert not re.search(r"my.?strategy|OF_SMABOT", path + text, re.I), path
        assert text == "" or (text.endswith("\n") and not text.endswith("\n\n")), path
    assert "class MeanReversion(Strategy)" in PACKAGE["smabot_mean_reversion/strategy.py"]


def test_the_readme_claims_no_check_that_has_not_run() -> None:
    assert not re.search(r"passed|img\.shields\.io", PACKAGE["README.md"])
    assert "smabot verify mean_reversion --badge" in PACKAGE["README.md"]


def test_a_folder_may_be_given_and_be_there(call: Call) -> None:
    Path("mine").mkdir()
    Path("mine/LICENSE").write_text("mine")
    assert call("new", "strategy", "rising", "--folder", "mine").code == 0
    assert {"mine/LICENSE", "mine/tests/test_rising.py"} <= set(there())


def test_it_says_what_to_type_next(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["smabot"])
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    said = call("new", "strategy", "rising").out.splitlines()
    assert said[0] == "wrote 11 files to smabot-rising"
    assert [line.strip() for line in said if line.startswith("  ")][:3] == [
        "cd smabot-rising", "python -m pip install -e '.[test]'", "python -m pytest",
    ]  # fmt: skip
    monkeypatch.setenv("PATH", "/nowhere")
    steps = call("new", "strategy", "rising", "--folder", "my own", "--json").json["next"]
    assert steps[0] == "cd 'my own'"
    assert steps[2] == f"{shlex.quote(sys.executable)} -m pytest"
    here = call("new", "strategy", "rising", "--folder", ".", "--json").json["next"]
    assert here == [step.replace("../smabot", "smabot") for step in steps[1:]]


def test_its_project_is_as_those_of_the_plugins_here() -> None:
    content = tomllib.loads(PACKAGE["pyproject.toml"])
    project = content["project"]
    core = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["name"] == "smabot-mean-reversion"
    assert project["entry-points"] == {
        "smabot": {"mean_reversion": "smabot_mean_reversion.strategy:MeanReversion"}
    }
    assert content["build-system"] == core["build-system"]
    assert project["requires-python"] == core["project"]["requires-python"]
    assert "license" not in project
    assert "LICENSE" not in PACKAGE
    needs = {each.name: each for each in map(Requirement, project["dependencies"])}
    assert __version__ in needs["smabot"].specifier
    assert __version__.replace("0.1.", "0.2.") not in needs["smabot"].specifier
    assert {str(need) for need in needs.values()} <= {
        str(Requirement(line))
        for folder in ("sma", "risk")
        for line in tomllib.loads((ROOT / "plugins" / folder / "pyproject.toml").read_text())[
            "project"
        ]["dependencies"]
    }
    assert "smabot[testing]" in project["optional-dependencies"]["test"]


def test_one_list_of_pythons() -> None:
    project = tomllib.loads(PACKAGE["pyproject.toml"])["project"]
    named = re.findall(r":: (3\.\d+)$", "\n".join(project["classifiers"]), re.M)
    assert f"py{{{','.join(each.replace('.', '') for each in named)}}}" in PACKAGE["tox.ini"]
    assert re.findall(r"^ +(3\.\d+)$", PACKAGE[".github/workflows/check.yml"], re.M) == named
    core = (ROOT / "pyproject.toml").read_text()
    assert re.findall(r":: (3\.\d+)\"", core) == named


def test_tox_tests_verifies_and_runs_the_wheel() -> None:
    tox = ConfigParser(interpolation=None)
    tox.read_string(PACKAGE["tox.ini"])
    assert tox["testenv"]["package"] == "wheel"
    assert {name: tox[name]["commands"].split(" {")[0] for name in tox if "commands" in tox[name]} == {
        "testenv": "pytest",
        "testenv:types": "mypy smabot_mean_reversion",
        "testenv:verify": "smabot verify mean_reversion",
        "testenv:run": "smabot run --plugins mean_reversion --broker exchange --speed max "
        "--until 2026-03-02T16:00:00Z",
    }  # fmt: skip


def workflow(name: str) -> Any:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(PACKAGE[f".github/workflows/{name}.yml"])


def used(texts: Iterator[str] | list[str]) -> set[str]:
    return {line for text in texts for line in re.findall(r"uses: (\S+@.*)", text)}


def test_its_workflows_have_the_actions_of_those_here_pinned_alike() -> None:
    own = used(path.read_text() for path in (ROOT / ".github/workflows").glob("*.yml"))
    written = used([text for path, text in PACKAGE.items() if path.endswith(".yml")])
    assert written
    assert written <= own


def test_only_a_tag_publishes_after_the_check_and_without_a_token() -> None:
    check, publish = workflow("check"), workflow("publish")
    assert publish[True] == {"push": {"tags": ["v*"]}}
    assert check["permissions"] == publish["permissions"] == {"contents": "read"}
    jobs = publish["jobs"]
    assert jobs["check"] == {"uses": "./.github/workflows/check.yml"}
    assert (jobs["build"]["needs"], jobs["publish"]["needs"]) == ("check", "build")
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert "permissions" not in {**check["jobs"]["check"], **jobs["build"]}
    assert "secrets." not in str(publish)
    environment = f"the environment `{jobs['publish']['environment']}`"
    assert environment in " ".join(PACKAGE["README.md"].split())


@pytest.mark.parametrize(("tag", "code"), [("v0.1.0", 0), ("v0.1.1", 1), ("v0.1.0.1", 1)])
def test_a_tag_that_is_not_the_version_publishes_nothing(call: Call, tag: str, code: int) -> None:
    call("new", "strategy", "rising", "--folder", ".")
    (step,) = (each for each in workflow("publish")["jobs"]["build"]["steps"] if "name" in each)
    environ = {"PATH": os.defpath, "GITHUB_REF_NAME": tag}
    assert subprocess.run(["sh", "-c", step["run"]], env=environ, check=False).returncode == code


def test_its_strategy_keeps_its_promises(call: Call) -> None:
    call("new", "strategy", "rising")
    checks = ("signals", "window-pure", "no-lookahead", "no-globals", "pure-hooks")
    options = [word for check in checks for word in ("--check", check)]
    result = call("verify", "./smabot-rising/smabot_rising/strategy.py", *options)
    assert (result.code, result.err) == (0, "")
    assert "strategy: 5 checks passed" in result.out


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mean-reversion", "and begin with a letter; did you mean 'mean_reversion'?"),
        ("smabot-rising", "did you mean 'rising'?"),
        ("Rising", "'Rising' can't be a strategy's name: use lower-case letters, digits and single"),
        ("a.b", "did you mean 'a_b'?"),
        ("../up", "did you mean 'up'?"),
        ("rising_", "did you mean 'rising'?"),
        ("9lives", "and begin with a letter\n"),
        ("größe", "'größe' can't be a strategy's name"),
        ("", "'' can't be a strategy's name"),
        ("lambda", "'lambda' is a word of Python: give another name"),
        ("none", "'none' is a word of Python: give another name"),
        ("core", "'core' is a word of smabot: give another name"),
        ("signal", "would be a class Signal, and it imports one of that name: give another name"),
        ("field", "would be a class Field"),
        ("fill", "would be a class Fill"),
        ("x" * 300, "can't be written: File name too long; nothing was written"),
    ],
)  # fmt: skip
def test_a_name_that_can_not_be_is_one_line(call: Call, name: str, said: str) -> None:
    result = call("new", "strategy", name)
    assert (result.code, result.out, result.err.count("\n")) == (3, "", 1)
    assert said in result.err
    assert list(Path().iterdir()) == []


@pytest.mark.plugins
@pytest.mark.parametrize(
    ("name", "taken"), [("sma", "sma"), ("risk", "risk.circuit_breaker, risk.daily_limits")]
)
def test_the_name_of_an_installed_plugin_is_taken(call: Call, name: str, taken: str) -> None:
    result = call("new", "strategy", name)
    assert (result.code, result.err) == (
        3,
        f"smabot: '{name}' names what is installed already, {taken}: give another name\n",
    )
    assert there() == []


def test_it_overwrites_nothing(call: Call) -> None:
    call("new", "strategy", "rising")
    Path("smabot-rising/README.md").write_text("mine")
    again = call("new", "strategy", "rising")
    assert (again.code, again.out) == (3, "")
    assert again.err == (
        "smabot: smabot-rising/.github/workflows/check.yml, smabot-rising/.github/workflows/publish.yml, "
        "smabot-rising/.gitignore and 8 more are there already: nothing was written; give another "
        "folder, as `smabot new strategy rising --folder smabot-rising-2`\n"
    )
    assert Path("smabot-rising/README.md").read_text() == "mine"


def test_a_write_that_fails_leaves_nothing(call: Call) -> None:
    Path("mine").mkdir()
    Path("mine/tests").write_text("a file where a folder must be")
    refused = call("new", "strategy", "rising", "--folder", "mine")
    assert (refused.code, refused.err.count("\n")) == (3, 1)
    assert "nothing was written" in refused.err
    assert [path.name for path in Path("mine").iterdir()] == ["tests"]


def test_without_a_name_it_is_a_wrong_command_line(call: Call) -> None:
    assert call("new", "strategy").err == (
        "smabot: Missing argument 'NAME'; see `smabot new strategy --help`\n"
    )
    assert call("new", "rule", "x").code == 2
