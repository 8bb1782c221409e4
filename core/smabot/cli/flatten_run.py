"""What `smabot flatten` does: through the running bot, or in a session of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import smabot
from smabot.cli.confirmation import require_confirmation
from smabot.cli.records.order_ids import short_id
from smabot.cli.restored_book import restored_book
from smabot.cli.run_session import attended_run, opened_session
from smabot.cli.screen import Screen
from smabot.cli.stop_signals import exit_code_of, stop_signals
from smabot.domain.bot_records import Command
from smabot.engine.execution.flattening import Left, left_over
from smabot.engine.start.recovery import recover_orders
from smabot.engine.surroundings import Surroundings
from smabot.errors import BrokerError, PartlyUnreadable, SmabotError, UsageError, counted, suggest

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.domain.book import Book
    from smabot.engine.start.bot_session import BotSession
    from smabot.settings.loading import Loaded

POLL_SECONDS = 0.25


def flatten_positions(
    app: App,
    loaded: Loaded,
    symbol: str,
    yes: bool,
    timeout: float,
    ignored_blocks: Sequence[str] = (),
) -> int:
    """Close positions and cancel entries; returns the exit code.

    Raises SmabotError when something is left after ``timeout`` seconds, or no session can be opened.
    """
    journal_plugins = app.journal_plugins()
    with app.rows(journal_plugins) as rows:
        book = restored_book(app, rows, journal_plugins)
        running, mode = rows.in_use(), app.last_mode
    if symbol:
        _check_symbol(symbol, book, loaded.config.symbols)
    if running and ignored_blocks:
        raise UsageError("--ignore-block: the running bot has flags of its own: leave it out")
    mode = mode if running else loaded.config.mode
    if not yes:
        require_confirmation(
            _question(book, symbol, mode),
            "flatten",
            "flatten asks for confirmation, and there is no terminal: add --yes",
        )
    screen = Screen(mode, app.as_json, app.times)
    if running:
        return _through_bot(app, screen, symbol, timeout)
    return _in_own_session(app, loaded, screen, symbol, timeout, ignored_blocks)


def _check_symbol(symbol: str, book: Book, symbols: Sequence[str]) -> None:
    known = {holding[1] for holding in (*book.positions, *book.signals)}
    known |= {order.symbol for order in book.open_orders()} | set(symbols)
    if symbol not in known:
        raise UsageError(
            f"--symbol {symbol}: no position, order or signal of it is known{suggest(symbol, sorted(known))}"
        )


def _question(book: Book, symbol: str, mode: str) -> str:
    left = left_over(book, symbol)
    shares = ", ".join(f"{each.qty:f} {each.symbol}" for each in left if each.qty)
    open_orders = sum(1 for order in book.open_orders() if symbol in ("", order.symbol))
    what = f"closes {shares or 'nothing'}, with {counted(open_orders, 'open order')}"
    money = "LIVE: REAL MONEY. " if mode == "LIVE" else f"{mode}: "
    return f"{money}This {what}{'' if symbol else ', and halts new entries'}."


# -- through the running bot -----------------------------------------------------------------------


def _through_bot(app: App, screen: Screen, symbol: str, timeout: float) -> int:
    """Send the command to the bot, then wait until its database says that all is flat."""
    screen.show_note(f"the running bot: {app.send('flatten', symbol)}")
    deadline, before, sure = time.monotonic() + timeout, "", 0
    journal_plugins = app.journal_plugins()
    with app.rows(journal_plugins) as rows:
        while True:
            book, running = restored_book(app, rows, journal_plugins), rows.in_use()
            left = left_over(book, symbol)
            sure = 0 if left else sure + 1  # a fill may fall between two reads
            now = f"{counted(len(left), 'position')} not flat, {counted(len(book.open_orders()), 'open order')}"
            if left and now != before:
                screen.show_note(now)
            before = now
            over = time.monotonic() >= deadline or not running or _is_stuck(left)
            if sure > 1 or (left and over):
                break
            time.sleep(POLL_SECONDS)
    _summary(app, screen, book, symbol, left)
    if left and not running:
        raise SmabotError("the bot ended meanwhile: run `smabot flatten` again to finish it")
    _raise_if_left(left)
    return 0


# -- in a session of its own -----------------------------------------------------------------------


def _in_own_session(
    app: App,
    loaded: Loaded,
    screen: Screen,
    symbol: str,
    timeout: float,
    ignored_blocks: Sequence[str],
) -> int:
    """Flatten with the plugins that work: they see their fills, and none of them is needed."""
    config, wall = loaded.config.model_copy(update={"until": None}), app.wall
    plugins = app.selected_plugins()
    screen.show_title(smabot.__version__, str(config.db), plugins.names)
    command = Command(uuid4().hex, "flatten", symbol, wall())
    with opened_session(config, plugins, screen.show_step) as session:
        session.surroundings = Surroundings(wall)
        session.ignored_blocks = tuple(ignored_blocks)
        with attended_run(session) as run:
            try:
                with stop_signals() as (received, stopping):
                    left, ended = _run_until_flat(app, session, screen, command, stopping, timeout)
                screen.end_progress()
                others = _external_positions(session, symbol)
                _summary(app, screen, session.book, symbol, left, others, ended=ended)
                run.code, run.outcome = exit_code_of(received), "not flat" if left else "flat"
                if run.code == 0:
                    _raise_if_left(left, ended=ended)
            except SmabotError as error:
                screen.show_failure(error)
                raise
            finally:
                screen.end_progress()
        return run.code


def _run_until_flat(
    app: App,
    session: BotSession,
    screen: Screen,
    command: Command,
    stopping: threading.Event,
    timeout: float,
) -> tuple[list[Left], bool]:
    """Process the broker's updates until all is flat, nothing will change, or the time is over.

    Returns what is left, and whether the data ended.
    """
    book, symbol = session.book, command.argument
    begun = ended = False

    def committed(rows: list[Any], bars: list[Any]) -> None:
        nonlocal begun
        screen.show_committed(rows, bars)
        for row in rows:
            if isinstance(row, Command):
                if app.as_json:  # the screen shows the same line as an event
                    screen.show_note(row.answer)
                begun = begun or row.id == command.id
        left = left_over(book, symbol)
        if begun and (not left or _is_stuck(left)):
            stopping.set()

    engine = recover_orders(session, command, committed)
    engine.stopping = stopping
    for note in session.report.notes:
        screen.show_note(note)
    assert session.feed is not None
    screen.begin_progress(session.feed)
    timer = threading.Timer(timeout, stopping.set)
    timer.daemon = True
    timer.start()
    try:
        ended = engine.run() == "ended"
    finally:
        timer.cancel()
    return left_over(book, symbol), ended


def _external_positions(session: BotSession, symbol: str) -> list[str]:
    """Return external positions in words; none where the broker does not answer."""
    assert session.broker is not None
    try:
        positions = session.broker.positions()
    except PartlyUnreadable as error:
        positions = error.readable
    except BrokerError:
        return []
    others = [(p.symbol, p.qty - session.book.net(p.symbol)) for p in positions]
    return [f"{qty:f} {name}" for name, qty in others if qty and symbol in ("", name)]


# -- the result -------------------------------------------------------------------------------------


def _is_stuck(left: Sequence[Left]) -> bool:
    """Whether waiting alone changes nothing."""
    return bool(left) and all(each.blocked for each in left)


def _summary(
    app: App,
    screen: Screen,
    book: Book,
    symbol: str,
    left: Sequence[Left],
    external: Sequence[str] = (),
    *,
    ended: bool = False,
) -> None:
    reason = book.halted
    entries = f"halted ({reason}); `smabot resume` allows them again"
    if not reason:
        entries = f"not halted: a strategy may buy {symbol} again" if symbol else "not halted"
    whole = f"{symbol} is flat" if symbol else "all is flat"
    lines = [("flatten", f"{counted(len(left), 'position')} not flat" if left else whole)]
    lines += [
        (f"{each.qty:f} {each.symbol}", f"{each.strategy or '-'}: {_with_short_ids(each.why)}")
        for each in left
    ]
    if left and (market := _market(app, book, ended=ended)):
        lines += [("market", market)]
    lines += [("entries", entries)]
    if external:
        lines.append(("external", f"{', '.join(external)}: left alone"))
    data = {
        "flat": not left, "symbol": symbol or None, "halted": reason or None,
        "left": [
            {"strategy": e.strategy, "symbol": e.symbol, "qty": e.qty, "why": e.why} for e in left
        ],
        "not_ours": list(external), "data_ended": ended,
    }  # fmt: skip
    screen.show_summary(data, lines)


def _with_short_ids(text: str) -> str:
    return " ".join(map(short_id, text.split(" ")))


def _market(app: App, book: Book, *, ended: bool) -> str:
    """Say why no order fills now; empty where one can."""
    if ended:
        return f"the data ended at {app.times.full(book.now)}; open orders wait for more of it"
    following = book.calendar.next_session(book.now)
    if following is None or following.open <= book.now:
        return ""
    return f"closed until {app.times.full(following.open)}; open orders wait for it"


def _raise_if_left(left: Sequence[Left], *, ended: bool = False) -> None:
    if ended and left:
        raise SmabotError(
            f"{counted(len(left), 'position')} not flat: the data ended, so no exit can fill; they do when "
            "`smabot run` gets data with more sessions after these; another `smabot flatten` changes nothing"
        )
    if _is_stuck(left):
        raise SmabotError(
            f"{counted(len(left), 'position')} not flat: a plugin blocks the exits; change its settings, or "
            "leave it out with --no-plugin NAME --ignore-block NAME, then `smabot flatten` again"
        )
    if left:
        raise SmabotError(
            f"{counted(len(left), 'position')} not flat yet: `smabot flatten` again, or "
            "`smabot run`, goes on with it"
        )
