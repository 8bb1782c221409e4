"""`smabot run --live`: what has to be set for it, and the confirmation before anything is traded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from loguru import logger

from smabot.cli.confirmation import NO_TERMINAL_FOR_LIVE, require_confirmation
from smabot.domain.bot_records import Event
from smabot.errors import ConfigError

if TYPE_CHECKING:
    from smabot.cli.screen import Screen
    from smabot.engine.start.bot_session import BotSession
    from smabot.settings.model import Config

GUARDS = ("risk.circuit_breaker", "risk.daily_limits")
"""The plugins without which no real money is traded."""
TABLE = "risk.daily_limits"
LIMITS = ("max_loss", "max_exposure", "max_exposure_per_symbol", "max_order_notional")
"""The settings of `TABLE` that the operator has to choose, in US dollars."""
SYMBOLS_SHOWN = 20


def check_live_settings(
    config: Config, origins: Mapping[str, str], plugins: Collection[str]
) -> None:
    """Raise ConfigError unless the guards are loaded and every limit is set, not left at its default.

    ``origins`` tell where each dotted key was set; ``plugins`` are the names of those loaded.
    """
    if config.in_memory:
        raise ConfigError(
            "--live needs a database: --db :memory: loses positions and orders with the process"
        )
    absent = [name for name in GUARDS if name not in plugins]
    unset = [name for name in LIMITS if not _chosen(config, origins, name)]
    parts = []
    if absent:
        parts.append(
            f"the plugin{'s' * (len(absent) > 1)} {' and '.join(absent)}: name risk in plugins, and "
            "not in no_plugins"
        )
    if unset:
        parts.append(
            f"limits that you chose: write {', '.join(f'{name} = AMOUNT' for name in unset)} below "
            f"[default.plugin.{TABLE}] in the settings file, in US dollars, above 0"
        )
    if parts:
        raise ConfigError(f"--live needs {'; and '.join(parts)}")


def confirm_live_trading(session: BotSession, screen: Screen) -> None:
    """Let the operator confirm what is traded for real money; keep that as an event and in the log.

    An account named in the settings stands for the confirmation. Raises UsageError when it is not confirmed,
    BrokerError when the broker does not say what the account holds, JournalError.
    """
    assert session.journal is not None
    assert session.broker is not None
    assert session.feed is not None
    session.account = account = session.broker.account()
    text = (
        f"LIVE: REAL MONEY. Account {account.account_id}, equity {account.equity:,.2f}, buying power "
        f"{account.buying_power:,.2f} US dollars; symbols {_symbols(session.enterable)}; limits "
        f"{_limits(session.config)}; database {session.config.db}"
    )
    if session.config.live_account:
        screen.show_warning(text)
    else:
        require_confirmation(text, "live", NO_TERMINAL_FOR_LIVE)
        logger.info("confirmed: {}", text)
    session.journal.commit([Event(session.feed.now(), "live_start", account.account_id, text)])


def _chosen(config: Config, origins: Mapping[str, str], name: str) -> bool:
    return f"plugin.{TABLE}.{name}" in origins and _dollars(config, name) > 0


def _dollars(config: Config, name: str) -> Decimal:
    """Return a limit as it was set, in US dollars; 0: it is off, or not set."""
    try:
        return Decimal(str(config.table(TABLE).get(name, 0)))
    except InvalidOperation:
        return Decimal(0)


def _limits(config: Config) -> str:
    return ", ".join(f"{name} {_dollars(config, name):,.2f}" for name in LIMITS)


def _symbols(symbols: Collection[str]) -> str:
    shown = ", ".join(list(symbols)[:SYMBOLS_SHOWN])
    more = len(symbols) - SYMBOLS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
