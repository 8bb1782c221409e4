"""`smabot flatten`: through the running bot, or in a session of its own."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import smabot
from smabot.cli.broker_commands import confirm
from smabot.cli.screen import Screen
from smabot.cli.session import begin_run, keep, opened, signals
from smabot.cli.status import restored
from smabot.domain.records import Command
from smabot.engine.execution.flattening import Left, left_over
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.engine.recovery import recover_orders
from smabot.errors import BrokerError, PartlyUnreadable, SmabotError, UsageError, suggest

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.domain.book import Book
    from smabot.engine.recovery import Session
    from smabot.settings.loading import Loaded

POLL_SECONDS = 0.25


def flatten(
    app: App,
    loaded: Loaded,
    symbol: str,
    yes: bool,
    timeout: float,
    ignored_blocks: Sequence[str] = (),
) -> int:
    """Close holdings and call entries off; returns the exit code.

    Raises SmabotError when something is left after ``timeout`` seconds, or no session can be opened.
    """
    keeper = app.keeper()
    with app.rows(keeper) as rows:
        book, running, mode = restored(app, rows, keeper), rows.in_use(), app.last_mode
    if symbol:
        _check_symbol(symbol, book, loaded.config.symbols)
    if running and ignored_blocks:
        raise UsageError("--ignore-block: a bot runs, and goes by its own flags: leave it out")
    mode = mode if running else loaded.config.mode
    if not yes:
        confirm(
            _question(book, symbol, mode),
            "flatten",
            "flatten asks for a yes, and there is no terminal: add --yes",
        )
    screen = Screen(mode, app.as_json)
    if running:
        return _through_bot(app, screen, symbol, timeout)
    return _here(app, loaded, screen, symbol, timeout, ignored_blocks)


def _check_symbol(symbol: str, book: Book, symbols: Sequence[str]) -> None:
    known = {holding[1] for holding in (*book.positions, *book.signals)}
    known |= {order.symbol for order in book.open_orders()} | set(symbols)
    if symbol not in known:
        raise UsageError(
            f"--symbol {symbol}: nothing is known of it here{suggest(symbol, sorted(known))}"
        )


def _question(book: Book, symbol: str, mode: str) -> str:
    left = left_over(book, symbol)
    shares = ", ".join(f"{each.qty:f} {each.symbol}" for each in left if each.qty)
    at_work = sum(1 for order in book.open_orders() if symbol in ("", order.symbol))
    what = f"closes {shares or 'nothing'}, {at_work} orders at work"
    money = "LIVE: REAL MONEY. " if mode == "LIVE" else f"{mode}: "
    return f"{money}This {what}{'' if symbol else ', and halts new entries'}."


# -- through the running bot -----------------------------------------------------------------------


def _through_bot(app: App, screen: Screen, symbol: str, timeout: float) -> int:
    """Tell the bot, then look on until its database says that all is flat."""
    screen.note(f"the running bot: {app.send('flatten', symbol)}")
    deadline, before, sure = time.monotonic() + timeout, "", 0
    keeper = app.keeper()
    with app.rows(keeper) as rows:
        while True:
            book, running = restored(app, rows, keeper), rows.in_use()
            left = left_over(book, symbol)
            sure = 0 if left else sure + 1  # a fill may fall between two reads
            now = (
                f"{_count(left, 'holding')} not flat, {_count(book.open_orders(), 'order')} at work"
            )
            if left and now != before:
                screen.note(now)
            before = now
            over = time.monotonic() >= deadline or not running or _hopeless(left)
            if sure > 1 or (left and over):
                break
            time.sleep(POLL_SECONDS)
    _summary(screen, book, symbol, left)
    if left and not running:
        raise SmabotError("the bot has ended meanwhile: `smabot flatten` again goes on with it")
    _judge(left)
    return 0


# -- in a session of its own -----------------------------------------------------------------------


def _here(
    app: App,
    loaded: Loaded,
    screen: Screen,
    symbol: str,
    timeout: float,
    ignored_blocks: Sequence[str],
) -> int:
    """Flatten with what works of the plugins: they see their fills, and none of them is needed."""
    config, wall = loaded.config.model_copy(update={"until": None}), app.wall
    plugins = app.selected()
    screen.title(smabot.__version__, str(config.db), plugins.names)
    command = Command(uuid4().hex, "flatten", symbol, wall())
    with opened(config, plugins, screen) as session:
        session.wall = wall
        session.ignored_blocks = tuple(ignored_blocks)
        row = begin_run(session)
        book, code, outcome = session.book, 1, "failed"
        try:
            with signals() as (received, stopping):
                left = _see_through(session, screen, command, stopping, timeout)
            screen.finish()
            _summary(screen, book, symbol, left, _foreign(session, symbol))
            code, outcome = 130 if signal.SIGINT in received else 0, "not flat" if left else "flat"
            if code == 0:
                _judge(left)
        except SmabotError as error:
            screen.failed(error)
            if isinstance(error, ReconciliationConflict):
                screen.conflicts(error.conflicts)
            code = error.exit_code
            outcome = str(error) if outcome == "failed" else outcome
            raise
        finally:
            screen.finish()
            keep(session, replace(row, ended_at=wall(), exit_code=code, outcome=outcome))
        return code


def _see_through(
    session: Session, screen: Screen, command: Command, stopping: threading.Event, timeout: float
) -> list[Left]:
    """Serve the broker's news until all is flat, nothing will change, or the time is over."""
    book, symbol = session.book, command.argument
    begun = False

    def committed(rows: list[Any], bars: list[Any]) -> None:
        nonlocal begun
        screen.committed(rows, bars)
        for row in rows:
            if isinstance(row, Command):
                screen.note(row.answer)
                begun = begun or row.id == command.id
        left = left_over(book, symbol)
        if begun and (not left or _hopeless(left)):
            stopping.set()

    engine = recover_orders(session, command, committed)
    engine.stopping = stopping
    for note in session.notes:
        screen.note(note)
    assert session.feed is not None
    screen.begin(session.feed)
    timer = threading.Timer(timeout, stopping.set)
    timer.daemon = True
    timer.start()
    try:
        if engine.run() == "ended":
            screen.note("end of the data: nothing can fill any more")
    finally:
        timer.cancel()
    return left_over(book, symbol)


