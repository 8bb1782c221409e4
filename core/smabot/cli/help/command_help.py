"""How `--help` groups commands and options, and what it says of a plugin's command without its plugin."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

COMMAND_SECTIONS: dict[str, tuple[str, ...]] = {
    "Trade": ("run", "backtest", "halt", "resume", "flatten"),
    "Look": (
        "status", "health", "orders", "trades", "fills", "signals", "explain", "events", "runs", "pnl",
        "equity", "report", "export",
    ),
    "Set up and check": (
        "init", "new", "doctor", "config", "service", "plugins", "verify", "simulate", "data", "reconcile",
        "audit", "completion",
    ),
}  # fmt: skip
"""The commands of core under their headings; one that is not here comes last, as `OTHERS`."""
OTHERS = "More commands"
OPTION_SECTIONS: dict[str, tuple[str, ...]] = {
    "What trades": ("--plugins", "--no-plugin", "--ignore-block", "--symbols"),
    "Market data": ("--data", "--data-zone", "--speed", "--until"),
    "Where orders go": ("--broker", "--url", "--ledger"),
    "Real money": ("--live", "--yes-live"),
}
"""The options of the commands that ask the broker, under their headings; one that is not here comes
first, under `OWN`."""
OWN = "Options"
SHARED = "Options of every command"
SHARED_OPTIONS = ("--settings", "--db", "--json", "--utc", "--verbose", "--debug", "--help")


def command_sections(names: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each heading with those of the commands that stand under it."""
    left = list(names)
    for heading, listed in COMMAND_SECTIONS.items():
        if found := [name for name in listed if name in left]:
            yield heading, found
            left = [name for name in left if name not in found]
    if left:
        yield OTHERS, left


def write_options(command: click.Command, ctx: click.Context, out: click.HelpFormatter) -> None:
    """Write a command's own options, its subcommands, then other options under their headings."""
    options = [each for each in command.get_params(ctx) if isinstance(each, click.Option)]
    headings: dict[str, tuple[str, ...]] = {SHARED: SHARED_OPTIONS}
    if any("--broker" in option.opts for option in options):
        headings = {**OPTION_SECTIONS, **headings}
    sections: dict[str, list[tuple[str, str]]] = {heading: [] for heading in (OWN, *headings)}
    for option in options:
        if (record := option.get_help_record(ctx)) is not None:
            found = (title for title, names in headings.items() if set(option.opts) & set(names))
            sections[next(found, OWN)].append(record)
    for heading, records in sections.items():
        if records:
            with out.section(heading):
                out.write_dl(records)
        if heading == OWN and isinstance(command, click.Group):
            command.format_commands(ctx, out)


def description_of(point: EntryPoint, longest: int) -> str:
    """Return what the command of an entry point does, in a line: the first sentence of its function.

    The source is read and not imported. A command that is not found in it has the summary of its
    distribution.
    """
    text = _docstring(point) or ((point.dist.metadata["Summary"] if point.dist else "") or "")
    return click.Command(point.name, help=text).get_short_help_str(longest)


def _docstring(point: EntryPoint) -> str:
    try:
        source = _source_file(point.module)
        tree = ast.parse(source.read_bytes()) if source is not None else ast.Module([], [])
    except (OSError, ValueError, SyntaxError, ImportError, AttributeError):
        return ""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    found = [node for node in functions if _makes_command(node, point.name)]
    return next((text for node in found if (text := _help_of(node))), "")


def _source_file(module: str) -> Path | None:
    """Return a module's file. Only its outermost package is looked up, as that imports nothing."""
    top, *inner = module.split(".")
    spec = find_spec(top)
    if spec is None or not spec.origin:
        return None
    if not inner:
        return Path(spec.origin)
    path = Path(spec.origin).parent.joinpath(*inner)
    package = path / "__init__.py"
    return package if package.is_file() else path.with_suffix(".py")


def _makes_command(function: ast.FunctionDef, name: str) -> bool:
    """Whether a function's decorator makes it the command of that name."""
    for decorator in function.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(called, ast.Attribute) and called.attr in ("command", "group"):
            texts = [
                each.value
                for each in getattr(decorator, "args", ())
                if isinstance(each, ast.Constant)
            ]
            return (texts[0] if texts else function.name.replace("_", "-")) == name
    return False


def _help_of(function: ast.FunctionDef) -> str:
    given = {
        keyword.arg: keyword.value.value
        for decorator in function.decorator_list
        if isinstance(decorator, ast.Call)
        for keyword in decorator.keywords
        if isinstance(keyword.value, ast.Constant)
    }
    text = given.get("short_help") or given.get("help") or ast.get_docstring(function) or ""
    return str(text)
