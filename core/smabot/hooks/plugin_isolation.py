"""What a plugin does to the process that others go by: its decimal context, its folder."""

from __future__ import annotations

import decimal
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def undisturbed() -> Iterator[None]:
    """Undo what is done within: relative paths and sums mean afterwards what they meant before."""
    folder = _folder()
    default = decimal.DefaultContext
    precision, traps = default.prec, dict(default.traps)
    try:
        with decimal.localcontext():
            yield
    finally:
        default.prec = precision
        default.traps.update(traps)
        if folder is not None and _folder() != folder:
            os.chdir(folder)


def _folder() -> Path | None:
    with suppress(OSError):
        return Path.cwd()
    return None
