"""What plugins print goes to the log: stdout is the screen's, and with ``--json`` a program reads it."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from loguru import Record


@contextmanager
def printed_to_log() -> Iterator[None]:
    """Log what is printed within, in any thread, under the module that prints it.

    Whoever is to write to stdout all the same takes `sys.stdout` beforehand.
    """
    if isinstance(sys.stdout, _Printed):
        yield
        return
    with redirect_stdout(LOGGED):
        yield


class _Printed(io.TextIOWrapper):
    """A stdout whose lines go to the log. Closing it closes nothing: others still print."""

    def __init__(self) -> None:
        super().__init__(
            cast(IO[bytes], _Lines()), encoding="utf-8", errors="replace", write_through=True
        )

    def close(self) -> None:
        self.flush()


class _Lines(io.BufferedIOBase):
    def __init__(self) -> None:
        self._begun = b""
        self._within = threading.local()

    def writable(self) -> bool:
        return True

    def write(self, text: Any) -> int:
        *lines, self._begun = (self._begun + bytes(text)).split(b"\n")
        for line in lines:
            self._log(line.decode(errors="replace").rstrip())
        return len(text)

    def _log(self, line: str) -> None:
        if not line:
            return
        if getattr(self._within, "logging", False):  # the log itself was sent to stdout
            sys.stderr.write(f"{line}\n")
            return
        from loguru import logger

        from smabot.system import log

        module = _printing_module()

        def rename(record: Record) -> None:
            record["name"] = module

        self._within.logging = True
        try:
            log.ensure()
            logger.patch(rename).info("{}", line)
        finally:
            self._within.logging = False


def _printing_module() -> str:
    frame = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back  # type: ignore[assignment]
    return str(frame.f_globals.get("__name__")) if frame is not None else "?"


LOGGED = _Printed()
"""The stdout that plugins get."""
