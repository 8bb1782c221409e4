"""Draw docs/killed-and-resumed.svg: a run is killed while an order is on its way, and resumed.

    python docs/draw_killed_run.py

It kills real runs of the demo with SIGKILL, in a temporary folder, until one dies after it committed an
order and before the broker's answer. Lines are left out, and `…` stands for them; none is written by
hand but the prompts and the kill.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

PICTURE = Path(__file__).with_name("killed-and-resumed.svg")
COMMAND = [str(Path(sysconfig.get_path("scripts")) / "smabot")]
RUN = ["run", "--plugins", "sma,risk"]
WIDTH = 80
TRIES = 50
ORDER = re.compile(r"\border buy \d+ market pending")
TEMPLATE = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>A run of smabot is killed while an order is on its way; the next run continues</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
 font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


def main() -> None:
    """Draw the picture from the first run that dies at the right moment."""
    for _ in range(TRIES):
        with tempfile.TemporaryDirectory() as folder:
            if (screen := _screen(Path(folder))) is not None:
                _draw(screen)
                print(PICTURE)
                return
    sys.exit(f"no run of {TRIES} died between the commit of an order and the broker's answer")


def _screen(folder: Path) -> list[Text] | None:
    """Return what the terminal showed, shortened; None unless one order was on its way."""
    killed, pid = _killed_run(folder)
    state = json.loads(_answer(folder, "status", "--json"))
    if [order["status"] for order in state["open_orders"]] != ["pending"]:
        return None
    status = _answer(folder, "status").splitlines()
    resumed = _resumed_run(folder)
    return [
        _prompt("smabot run --plugins sma,risk"),
        *_lines(killed[:1]), _left_out(), *_lines(killed[-3:]),
        Text.assemble(("Killed", "bold red"), (f"    by kill -9 {pid}, from another terminal", "dim")),
        _prompt("smabot status"),
        *_lines(_matching(status, r"^bot ")), _left_out(),
        *_lines(_following(status, r"^open orders and exits", 3)), _left_out(),
        _prompt("smabot run --plugins sma,risk"),
        *_lines(resumed[:1]), *_lines(_matching(resumed, r"^  (load|reconcile|plugins|warm) ")),
        _left_out(), *_lines(_following(resumed, r"^ready in", 3)), _left_out(),
    ]  # fmt: skip


def _killed_run(folder: Path) -> tuple[list[str], int]:
    """Run until an order is committed while a position is held already, and kill it there."""
    with _started(folder) as bot:
        lines: list[str] = []
        for line in _output(bot):
            lines.append(line)
            if ORDER.search(line) and _is_alone(line, lines):
                break
        bot.kill()
        return lines, bot.pid


def _is_alone(order: str, lines: list[str]) -> bool:
    """Return whether it is the only order of its minute, and another one was filled before."""
    minute = order.split()[0]
    signals = [each for each in lines if each.startswith(minute) and " signal at " in each]
    return len(signals) == 1 and any("bought" in each for each in lines)


def _resumed_run(folder: Path) -> list[str]:
    """Run until what was on its way is filled."""
    with _started(folder) as bot:
        lines: list[str] = []
        for line in _output(bot):
            lines.append(line)
            if "equity" in line and any("bought" in each for each in lines):
                break
        bot.kill()
        return lines


def _started(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *RUN], cwd=folder, env=_environment(), text=True, stdout=subprocess.PIPE
    )


def _output(bot: subprocess.Popen[str]) -> Iterator[str]:
    assert bot.stdout is not None
    for line in bot.stdout:
        yield line.rstrip("\n")


def _answer(folder: Path, *words: str) -> str:
    return subprocess.run(
        [*COMMAND, *words], cwd=folder, env=_environment(), text=True, check=True, capture_output=True
    ).stdout  # fmt: skip


def _environment() -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return {**kept, "COLUMNS": str(WIDTH)}


def _matching(lines: list[str], pattern: str) -> list[str]:
    return [line for line in lines if re.match(pattern, line)]


def _following(lines: list[str], pattern: str, count: int) -> list[str]:
    """Return the first line that matches, and those after it: ``count`` in all."""
    start = next(place for place, line in enumerate(lines) if re.match(pattern, line))
    return lines[start : start + count]


def _lines(lines: list[str]) -> list[Text]:
    return [Text(line) for line in lines]


def _left_out() -> Text:
    return Text("  …", "dim")


def _prompt(command: str) -> Text:
    return Text.assemble(("$ ", "dim"), (command, "bold"))


def _draw(screen: list[Text]) -> None:
    console = Console(record=True, width=WIDTH, file=StringIO(), highlight=False)
    for line in screen:
        console.print(line)
    svg = console.export_svg(
        title="smabot", theme=MONOKAI, code_format=TEMPLATE, unique_id="smabot"
    )
    PICTURE.write_text(svg)


if __name__ == "__main__":
    assert shutil.which(COMMAND[0])
    main()
