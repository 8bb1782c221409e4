"""What a risk rule promises: it blocks, also after a restart and before a late sending, and traps nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from itertools import product
from typing import Any

from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import Side
from smabot.domain.records import Order
from smabot.domain.risk_answers import Check as Measured
from smabot.domain.risk_answers import Veto
from smabot.testing.in_process_bot import Bot
from smabot.testing.kill_points import wrap_hooks
from smabot.testing.sample_records import order
from smabot.testing.verifying.generated_markets import at_minutes
from smabot.testing.verifying.plugin_checks import Outcome, check, failed, passed, unproved
from smabot.testing.verifying.plugin_roles import Role
from smabot.testing.verifying.probe_plugins import BuyOnce
from smabot.testing.verifying.subject import Subject

CUTS = 12
"""Minutes of each market at which a rule is asked about an order."""
SIZES = (Decimal(1), Decimal(100_000))
"""Shares of an entry that only a condition blocks, and of one that any limit of a size blocks."""
EXIT: dict[str, Any] = {"side": Side.SELL, "reduces": True}
ASKED = ("before_submit", "may_leave")


@check(
    "blocks",
    Role.RULE,
    promise="it blocks some order on the bars that it is verified on",
    remedy="lower its limits for the trial with --set NAME.KEY=VALUE, so that they are reached; or raise "
    "--set sizing.shares=1000",
)
def blocks(subject: Subject) -> Outcome:
    asked = objections = 0

    def watched(call: Callable[..., Any], name: str, hook: str) -> Callable[..., Any]:
        def ask(*args: Any) -> Any:
            nonlocal asked, objections
            answer = call(*args)
            asked += 1
            objections += objects(answer)
            return answer

        return ask if hook in ASKED else call

    for market in subject.markets():
        bot = subject.bot(market)
        bot.start(tailor=lambda plugins: wrap_hooks(plugins, [subject.name], watched))
        bot.run()
        objections += len([key for key in bot.tables.get("blocks", {}) if key[0] == subject.name])
    if not objections:
        return unproved(0, f"never blocked: asked about {asked:,} orders; nothing proved")
    return passed(objections, f"asked about {asked:,} orders")


@check(
    "exits-pass",
    Role.RULE,
    promise="it lets orders pass that only reduce a position, so that none is trapped",
    remedy="return None where order.reduces, and apply Block with the scope 'entries'",
)
def exits_pass(subject: Subject) -> Outcome:
    cases = 0
    for market in subject.markets():
        for bot, now in _stopped_at(subject.bot(market), at_minutes(market, CUTS)):
            held = [each for each in bot.session.book.positions.values() if each.qty > 0]
            exits = [
                _order(each.symbol, now, strategy=each.strategy, qty=each.qty, **EXIT)
                for each in held
            ]
            for exit_ in exits or [_order(market.bars[0].symbol, now, **EXIT)]:
                cases += 1
                if reason := _objection(subject, bot, exit_):
                    said = f"at {now:%Y-%m-%d %H:%M} UTC of the market '{market.name}' it blocks an exit"
                    return failed(cases, f"{said}: {reason}", market.name)
    return passed(cases)


@check(
    "holds",
    Role.RULE,
    promise="what it blocks, it blocks right after a restart, too, before any bar",
    remedy="keep what it counts and decides in declared records, and apply a Block for a condition that "
    "lasts: attributes are gone after a kill",
)
def holds(subject: Subject) -> Outcome:
    cases = 0
    for market in subject.markets():
        for bot, now in _stopped_at(subject.bot(market), at_minutes(market, CUTS)):
            entry = _order(market.bars[0].symbol, now)
            before = _objection(subject, bot, entry)
            restart = bot.again(bot.world)
            restart.start()
            after = _objection(subject, restart, entry)
            restart.kill()
            cases += 1
            if bool(before) != bool(after):
                where = f"at {now:%Y-%m-%d %H:%M} UTC of the market '{market.name}'"
                said = f"{where} it blocks an entry ({before}), and a restart lets it pass"
                if after:
                    said = f"{where} it lets an entry pass, and a restart blocks it: {after}"
                return failed(cases, said, market.name)
    return passed(cases)


@check(
    "asked-again",
    Role.RULE,
    promise="a condition that comes while an order waits blocks it before it leaves",
    remedy="answer in may_leave, too, or apply a Block: before_submit is asked once, before an order may "
    "have to wait for minutes",
)
def asked_again(subject: Subject) -> Outcome:
    """Ask with positions held and no order made: then only a condition changes the answer."""
    cases = 0
    for market in subject.markets():
        passing: datetime | None = None
        bot = subject.bot(market, probes=(("probe_buys_once", BuyOnce),))
        for stopped, now in _stopped_at(bot, at_minutes(market, CUTS)):
            cases += 1
            entry = _order(market.bars[0].symbol, now)
            if not _asked(subject, stopped, entry, ASKED[:1]):
                passing = now
            elif passing is not None and not _lasting(subject, stopped, entry):
                said = (
                    f"an order that before_submit admits at {passing:%Y-%m-%d %H:%M} UTC of the market "
                    f"'{market.name}' leaves at {now:%Y-%m-%d %H:%M} UTC, when before_submit would block it: "
                    f"{_asked(subject, stopped, entry, ASKED[:1])}"
                )
                return failed(cases, said, market.name)
    return passed(cases)


@check(
    "fails-closed",
    Role.RULE,
    promise="where the book can't be read, no entry passes that it would block",
    remedy="do not catch the error and go on: an error in a hook stops the step, and nothing leaves",
)
def fails_closed(subject: Subject) -> Outcome:
    cases = 0
    for market in subject.markets():
        for bot, now in _stopped_at(subject.bot(market), at_minutes(market, CUTS)):
            entries = [_order(market.bars[0].symbol, now, qty=qty) for qty in SIZES]
            for entry, hook in product(entries, ASKED):
                if not _asked(subject, bot, entry, (hook,)):
                    continue
                for read in range(1, _reads(subject, bot, entry, hook) + 1):
                    cases += 1
                    unreadable = FailingBook(_view(subject, bot), read)
                    if _passes(subject, bot, entry, hook, unreadable):
                        said = f"{hook} lets an entry pass where reading book.{unreadable.failed} fails"
                        return failed(cases, said, market.name)
    return passed(cases, "" if cases else "no hook of it reads the book")


class FailingBook:
    """A book whose so many-th reading fails."""

    def __init__(self, book: Any, fails_at: int = 0) -> None:
        self.reads = 0
        self.failed = ""
        self._book = book
        self._fails_at = fails_at

    def __getattr__(self, name: str) -> Any:
        self.reads += 1
        if self.reads == self._fails_at:
            self.failed = name
            raise RuntimeError(f"book.{name} can't be read")
        return getattr(self._book, name)


def objects(answer: Any) -> bool:
    """Whether a rule's answer blocks an order."""
    if isinstance(answer, Veto):
        return True
    return isinstance(answer, list | tuple) and any(
        isinstance(each, Measured) and not each.passed for each in answer
    )


