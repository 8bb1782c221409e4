"""Watches hooks while they run: a clock, chance, a file, a socket or a thread in one is named by its line.

Calls of C functions are seen by the profiler's events, whatever name they were imported under; what
opens files and sockets, by Python's audit events. Logging is allowed.
"""

from __future__ import annotations

import gc
import inspect
import random
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import smabot

CLOCKS = frozenset({
    "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time",
    "process_time_ns", "thread_time", "thread_time_ns", "clock_gettime", "clock_gettime_ns",
})  # fmt: skip
DATES = frozenset({"now", "utcnow", "today"})
CHANCE = {("posix", "urandom"), ("posix", "getrandom"), ("_uuid", "generate_time_safe")}
AUDITED = {
    "open": "opens a file", "os.listdir": "reads a folder", "os.scandir": "reads a folder",
    "os.remove": "removes a file", "os.rename": "renames a file", "os.mkdir": "makes a folder",
    "sqlite3.connect": "opens a database", "subprocess.Popen": "starts a program",
    "os.system": "starts a program", "os.posix_spawn": "starts a program", "os.fork": "starts a process",
    "socket.__new__": "opens a socket", "socket.connect": "opens a connection",
    "socket.getaddrinfo": "asks for an address", "urllib.Request": "requests an address",
}  # fmt: skip
TRUSTED = frozenset({"logging", "loguru", "warnings", "smabot", "importlib", "zoneinfo"})
"""Packages within which everything is allowed: a log has times, an import reads files."""
LIBRARIES = (
    *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")),
    Path(smabot.__file__).parent,
)
CLOCK = "the computer's time: use bar.time or book.now"
NUMBER = "chance: random.Random(…), seeded from the bar within the hook, is the same each time"
OUTSIDE = "a file, the network or another program: read what it needs in the constructor"
_ACTIVE: list[PurityGuard] = []
_audited = False


@dataclass(frozen=True, slots=True)
class Impurity:
    """What a hook did that a restart does not do alike, and where."""

    hook: str
    file: str
    line: int
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.hook} {self.what} ({self.file}:{self.line})"


class PurityGuard:
    """Collects what the guarded hooks of plugins in a folder did."""

    def __init__(self, folder: Path) -> None:
        self.found: dict[tuple[str, int, str], Impurity] = {}
        self._folder = folder
        self._hook = ""

    @contextmanager
    def watching_pandas(self) -> Iterator[None]:
        """Watch the clock of pandas, which the profiler does not see, where it is imported."""
        pandas = sys.modules.get("pandas")
        if pandas is None:
            yield
            return
        stamp = pandas.Timestamp
        kept = {name: vars(stamp)[name] for name in DATES if name in vars(stamp)}
        for name in kept:
            setattr(stamp, name, self._noting(name, getattr(stamp, name)))
        try:
            yield
        finally:
            for name, method in kept.items():
                setattr(stamp, name, method)

    def _noting(self, name: str, read: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*args: Any, **kwargs: Any) -> Any:
            if _ACTIVE:
                self.note(sys._getframe(1), f"reads the clock with {name}()", CLOCK)
            return read(*args, **kwargs)

        return staticmethod(noting)

    def wrap(self, call: Callable[..., Any], name: str, hook: str) -> Callable[..., Any]:
        """Return a hook function that is watched while it runs."""

        def guarded(*args: Any) -> Any:
            with self._watching(hook):
                chance = _numpy_state()
                answer = call(*args)
                if chance is not None and chance != _numpy_state():
                    code = getattr(call, "__code__", None)
                    file, line = (code.co_filename, code.co_firstlineno) if code else ("?", 0)
                    self._note(file, line, "uses numpy.random", NUMBER)
                return answer

        return guarded

    @contextmanager
    def _watching(self, hook: str) -> Iterator[None]:
        _audit()
        before, self._hook = sys.getprofile(), hook
        collects = gc.isenabled()
        gc.disable()  # what it calls back, as hypothesis' clock, is not the hook's doing
        _ACTIVE.append(self)
        sys.setprofile(self._profile)
        try:
            yield
        finally:
            sys.setprofile(before)
            _ACTIVE.remove(self)
            if collects:
                gc.enable()

    def _profile(self, frame: FrameType, event: str, called: Any) -> None:
        if event != "c_call":
            return
        name, owner = getattr(called, "__name__", ""), getattr(called, "__self__", None)
        module = getattr(called, "__module__", None)
        if (name in CLOCKS and module == "time") or _is_date(name, owner):
            self.note(frame, f"reads the clock with {name}()", CLOCK)
        elif name == "sleep" and module == "time":
            self.note(frame, "sleeps", "a wait")
        elif module == "_thread" and name.startswith("start_"):
            self.note(frame, "starts a thread", "the order in which threads run")
        elif owner is random._inst or (module, name) in CHANCE:
            self.note(frame, f"uses chance with {name}()", NUMBER)

    def note(self, frame: FrameType | None, what: str, instead_of: str) -> None:
        """Keep what was done below a frame, at the innermost line of the plugin's own code."""
        own: FrameType | None = None
        while frame is not None:
            package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
            if frame.f_code.co_filename == __file__:
                break
            if package in TRUSTED:
                return
            if own is None and is_own(frame.f_code.co_filename, self._folder):
                own = frame
            frame = frame.f_back
        if own is not None:
            self._note(own.f_code.co_filename, own.f_lineno, what, instead_of)

    def _note(self, file: str, line: int, what: str, instead_of: str) -> None:
        remedy = (
            "a restart decides again, and gets another answer: no hook may depend on "
            f"{instead_of}. Logging is allowed"
        )
        key = (file, line, what)
        self.found.setdefault(key, Impurity(self._hook, file, line, what, remedy))


def own_folder(target: Any) -> Path:
    """Return where the plugin's own code is: its package, or the folder of its file."""
    file = Path(inspect.getsourcefile(target) or ".").resolve()
    module = target.__name__ if isinstance(target, ModuleType) else target.__module__
    package = module.partition(".")[0]
    return next((each for each in file.parents if each.name == package), file.parent)


def is_own(file: str, folder: Path) -> bool:
    """Whether a file is a plugin's own: in its folder, and in no library that lies in there, as in a venv."""
    inside = [library for library in LIBRARIES if not folder.is_relative_to(library)]
    return Path(file).is_relative_to(folder) and not any(map(Path(file).is_relative_to, inside))


def _is_date(name: str, owner: Any) -> bool:
    return name in DATES and isinstance(owner, type) and issubclass(owner, date)


def _numpy_state() -> Any:
    """Return where numpy's global generator is; None where nobody imported it."""
    numpy = sys.modules.get("numpy.random")
    if numpy is None:
        return None
    _, key, place, *_ = numpy.get_state()
    return place, hash(key.tobytes())


def _audit() -> None:
    """Install the audit hook, once: Python has no way to remove one."""
    global _audited
    if not _audited:
        _audited = True
        sys.addaudithook(_audit_event)


def _audit_event(event: str, args: tuple[Any, ...]) -> None:
    if _ACTIVE and (what := AUDITED.get(event)) is not None:
        named = f" {args[0]}" if event == "open" and isinstance(args[0], str) else ""
        _ACTIVE[-1].note(sys._getframe(1), f"{what}{named}", OUTSIDE)
