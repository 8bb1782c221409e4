"""Which positions no strategy of the run manages, in words for the operator."""

from __future__ import annotations

from smabot.domain.bot_records import PLUGIN_FILE, BotState
from smabot.engine.start.bot_session import BotSession


def unattended_positions(session: BotSession) -> list[str]:
    """Return a note for each position that nobody closes, or nobody enters again, in this run."""
    notes = []
    for position in session.book.positions.values():
        shares = f"{position.qty:f} {position.symbol}"
        if position.qty and not position.strategy:
            notes.append(
                f"{shares} belong to no strategy: "
                f"`smabot flatten --symbol {position.symbol}` closes all of {position.symbol}"
            )
            continue
        holder = f"{position.strategy} holds {shares}"
        if position.qty and position.strategy not in session.plugins.names:
            file = session.book.row(BotState, position.strategy, PLUGIN_FILE)
            where = f" (last loaded from {file.value})" if file is not None else ""
            notes.append(
                f"{holder}, but that plugin{where} is not part of this run: the bot does not close it"
            )
        elif position.qty and position.symbol not in session.enterable:
            notes.append(
                f"{holder}: it is valued and exited in this run, and not entered again, as "
                f"{position.symbol} is not among the symbols to trade"
            )
    return notes
