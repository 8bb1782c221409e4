"""Which files a plugin reads while it is imported and made: seen in a process that imports it anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from smabot.errors import PluginError

if TYPE_CHECKING:
    from smabot.testing.verifying.subject import Subject

CHILD = "from smabot.testing.verifying.early_reads import main; main()"


@dataclass(frozen=True, slots=True)
class EarlyRead:
    """A file that was opened, and the line of the plugin's own code that did it."""

    file: str
    """As it was named."""
    line: str

    def is_within(self, path: str) -> bool:
        """Whether it is a file, or in a folder."""
        return Path(self.file).resolve().is_relative_to(Path(path).expanduser().resolve())

    def __str__(self) -> str:
        return f"{self.file} ({self.line})"


def early_reads(subject: Subject) -> list[EarlyRead]:
    """Return the files that a plugin opens before its first bar. Raises PluginError where the process fails."""
    asked = json.dumps(subject.described(subject.config))
    done = subprocess.run(
        [sys.executable, "-c", CHILD, asked], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise PluginError(f"imported in another process it fails: {last[0]}")
    return [EarlyRead(*each) for each in json.loads(done.stdout.splitlines()[-1])]


def main() -> None:
    """Print the files that the plugin opens which the first argument describes, as JSON."""
    from smabot.testing.verifying.purity_guard import is_own, own_folder
    from smabot.testing.verifying.subject import from_description

    opened: list[tuple[str, list[tuple[str, int]]]] = []

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(args[0], (str, Path)):
            opened.append((str(args[0]), _lines(sys._getframe(1))))

    sys.addaudithook(watch)
    subject = from_description(json.loads(sys.argv[1]))
    subject.alone()
    seen, opened = opened, []
    folder = own_folder(subject.target)
    found = {
        file: f"{Path(own[0][0]).name}:{own[0][1]}"
        for file, lines in seen
        if file != os.devnull and (own := [each for each in lines if is_own(each[0], folder)])
    }
    print(json.dumps(list(found.items())))


def _lines(frame: FrameType | None) -> list[tuple[str, int]]:
    """Return the lines that led to an event, the innermost first: up to an import, which reads modules."""
    lines = []
    while frame is not None and frame.f_globals.get("__name__") != "importlib._bootstrap":
        lines.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return lines
