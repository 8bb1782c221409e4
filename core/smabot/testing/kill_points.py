"""Where a bot that runs in this process can be killed: each boundary has a name, and one place that makes it.

A boundary lies before and after every commit, every call of the broker, every request of a dispatcher
and every hook call, after every event taken from the feed, and after every step of the start. The
wrappers here report each to a `Switch`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from smabot.engine.start.startup_report import StartupStep
    from smabot.hooks.plugins import Plugins

COMMIT = "commit"
REQUEST = "request"
TAKEN = "taken from the feed: "
START = "start: "
BROKER_CALLS = (
    "account", "calendar", "submit", "submit_many", "cancel", "order", "orders", "positions",
    "cash_activities", "executions",
)  # fmt: skip


def before(what: str) -> str:
    """Return the name of the boundary before something: a commit, ``broker.submit``, ``sma.on_bar``."""
    return f"before {what}"


def after(what: str) -> str:
    """Return the name of the boundary after something."""
    return f"after {what}"


class Killed(BaseException):
    """The process is dead: whoever catches it may only throw the bot away."""


class Switch(Protocol):
    """What is told of each boundary. It may raise `Killed`."""

    def point(self, name: str) -> None: ...


class KillSwitch:
    """Counts boundaries, and kills at the one that was chosen.

    Once killed it kills at every boundary, so that nothing survives where plugins' errors are caught:
    `revive` begins the next process.
    """

    def __init__(self) -> None:
        self._left: int | None = None
        self._killed_at = ""

    @property
    def killed(self) -> bool:
        return bool(self._killed_at)

    def arm(self, points: int) -> None:
        """Kill at the so many-th point from now."""
        self._left = points

    def disarm(self) -> None:
        self._left = None

    def revive(self) -> None:
        """Begin another process; a kill that waits for its point still waits."""
        self._killed_at = ""

    def point(self, name: str) -> None:
        """Raise Killed where it is time."""
        if self._killed_at:
            raise Killed(self._killed_at)
        if self._left is None:
            return
        self._left -= 1
        if self._left <= 0:
            self._left = None
            self._killed_at = name
            raise Killed(name)


class MortalJournal:
    """A journal whose process may die before and after each commit."""

    def __init__(self, journal: Any, switch: Switch) -> None:
        self._journal = journal
        self._switch = switch

    def commit(self, rows: Sequence[Any], bars: Sequence[Any] = ()) -> None:
        self._switch.point(before(COMMIT))
        self._journal.commit(rows, bars)
        self._switch.point(after(COMMIT))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)


class MortalBroker:
    """A broker whose caller may die before each call, and when it has the answer."""

    def __init__(self, broker: Any, switch: Switch) -> None:
        self._broker = broker
        self._switch = switch

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._broker, name)
        if name not in BROKER_CALLS:
            return value
        call = mortal_call(value, f"broker.{name}", self._switch)
        self.__dict__[name] = call
        return call


class MortalFeed:
    """A feed whose reader may die with each event that it has taken."""

    def __init__(self, feed: Any, switch: Switch) -> None:
        self._feed = feed
        self._switch = switch

    def next(self, timeout: float) -> Any:
        batch = self._feed.next(timeout)
        if batch is not None:
            self._switch.point(f"{TAKEN}{batch.time:%Y-%m-%d %H:%M} UTC")
        return batch

    def history(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        minutes: Iterable[Any] = self._feed.history(*args, **kwargs)
        for minute in minutes:
            self._switch.point(f"{TAKEN}history")
            yield minute

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)


def mortal_call(call: Callable[..., Any], what: str, switch: Switch) -> Callable[..., Any]:
    """Return a function with a boundary before it and one after it."""
    name_before, name_after = before(what), after(what)

    def mortal(*args: Any, **kwargs: Any) -> Any:
        switch.point(name_before)
        answer = call(*args, **kwargs)
        switch.point(name_after)
        return answer

    return mortal


def wrap_hooks(
    plugins: Plugins,
    names: Iterable[str],
    wrap: Callable[[Callable[..., Any], str, str], Callable[..., Any]],
) -> None:
    """Replace each hook function of some plugins by ``wrap(function, plugin's name, hook)``."""
    for name in names:
        plugin = plugins.manager.get_plugin(name)
        for caller in plugins.manager.get_hookcallers(plugin) or ():
            for impl in caller.get_hookimpls():
                if impl.plugin_name == name:
                    impl.function = wrap(impl.function, name, caller.name)  # type: ignore[misc]
    plugins.check()


def start_steps(switch: Switch) -> Callable[[StartupStep], None]:
    """Return what `open_session` shows the steps of a start to: each ends at a boundary."""
    return lambda step: switch.point(f"{START}{step.name}")
