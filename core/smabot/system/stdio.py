"""The one way to stdout and stderr: writing there never fails, never shows a secret, and never holds up a
bot.

What can't be written (a closed pipe, a full disk, no descriptor at all) is dropped, and what a terminal
can't show is replaced. A command that only answers finds out by `lost` that nobody got its answer; a bot
goes on trading.
"""

from __future__ import annotations

import errno
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import RawIOBase, TextIOBase, TextIOWrapper
from typing import Any

from smabot.system.redaction import known_masked

STDIN, STDOUT, STDERR = range(3)
PATIENCE = 1.0
"""Seconds that a bot waits for a reader that has stopped to read; then it drops lines."""


class _Descriptor(RawIOBase):
    """A file descriptor that takes everything, and keeps the first reason why something was lost."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.failure: OSError | None = None
        self.patience: float | None = None
        self._stalled = False

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        try:
            self._send(view)
        except OSError as error:
            self.failure = self.failure or error
        return len(view)

    def _send(self, view: memoryview) -> None:
        """Write a piece after the other, each of a size for which a ready pipe does not block."""
        while view:
            if not self._ready():
                return
            with suppress(BlockingIOError):
                view = view[os.write(self._number, view[: select.PIPE_BUF]) :]

    def _ready(self) -> bool:
        """Wait for a reader: for ever where nothing depends on it, else for a moment, once."""
        wait = 0.0 if self._stalled else self.patience
        self._stalled = not select.select([], [self._number], [], wait)[1]
        return not self._stalled

    def become_own(self) -> None:
        """Write to a terminal by a description of its own, which can be set not to block."""
        with suppress(OSError):
            flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
            self._number = os.open(os.ttyname(self._number), flags)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)


class Guarded(TextIOBase):
    """A text stream that shows no secret, over one that can't fail."""

    def __init__(self, inner: Any, descriptor: _Descriptor | None = None) -> None:
        self._inner = inner
        self.descriptor = descriptor

    def write(self, text: str) -> int:
        self._inner.write(known_masked(text))
        return len(text)

    def flush(self) -> None:
        if not self._inner.closed:  # it may be gone before this one is collected
            self._inner.flush()

    def isatty(self) -> bool:
        return bool(self._inner.isatty())

    def fileno(self) -> int:
        return int(self._inner.fileno())

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return str(self._inner.encoding)

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._inner.errors  # type: ignore[no-any-return]


@contextmanager
def guarded() -> Iterator[None]:
    """Within it, whatever writes to `sys.stdout` and `sys.stderr` does so safely."""
    closed = _occupy()
    before = sys.stdout, sys.stderr
    sys.stdout = _guard(sys.stdout, STDOUT, closed)
    sys.stderr = _guard(sys.stderr, STDERR, closed)
    try:
        yield
    finally:
        flush()
        sys.stdout, sys.stderr = before


def do_not_wait() -> None:
    """Drop what is written from now on rather than wait for somebody to read it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, Guarded) and stream.descriptor is not None:
            stream.descriptor.patience = PATIENCE
            stream.descriptor.become_own()


def lost() -> OSError | None:
    """Return why something written to stdout did not arrive; None: it did, as far as can be known."""
    descriptor = getattr(sys.stdout, "descriptor", None)
    return descriptor.failure if isinstance(descriptor, _Descriptor) else None


def flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()


def last_words(text: str) -> None:
    """Write a line to stderr from a signal's handler, before the process leaves; never wait."""
    with suppress(OSError):
        if select.select([], [STDERR], [], 0)[1]:
            os.write(STDERR, f"smabot: {text}\n".encode("ascii", "replace"))


def _occupy() -> set[int]:
    """Open what was closed when the process began, or the next file that is opened, say a database,
    would be stdout. Returns those descriptors."""
    closed = set()
    for number in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(number)
        except OSError:
            closed.add(number)
            os.open(os.devnull, os.O_RDWR)
    return closed


def _guard(stream: Any, number: int, closed: set[int]) -> Any:
    if isinstance(stream, Guarded):
        return stream
    if stream is not None and not _is(stream, number):
        return Guarded(stream)  # another program's, as in a test
    if stream is not None:
        with suppress(OSError, ValueError):
            stream.flush()
    descriptor = _Descriptor(number)
    if number in closed:
        descriptor.failure = OSError(errno.EBADF, "it is closed")
    encoding = getattr(stream, "encoding", None) or "utf-8"
    by_line = number == STDERR or descriptor.isatty()
    inner = TextIOWrapper(
        descriptor,  # type: ignore[type-var]
        encoding=encoding, errors="replace", line_buffering=by_line,
    )  # fmt: skip
    return Guarded(inner, descriptor)


def _is(stream: Any, number: int) -> bool:
    try:
        return bool(stream.fileno() == number)
    except (AttributeError, OSError, ValueError):
        return False
