"""The kinds of faults that a schedule can have, each with how it is drawn. The order never changes: seeds go by it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from smabot.testing.simulation.room_rules import LEAST_LEFT
from smabot.testing.simulation.schedule import Action

NEAR, FAR = "near", "far"
BOTH = (NEAR, FAR)
HOOKS = ("on_bar", "on_equity", "before_submit", "may_leave", "on_order", "on_fill")
RULES = ("risk.circuit_breaker", "risk.daily_limits")


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a fault is drawn for: a minute, and the symbols of the world."""

    chance: random.Random
    minute: int
    symbols: Sequence[str]

    def action(self, verb: str, what: str = "", count: int = 1, detail: str = "") -> Action:
        return Action(self.minute, verb, what, count, detail)

    def later(self, most: int, verb: str, what: str = "", count: int = 1) -> Action:
        """Return an action of one of the minutes after this one."""
        return Action(self.minute + self.chance.randint(1, most), verb, what, count)

    @property
    def symbol(self) -> str:
        return self.chance.choice(self.symbols)


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault: its name as it is counted, on which lines there can be one, and how it is drawn."""

    name: str
    draw: Callable[[Occasion], list[Action]]
    lines: tuple[str, ...] = BOTH


def _line(request: str, fault: str, o: Occasion) -> list[Action]:
    return [o.action("line", fault, o.chance.choice((1, 1, 2, 5)), request)]


def _updates(fault: str, o: Occasion) -> list[Action]:
    return [o.action("updates", fault, o.chance.choice((1, 1, 3)))]


def _bars(fault: str, o: Occasion) -> list[Action]:
    most = 20 if fault == "missing" else 2
    return [o.action("bars", fault, o.chance.choice((1, 1, most)))]


def _commit(fault: str, o: Occasion) -> list[Action]:
    return [o.action("commit_fails", fault)]


def _exchange(fault: str, o: Occasion) -> list[Action]:
    return [o.action("exchange", fault, o.chance.randint(1, 8), o.symbol)]


def _hook(hook: str, o: Occasion) -> list[Action]:
    return [o.action("plugin_fails", hook)]


def _refused(what: str, o: Occasion) -> list[Action]:
    return [o.action("refused", what, o.chance.randint(1, 3))]


def _busy(o: Occasion) -> list[Action]:
    return [o.action("busy"), o.later(4, "busy", "", 0)]


def _network_down(o: Occasion) -> list[Action]:
    return [o.action("network"), o.later(3, "network", "", 0)]


def _used_up(o: Occasion) -> list[Action]:
    """Positions are wanted before, and flat meanwhile; both streams end, so that the bot has much to query."""
    left = o.chance.choice((LEAST_LEFT, LEAST_LEFT, 15, 40))
    positions = [(symbol, actor) for symbol in o.symbols for actor in "01"]
    actions = [o.action("want", symbol, 1, actor) for symbol, actor in positions]
    actions.append(Action(o.minute + 1, "use_up", o.chance.choice(("1", "3")), left))
    for minute in (o.minute + 1, o.minute + 2, o.minute + 3):
        actions += [Action(minute, what, "closed") for what in ("updates", "bars")]
    for symbol, actor in positions:
        actions.append(Action(o.minute + o.chance.choice((2, 3)), "want", symbol, 0, actor))
    return actions


def _stream_down(o: Occasion) -> list[Action]:
    return [o.action("stream"), o.later(5, "stream", "", 0)]


def _clock(o: Occasion) -> list[Action]:
    seconds = o.chance.choice((1, 30, 90, 3600))
    return [o.action("clock_steps", o.chance.choice(("back", "")), seconds)]


def _sold(o: Occasion) -> list[Action]:
    return [o.action("by_hand", o.symbol, o.chance.choice((30, 100, 100)))]


def _bought(o: Occasion) -> list[Action]:
    return [o.action("by_hand", o.symbol, o.chance.choice((1, 40)), "buy")]


def _cash(o: Occasion) -> list[Action]:
    return [o.action("transfer", o.chance.choice(("in", "out")), o.chance.choice((5, 500)))]


def _split(o: Occasion) -> list[Action]:
    return [o.action("split", o.symbol, o.chance.choice((2, 3)))]


def _symbols(o: Occasion) -> list[Action]:
    return [o.action("leave_out", o.chance.choice((*o.symbols, "")))]


def _plugins(o: Occasion) -> list[Action]:
    return [o.action("without_plugin", o.chance.choice(RULES)), o.later(5, "without_plugin")]


def _settings(o: Occasion) -> list[Action]:
    return [o.action("change_settings", "", o.chance.randrange(4))]


def _sleep(o: Occasion) -> list[Action]:
    return [o.action("sleep", "", o.chance.choice((1, 3, 300)))]


def _stop(o: Occasion) -> list[Action]:
    return [o.action("stop", "", o.chance.choice((1, 1, 2, 4)))]


_ON_THE_LINE = {
    "lost": BOTH, "unanswered": BOTH, "full": BOTH, "late": (FAR,), "slow": (FAR,),
}  # fmt: skip
_OF_UPDATES = ("dropped", "doubled", "delayed", "swapped")
_OF_BARS = ("missing", "late", "repeated", "revised", "bad print", "no number")
_OF_COMMITS = ("disk full", "locked", "I/O error", "I/O error after it")
_OF_THE_EXCHANGE = (
    "frozen_cancel", "stuck_pending", "rejected_later", "left_at_close", "lost_answer", "halt",
)  # fmt: skip
_OF_ANSWERS = (
    "error", "before", "reset", "no connection", "garbage", "cut", "page", "small pages",
)  # fmt: skip
"""An error after the request was carried out, or before; the connection breaks after it, or there is none; the
answer can't be read, ends in the middle, or is a web page; a list comes in small pages."""
_OF_STREAMS = ("garbage", "muted", "closed", "refused")
"""A frame can't be read; none comes any more; the connection ends, and the next ones are refused."""


