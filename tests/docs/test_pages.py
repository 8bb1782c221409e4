"""The pages tell every verb, exit code and setting, lead nowhere wrong, and name the right commands."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel

from smabot import errors
from smabot.cli.command_group import COMMANDS
from smabot.cli.event_kinds import EVENT_KINDS
from smabot.hooks.discovery import discover, settings_model
from smabot.hooks.plugins import Plugins
from smabot.settings.model import Config

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("plugins/*/*.md")])
README = (ROOT / "README.md").read_text()


def page(name: str) -> str:
    return (ROOT / name).read_text()


# -- links -----------------------------------------------------------------------------------------


def links() -> Iterator[tuple[str, str]]:
    for each in PAGES:
        for link in re.findall(r"\]\(([^)\s]+)\)", each.read_text()):
            if not link.startswith(("http://", "https://")):
                yield str(each.relative_to(ROOT)), link


@pytest.mark.parametrize(("source", "link"), list(links()))
def test_a_link_leads_somewhere(source: str, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (ROOT / source).parent / path if path else ROOT / source
    assert target.exists()
    if anchor:
        titles = re.findall(r"^#+ (.*)$", target.read_text(), re.M)
        assert anchor in {
            re.sub(r"[^\w -]", "", t).strip().lower().replace(" ", "-") for t in titles
        }


def test_every_plugin_has_a_page_and_the_readme_leads_there() -> None:
    folders = [f.parent.name for f in ROOT.glob("plugins/*/pyproject.toml")]
    assert folders
    for folder in folders:
        assert (ROOT / "plugins" / folder / "README.md").stat().st_size > 500
        assert f"(plugins/{folder}/README.md)" in README


# -- verbs and exit codes --------------------------------------------------------------------------


def verbs() -> set[str]:
    """Every command a person can type, with the plugins' own."""
    own = [name for name, (point,) in discover().items() if point.value.startswith("smabot_")]
    registered = Plugins.load(Config(), own).commands(taken=COMMANDS)
    core = {
        name: getattr(import_module(f"smabot.cli.commands.{COMMANDS[name]}"), name)
        for name in COMMANDS
    }
    return set(_spelled({**core, **registered}))


def _spelled(commands: Mapping[str, click.Command], prefix: str = "smabot ") -> Iterator[str]:
    for name, command in commands.items():
        inner = command.commands if isinstance(command, click.Group) else {}
        if not inner or getattr(command, "invoke_without_command", False):
            yield prefix + name
        yield from _spelled(inner, f"{prefix}{name} ")


def test_the_page_of_commands_has_every_command_and_no_other() -> None:
    listed = re.findall(r"^\| `(smabot [\w ]+)` \|", page("docs/commands.md"), re.M)
    assert sorted(listed) == sorted(verbs())


def test_every_exit_code_is_told() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind.exit_code for kind in kinds if issubclass(kind, errors.SmabotError)} | {0, 130}
    told = re.findall(r"^\| (\d+) \|", page("docs/operations.md"), re.M)
    assert set(map(int, told)) == codes


def test_every_kind_of_event_is_told_and_no_other() -> None:
    told = page("docs/operations.md").partition("\n### Events\n")[2].partition("\n### ")[0]
    first_cells = re.findall(r"^\| (`[^|]*) \|", told, re.M)
    kinds = {kind for cell in first_cells for kind in re.findall(r"`(\w+)`", cell)}
    assert kinds == EVENT_KINDS
    modules = [*ROOT.glob("core/smabot/**/*.py"), *ROOT.glob("plugins/*/smabot_*/**/*.py")]
    code = "".join(path.read_text() for path in modules if path.stem != "event_kinds")
    assert [kind for kind in sorted(EVENT_KINDS) if f'"{kind}"' not in code] == []


# -- settings --------------------------------------------------------------------------------------


def defaults(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from defaults(value, f"{prefix}{name}.")
        elif f"{prefix}{name}" != "plugin":
            yield f"{prefix}{name}", value


def all_defaults() -> dict[str, Any]:
    found = dict(defaults(Config()))
    for name, (point,) in discover().items():
        model = settings_model(point.load())
        if model is not None and point.value.startswith("smabot_"):
            found |= dict(defaults(model(), f"plugin.{name}."))
    return found


def same(told: str, value: Any) -> bool:
    if told == "none":
        return value is None
    read = tomllib.loads(f"value = {told}", parse_float=Decimal)["value"]
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return Decimal(str(read)) == Decimal(str(value))
    return bool(
        json.loads(json.dumps(read, default=float)) == json.loads(json.dumps(value, default=str))
    )


def test_every_setting_is_told_with_its_default() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| `?([^|`]+)`? \|", page("docs/settings.md"), re.M)
    told = {key: text.strip() for key, text in rows}
    real = all_defaults()
    assert sorted(told) == sorted(real)
    assert {key: told[key] for key in real if not same(told[key], real[key])} == {}


# -- the commands ----------------------------------------------------------------------------------


def commands_of_the_readme() -> list[str]:
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", README, re.S)
    return [block.strip() for block in blocks if ".venv/bin/" in block]


def test_the_readme_gives_two_commands_and_ci_runs_the_second() -> None:
    install, test = commands_of_the_readme()
    assert install.startswith("python3 -m venv .venv && ")
    script = (ROOT / ".ci" / "run").read_text().replace(" --quiet", "").splitlines()
    steps = ["python3 -m venv .venv", *test.split(" && ")]
    assert [line for line in script if line in steps] == steps


def test_what_the_first_command_installs_is_every_plugin_and_core() -> None:
    lines = set((ROOT / "requirements.txt").read_text().split("\n"))
    folders = {f"-e ./plugins/{f.parent.name}" for f in ROOT.glob("plugins/*/pyproject.toml")}
    assert "requirements.txt" in commands_of_the_readme()[0]
    assert {"-e .", *folders} <= lines
