"""Opening the exchange as the settings say."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from smabot.provider import IN_MEMORY, Config, ConfigError, file_exists

if TYPE_CHECKING:
    from smabot_exchange.exchange import Exchange
    from smabot_exchange.matching.account import RequestedTerms
    from smabot_exchange.settings import ExchangeSettings


def open_exchange(
    config: Config,
    settings: ExchangeSettings,
    ledger: Path | None = None,
    data: str | None = None,
    data_zone: str | None = None,
    *,
    history: int | None = None,
    time: datetime | None = None,
) -> Exchange:
    """Open the exchange on the settings' ledger and data, or on others that are named.

    ``history`` is given instead of the setting. With a ``time`` the data are those of its day, and the clock
    of a new ledger starts at it.

    Raises ConfigError for bad data or a bad ledger, LockHeld when another process has it open.
    """
    from smabot_exchange.data.data_source import DEFAULT_DATA, open_data
    from smabot_exchange.exchange import Exchange
    from smabot_exchange.ledger.beginning import Beginning
    from smabot_exchange.ledger.memory_ledger import LedgerImage

    ledger = ledger or config.ledger_path
    data, zone = data or config.data or DEFAULT_DATA, data_zone or config.data_zone
    kept = settings.history if "history" in settings.model_fields_set else None
    beginning = Beginning(kept if history is None else history, time, config.since)
    terms = requested_terms(settings)
    if ledger == IN_MEMORY:
        return Exchange.in_memory(LedgerImage(open_data(data, zone), terms, beginning))
    file_exists(ledger, f"ledger {ledger}")
    if ledger.resolve() == config.db.resolve():
        raise ConfigError(f"ledger {ledger}: is the bot's own database; give another --ledger")
    return Exchange(ledger, data, terms, data_zone=zone, beginning=beginning)


def requested_terms(settings: ExchangeSettings) -> RequestedTerms:
    """Return the account's terms that the settings name."""
    from smabot_exchange.matching.account import RequestedTerms
    from smabot_exchange.matching.costs import COST_NAMES, FEE_SCHEDULES

    given = settings.model_dump(include=settings.model_fields_set - {"history", "costs"})
    schedule = FEE_SCHEDULES[settings.costs] if settings.costs else {}
    costs = {name: given.pop(name) for name in COST_NAMES if name in given}
    single = {name: value for name, value in costs.items() if value is not None}
    return RequestedTerms(**given, costs={**schedule, **single})
