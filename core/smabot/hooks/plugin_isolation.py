"""What a plugin does to the process that others go by: its decimal context, its folder."""

from __future__ import annotations

import decimal
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Context, getcontext, setcontext
from pathlib import Path
from typing import Any


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


class DecimalGuard:
    """Keeps the deciding thread's decimal context as it is, whatever plugins do to it.

    To compare it after each call costs a fifth of what a context of its own costs each call.
    """

    def __init__(self) -> None:
        self._set(getcontext())

    def restore(self) -> None:
        """Set the context as it was when this was made, where it is not so; call it after each plugin."""
        watched = self._watched
        if getcontext() is not watched or watched.touched or watched.traps != self._traps:
            self._set(self._settings)

    def _set(self, settings: Context) -> None:
        self._settings = s = settings.copy()
        self._watched = _Watched(
            s.prec, s.rounding, s.Emin, s.Emax, s.capitals, s.clamp, s.flags, s.traps
        )
        self._traps = s.traps
        setcontext(self._watched)


class _Watched(Context):
    """A context that notes that its settings were changed."""

    touched = False

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__("touched", True)
        super().__setattr__(name, value)


def _folder() -> Path | None:
    with suppress(OSError):
        return Path.cwd()
    return None