SERVED_KINDS: tuple[FaultKind, ...] = (
    *(
        FaultKind(f"{request} {fault}", partial(_line, request, fault), (FAR,))
        for request in ("submit", "cancel", "query")
        for fault in _OF_ANSWERS
    ),
    *(FaultKind(f"update {fault}", partial(_updates, fault), (FAR,)) for fault in _OF_STREAMS),
    *(FaultKind(f"bar {fault}", partial(_bars, fault), (FAR,)) for fault in _OF_STREAMS),
    FaultKind("rate limit used up", _used_up, (FAR,)),
)
"""Kinds where broker and feed are a plugin's own: faults of the bytes on the line."""
FAULT_KINDS: tuple[FaultKind, ...] = (
    *(
        FaultKind(f"{request} {fault}", partial(_line, request, fault), lines)
        for request in ("submit", "cancel", "query")
        for fault, lines in _ON_THE_LINE.items()
    ),
    *(FaultKind(f"update {fault}", partial(_updates, fault)) for fault in _OF_UPDATES),
    *(FaultKind(f"bar {fault}", partial(_bars, fault)) for fault in _OF_BARS),
    *(FaultKind(f"commit {fault}", partial(_commit, fault)) for fault in _OF_COMMITS),
    *(FaultKind(f"exchange {fault}", partial(_exchange, fault)) for fault in _OF_THE_EXCHANGE),
    *(FaultKind(f"plugin fails in {hook}", partial(_hook, hook)) for hook in HOOKS),
    *(FaultKind(f"{what} refused", partial(_refused, what)) for what in ("key", "account")),
    FaultKind("dispatcher busy", _busy, (FAR,)),
    FaultKind("stream down", _stream_down),
    FaultKind("network down", _network_down),
    FaultKind("clock steps", _clock),
    FaultKind("sold by hand", _sold),
    FaultKind("bought by hand", _bought),
    FaultKind("cash moved", _cash),
    FaultKind("split", _split),
    FaultKind("symbols changed", _symbols),
    FaultKind("plugins changed", _plugins),
    FaultKind("settings changed", _settings),
    FaultKind("process asleep", _sleep, (FAR,)),
    FaultKind("stopped and started", _stop),
)


def kinds_for(*, served: bool) -> tuple[FaultKind, ...]:
    """Return the kinds that there can be; ``served``: where broker and feed are a plugin's own."""
    return (*FAULT_KINDS, *SERVED_KINDS) if served else FAULT_KINDS
