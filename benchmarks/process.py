"""Whole processes, timed from outside, with bytecode in place as an installation leaves it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

SMABOT = str(Path(sys.executable).with_name("smabot"))
PER_MIB = 1024 * (1024 if sys.platform == "darwin" else 1)
"""What a peak memory of the operating system is counted in."""

_BYTECODE = tempfile.TemporaryDirectory(prefix="smabot-bytecode-")
_ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    "PYTHONPYCACHEPREFIX": _BYTECODE.name,
}


@dataclass(frozen=True, slots=True)
class Ended:
    """Seconds from exec to the awaited line (or the end), the peak memory in MiB, the lines on stdout up to
    that one, and the seconds of the processor until the end."""

    seconds: float
    peak: float
    lines: tuple[str, ...]
    cpu: float


def spawn(
    command: Sequence[str], until: str = "", variables: Mapping[str, str] | None = None
) -> Ended:
    """Run a command to its end; time it to the first line on stdout that contains ``until``.

    ``variables`` are added to its environment.

    Raises RuntimeError when it fails or never prints that line.
    """
    begun = perf_counter()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**_ENVIRONMENT, **(variables or {})},
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        seconds, lines = 0.0, []
        for line in child.stdout:
            if seconds:
                continue
            lines.append(line)
            if until and until in line:
                seconds = perf_counter() - begun
        errors = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode or (until and not seconds):
        raise RuntimeError(f"{' '.join(command)}: exit code {child.returncode}: {errors.strip()}")
    cpu = usage.ru_utime + usage.ru_stime
    return Ended(seconds or perf_counter() - begun, usage.ru_maxrss / PER_MIB, tuple(lines), cpu)


def rounds(command: Sequence[str], count: int, until: str = "") -> list[Ended]:
    """Run a command so often, after one run that warms the disk's cache and compiles."""
    spawn(command, until)
    return [spawn(command, until) for _ in range(count)]


def python(code: str, count: int) -> list[float]:
    """Return the seconds that a bare interpreter takes for some code."""
    return [each.seconds for each in rounds([sys.executable, "-c", code], count)]


def python_cpu(code: str, count: int) -> list[float]:
    """Return the processor seconds that a bare interpreter takes for some code."""
    return [each.cpu for each in rounds([sys.executable, "-c", code], count)]
