"""Which positions no strategy of the run manages, in words for the operator."""

from __future__ import annotations

from smabot.domain.plugin_origins import with_file
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
            strategy = with_file(session.book, position.strategy)
            notes.append(
                f"{strategy} holds {shares}, but that plugin is not part of this run: the bot does not "
                "close it"
            )
        elif position.qty and position.symbol not in session.enterable:
            notes.append(
                f"{holder}: it is valued and exited in this run, and not entered again, as "
                f"{position.symbol} is not among the symbols to trade"
            )
    return notes
