"""What the files for containers name is there, and does what they say: read here, as no image is built."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from smabot.cli.command_group import COMMANDS, add_shared_options
from smabot.cli.commands.run import run

ROOT = Path(__file__).parents[2]


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions in order, each with its arguments."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line)]  # fmt: skip


def of(kind: str) -> list[str]:
    return [rest for word, rest in instructions() if word == kind]


def compose() -> Any:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["smabot"]


def test_the_instructions_are_those_of_docker() -> None:
    assert {word for word, _ in instructions()} == {
        "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "STOPSIGNAL", "HEALTHCHECK",
        "ENTRYPOINT", "CMD",
    }  # fmt: skip


def test_what_is_copied_is_there_and_not_ignored() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = [each.split()[:-1] for each in of("COPY") if not each.startswith("--from=")]
    sources = {source for some in copied for source in some}
    assert sources == kept
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_what_a_build_needs_is_not_ignored() -> None:
    ignored = [rule for rule in (ROOT / ".dockerignore").read_text().splitlines() if "**" in rule]
    names = {rule.removeprefix("**/") for rule in ignored}
    packed = [*ROOT.glob("core/smabot/**/*.py"), *ROOT.glob("plugins/*/smabot_*/**/*.py")]
    hit = [p for p in packed if any(fnmatch(part, n) for part in p.parts for n in names)]
    assert [path for path in hit if "__pycache__" not in path.parts] == []


def test_every_plugin_is_installed_for_a_python_that_is_supported() -> None:
    (installing,) = [each for each in of("RUN") if "pip install" in each]
    assert "./plugins/*" in installing
    supported = (ROOT / "pyproject.toml").read_text()
    for base in {each.split()[0] for each in of("FROM")}:
        image, version = base.split(":")
        assert image == "python"
        assert f"Python :: {version.removesuffix('-slim')}" in supported


def test_it_runs_as_a_user_without_rights_who_owns_the_database_alone() -> None:
    (user,) = of("USER")
    assert int(user) >= 10_000
    made = next(each for each in of("RUN") if "useradd" in each)
    assert f"--uid {user} " in made
    (volume,) = of("VOLUME")
    assert made.endswith(f" {volume}")
    assert compose()["volumes"] == [f"data:{volume}"]
    assert of("WORKDIR")[-1] == str(Path(volume).parent)  # the default database is data/trades.db


def test_the_command_and_the_compose_command_run() -> None:
    assert json.loads(of("ENTRYPOINT")[0]) == ["smabot"]
    for words in (json.loads(of("CMD")[0]), compose()["command"]):
        assert words[0] in COMMANDS
        if words[0] == "run":
            parent = click.Context(click.Group("smabot"))
            add_shared_options(run).make_context("run", list(words[1:]), parent=parent)


@pytest.mark.parametrize(("code", "healthy"), [(0, True), (1, True), (2, False), (3, False)])
def test_degraded_is_healthy_and_dead_is_not(tmp_path: Path, code: int, healthy: bool) -> None:
    (check,) = of("HEALTHCHECK")
    options, _, command = check.partition(" CMD ")
    assert shlex.split(command)[:2] == ["smabot", "health"]
    assert set(re.findall(r"--(\w[\w-]*)=", options)) == {
        "interval",
        "timeout",
        "start-period",
        "retries",
    }
    fake = tmp_path / "smabot"
    fake.write_text(f"#!/bin/sh\nexit {code}\n")
    fake.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", command], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False
    )
    assert done.returncode == (0 if healthy else 1)  # 2 is reserved in Docker


def test_the_compose_service_is_hardened_and_restarts() -> None:
    service = compose()
    assert service["read_only"] is True
    assert service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["restart"] == "unless-stopped"
    assert int(service["stop_grace_period"].rstrip("s")) > 15
    assert Path(service["build"]) == Path()
