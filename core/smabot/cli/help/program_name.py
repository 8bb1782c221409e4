"""How to type this program, and its Python, again, from this folder or another one."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def program_as_typed(folder: Path | None = None) -> str:
    """Return what to type for `smabot` as it was started now, once ``folder`` is the current one."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return f"{_reachable(Path(sys.executable), folder)} -m smabot"
    return _reachable(started, folder)


def python_as_typed(folder: Path | None = None) -> str:
    """Return what to type for the Python that runs now, once ``folder`` is the current one."""
    for name in ("python", "python3"):
        found = shutil.which(name)
        if found is not None and _is_same(Path(found), Path(sys.executable).with_name(name)):
            return name
    return _reachable(Path(sys.executable), folder)


def _reachable(program: Path, folder: Path | None) -> str:
    found = shutil.which(program.name)
    if found is not None and _is_same(Path(found), program):
        return program.name
    if not program.is_absolute() and folder is not None:
        program = Path(os.path.relpath(program, folder))
    return shlex.quote(str(program))


def _is_same(found: Path, program: Path) -> bool:
    """Whether a program on the search path is the one that runs; not what it links to, as each virtual
    environment links to one Python."""
    return found.absolute() == program.absolute()
