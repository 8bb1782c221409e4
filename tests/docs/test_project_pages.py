"""The pages about the project: each word told once, and every command, environment and file is there."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

import pytest

from smabot.cli.command_group import COMMANDS
from smabot.hooks.discovery import discover
from smabot.hooks.plugins import Plugins
from smabot.settings.model import Config

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("plugins/*/*.md")])
FORMS = sorted([*ROOT.glob(".github/*.md"), *ROOT.glob(".github/ISSUE_TEMPLATE/*.yml")])
PROJECT = ("CONTRIBUTING.md", "SECURITY.md", "docs/glossary.md", "docs/decisions.md")


def page(name: str) -> str:
    return (ROOT / name).read_text()


def code(text: str) -> list[str]:
    """The lines of a page that are code."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    return [*lines, *re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))]


@pytest.mark.parametrize("name", PROJECT)
def test_the_readme_leads_to_it(name: str) -> None:
    assert f"]({name})" in page("README.md")


# -- the glossary ----------------------------------------------------------------------------------


def glossary() -> dict[str, str]:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", page("docs/glossary.md"), re.M)
    terms = [term for term, _ in rows]
    assert len(terms) == len(set(terms))
    return {term: meaning for term, meaning in rows if term != "term"}


def test_the_glossary_is_sorted() -> None:
    terms = list(glossary())
    assert terms == sorted(terms)
    assert len(terms) > 60


def test_what_the_glossary_refers_to_it_explains() -> None:
    terms = set(glossary())
    for meaning in glossary().values():
        for word in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", meaning):
            bare = word.removesuffix("'s")
            singular = {bare, bare.removesuffix("s"), re.sub("ies$", "y", bare)}
            assert singular & terms, f"*{word}* is not explained"


@pytest.mark.parametrize("name", ["design", "hooks", "operations", "plugins", "decisions"])
def test_pages_lead_to_the_glossary(name: str) -> None:
    assert "](glossary.md)" in page(f"docs/{name}.md")


# -- the decisions ---------------------------------------------------------------------------------


def test_decisions_of_three_lines_each() -> None:
    _, *decisions = re.split(r"^## ", page("docs/decisions.md"), flags=re.M)
    numbers = [str(n) for n in range(1, len(decisions) + 1)]
    assert [text.split(".")[0] for text in decisions] == numbers
    assert len(decisions) >= 11
    for text in decisions:
        lines = text.strip().splitlines()[2:]
        assert [line.partition(":**")[0] for line in lines] == [
            "- **What", "- **Instead of", "- **Why",
        ]  # fmt: skip


# -- commands, environments, files -----------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, *FORMS], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_is_there(path: Path) -> None:
    own = [name for name, (point,) in discover().items() if point.value.startswith("smabot_")]
    known = {*COMMANDS, *Plugins.load(Config(), own).commands(taken=COMMANDS)}
    named = {
        match[1]
        for line in code(path.read_text())
        if (match := re.match(r"smabot ([a-z]+)\b", line))
    }
    assert named <= known


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", ".github/pull_request_template.md"])
def test_every_tox_environment_is_there(name: str) -> None:
    tox = ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    own = {section.removeprefix("testenv:") for section in tox.sections()}
    known = own | {"slow", "docs", "core"} | {f"py{version}-all" for version in (311, 312, 313)}
    lines = code(page(name))
    named = [each for line in lines for each in re.findall(r"tox -e ([\w,-]+)", line)]
    assert named
    assert {each for names in named for each in names.split(",")} <= known


def test_every_file_that_contributing_names_is_there() -> None:
    words = [word for line in code(page("CONTRIBUTING.md")) for word in line.split()]
    paths = [word for word in words if re.match(r"(\.ci|core|tests|plugins)/", word)]
    assert {".ci/run", ".ci/build", "core/smabot/__init__.py", "tests/risk"} <= set(paths)
    assert [each for each in paths if not (ROOT / each.rstrip(",")).exists()] == []


def test_security_names_githubs_private_way_and_no_address() -> None:
    text = page("SECURITY.md")
    assert "**Report a vulnerability**" in text
    assert not re.search(r"\S+@\S+\.\w+|https?://", text)


# -- where is what ---------------------------------------------------------------------------------


def test_every_file_of_where_is_what_is_there() -> None:
    rows = re.findall(r"^\| ([^|]+\?) \| (.+) \|$", page("docs/where.md"), re.M)
    files = [name for _, names in rows for name in re.findall(r"`([^`]+)`", names)]
    assert len(rows) >= 25
    assert [name for name in files if not (ROOT / name).is_file()] == []
    questions = [question for question, _ in rows]
    assert len(questions) == len(set(questions))