def _objection(subject: Subject, bot: Bot, asked: Order) -> str:
    """Return why a rule blocks an order now, by its hooks or its blocks; empty: it does not."""
    return _asked(subject, bot, asked, ASKED) or _block(subject, bot, asked)


def _lasting(subject: Subject, bot: Bot, asked: Order) -> str:
    return _asked(subject, bot, asked, ASKED[1:]) or _block(subject, bot, asked)


def _block(subject: Subject, bot: Bot, asked: Order) -> str:
    found = bot.session.book.blocking(reduces=asked.reduces)
    return next((each.reason for each in found if each.plugin == subject.name), "")


def _asked(subject: Subject, bot: Bot, asked: Order, hooks: tuple[str, ...]) -> str:
    for hook in hooks:
        for call in _calls(subject, bot, hook):
            answer = call(asked, _view(subject, bot))
            if objects(answer):
                answers = answer if isinstance(answer, list | tuple) else [answer]
                return next(
                    each.reason or hook for each in answers if not getattr(each, "passed", False)
                )
    return ""


def _reads(subject: Subject, bot: Bot, asked: Order, hook: str) -> int:
    counting = FailingBook(_view(subject, bot))
    for call in _calls(subject, bot, hook):
        call(asked, counting)
    return counting.reads


def _passes(subject: Subject, bot: Bot, asked: Order, hook: str, book: Any) -> bool:
    for call in _calls(subject, bot, hook):
        try:
            if objects(call(asked, book)):
                return False
        except Exception:  # noqa: BLE001 - whatever it raises stops the step
            return False
    return True


def _calls(subject: Subject, bot: Bot, hook: str) -> Iterator[Callable[[Order, Any], Any]]:
    """Yield the rule's functions of a hook, as functions of order and book."""
    for impl in getattr(bot.session.plugins.manager.hook, hook).get_hookimpls():
        if impl.plugin_name == subject.name:
            names, function = impl.argnames, impl.function

            def call(asked: Order, book: Any, names: Any = names, function: Any = function) -> Any:
                given = {"order": asked, "book": book}
                return function(*(given[name] for name in names))

            yield call


def _view(subject: Subject, bot: Bot) -> Any:
    return bot.session.plugins.view(subject.name, bot.session.book)


def _order(symbol: str, now: datetime, **given: Any) -> Order:
    fields = {"strategy": "probe_seesaw", "qty": Decimal(1), "created_at": now, **given}
    return order(symbol=symbol, bar_time=now - MINUTE, **fields)


def _stopped_at(bot: Bot, times: list[datetime]) -> Iterator[tuple[Bot, datetime]]:
    """Yield bots that have run to a time, each one of its own: what is asked changes no other one."""
    for time in times:
        living = bot.again()
        living.run((time - living.exchange.now()) // MINUTE)
        yield living, living.exchange.now()
        living.kill()
