"""The files that `smabot new strategy` writes: a package with one strategy, tested, verified and published.

They lie in `strategy_template`, each with ``.txt`` behind its name, as the package of `my_strategy`.
"""

from __future__ import annotations

import re
from keyword import iskeyword
from pathlib import Path

import smabot
from smabot.domain.bot_records import HALT
from smabot.errors import ConfigError
from smabot.hooks.discovery import discover

TEMPLATE = Path(__file__).with_name("strategy_template")
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def distribution_of(name: str) -> str:
    """Return the name under which a strategy is published."""
    return f"smabot-{name.replace('_', '-')}"


def check_name(name: str) -> None:
    """Raise ConfigError where a new strategy can't have this name."""
    if not NAME.fullmatch(name):
        near = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_").removeprefix("smabot_")
        hint = f"; did you mean '{near}'?" if NAME.fullmatch(near) else ""
        raise ConfigError(
            f"'{name}' can't be a strategy's name: use lower-case letters, digits and single "
            f"underscores, and begin with a letter{hint}"
        )
    if iskeyword(name) or iskeyword(_class_of(name)) or name == HALT:
        raise ConfigError(
            f"'{name}' is a word of {'smabot' if name == HALT else 'Python'}: give another name"
        )
    if _class_of(name) in _imported():
        raise ConfigError(
            f"a strategy '{name}' would be a class {_class_of(name)}, and it imports one of that name: give "
            "another name"
        )
    if taken := sorted(each for each in discover() if each.lower().split(".")[0] == name):
        raise ConfigError(
            f"'{name}' names what is installed already, {', '.join(taken)}: give another name"
        )


def strategy_package(name: str) -> dict[str, str]:
    """Return the text of each file of a strategy's package by its path."""
    major, minor = smabot.__version__.split(".")[:2]
    words = {
        "my_strategy": name,
        "my-strategy": name.replace("_", "-"),
        "MyStrategy": _class_of(name),
        "BOUNDS_OF_SMABOT": f">={major}.{minor},<{major}.{int(minor) + 1}",
    }
    pattern = re.compile("|".join(words))

    def filled(text: str) -> str:
        return pattern.sub(lambda found: words[found[0]], text)

    return {
        filled(path.relative_to(TEMPLATE).as_posix().removesuffix(".txt")): filled(
            path.read_text(encoding="utf-8")
        )
        for path in sorted(TEMPLATE.rglob("*.txt"))
    }


def _imported() -> set[str]:
    """Return the names that the template's modules import from others."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in TEMPLATE.rglob("*.py.txt"))
    lines = re.findall(r"^from (?!smabot_my_strategy)\S+ import (.+)$", text, re.M)
    return {name for line in lines for name in line.split(", ")}


def _class_of(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