def _foreign(session: Session, symbol: str) -> list[str]:
    """Return what the account holds beside ours, in words; nothing where the broker does not tell."""
    assert session.broker is not None
    try:
        positions = session.broker.positions()
    except PartlyUnreadable as error:
        positions = error.readable
    except BrokerError:
        return []
    others = [(p.symbol, p.qty - session.book.net(p.symbol)) for p in positions]
    return [f"{qty:f} {name}" for name, qty in others if qty and symbol in ("", name)]


# -- what came of it -------------------------------------------------------------------------------


def _hopeless(left: Sequence[Left]) -> bool:
    """Whether waiting alone changes nothing."""
    return bool(left) and all(each.blocked for each in left)


def _summary(
    screen: Screen, book: Book, symbol: str, left: Sequence[Left], foreign: Sequence[str] = ()
) -> None:
    reason = book.halted
    entries = f"halted ({reason}); `smabot resume` allows them again"
    if not reason:
        entries = f"not halted: a strategy may buy {symbol} again" if symbol else "not halted"
    whole = f"{symbol} is flat" if symbol else "all is flat"
    lines = [("flatten", f"{_count(left, 'holding')} not flat" if left else whole)]
    lines += [
        (f"{each.qty:f} {each.symbol}", f"{each.strategy or '-'}: {each.why}") for each in left
    ]
    lines += [("entries", entries)]
    if foreign:
        lines.append(("not ours", f"{', '.join(foreign)}: left alone"))
    data = {
        "flat": not left, "symbol": symbol or None, "halted": reason or None,
        "left": [
            {"strategy": e.strategy, "symbol": e.symbol, "qty": e.qty, "why": e.why} for e in left
        ],
        "not_ours": list(foreign),
    }  # fmt: skip
    screen.summary(data, lines)


def _judge(left: Sequence[Left]) -> None:
    if _hopeless(left):
        raise SmabotError(
            f"{_count(left, 'holding')} not flat: a plugin blocks the exits; change its settings, or "
            "leave it out with --no-plugin NAME --ignore-block NAME, then `smabot flatten` again"
        )
    if left:
        raise SmabotError(
            f"{_count(left, 'holding')} not flat yet: `smabot flatten` again, or "
            "`smabot run`, goes on with it"
        )


def _count(things: Iterable[object], name: str) -> str:
    count = len(list(things))
    return f"{count} {name}{'' if count == 1 else 's'}"
