"""The settings as the program sees them: frozen, typed, every key known. `settings.py` reads them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from smabot.errors import suggest
from smabot.settings.renamed import new_names
from smabot.settings.values import check_kind, declared_kinds
from smabot.system.redaction import register_secret, texts

IN_MEMORY = Path(":memory:")
"""The name of a database, or a ledger, that is gone with its process, as SQLite has it."""
A_YEAR = 366 * 24 * 60
"""Minutes."""
BARS_FOLDER = Path("data/bars")
"""Where `smabot data fetch` and `smabot data import` keep bars, unless another folder is named."""
MOST_DOLLARS = 1_000_000_000_000
_TIMES = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))


def _register(value: object) -> object:
    if not isinstance(value, SecretStr):
        register_secret(*texts(value))
    return value


Secret = Annotated[SecretStr, BeforeValidator(_register)]
"""The type of a setting that holds a secret, text of 3 characters or more; `get_secret_value` returns it.

Whatever the setting's name, smabot masks its value wherever it shows, logs or stores text.
"""


class Settings(BaseModel):
    """Base of every settings table, also a plugin's: frozen, and an unknown key is an error.

    Booleans are only true and false, and are not accepted as numbers; numbers are finite (unless the
    model's own configuration says ``allow_inf_nan``), within 10^15 on either side of 0.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _of_its_kind(cls, value: object, info: ValidationInfo) -> object:
        finite = not cls.model_config.get("allow_inf_nan")
        check_kind(value, declared_kinds(cls, str(info.field_name)), finite=finite)
        return value


def mapping_keys(model: type[Settings] | None, keys: Sequence[str]) -> Iterator[int]:
    """Yield the places of keys that are no names of fields, but keys of a mapping, as symbols are."""
    kind: Any = model
    for place, key in enumerate(keys):
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            fields = {name.lower(): field.annotation for name, field in kind.model_fields.items()}
            kind = fields.get(key.lower())
        else:
            values = next((args[1] for args in _mappings(kind)), None)
            if values is None:
                return
            yield place
            kind = values
        models = [each for each in get_args(kind) if inspect.isclass(each)]
        if not _mappings(kind) and any(issubclass(each, BaseModel) for each in models):
            kind = next(each for each in models if issubclass(each, BaseModel))


def _mappings(kind: Any) -> list[tuple[Any, ...]]:
    """Return the key and value types of a mapping, or of the mappings in an optional one."""
    origin = get_origin(kind)
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return [get_args(kind)]
    return [found for each in get_args(kind) for found in _mappings(each)]


def _require_zone(name: str) -> None:
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # as ZoneInfo says it of no zone's name, or of no name
        hint = suggest(name, available_timezones())
        raise ValueError(
            f"no such time zone{hint}: give one like America/New_York or UTC"
        ) from None


class Sizing(Settings):
    """The number of shares that the default sizer buys for a target of 1."""

    method: Literal["shares", "notional", "fraction"] = "shares"
    shares: int = Field(10, gt=0, le=1_000_000_000)
    """Shares, with ``method = "shares"``."""
    notional: Decimal = Field(Decimal(1000), gt=0, le=MOST_DOLLARS)
    """US dollars, with ``method = "notional"``; whole shares, rounded down."""
    fraction: Decimal = Field(Decimal("0.1"), gt=0, le=1)
    """Fraction of equity, with ``method = "fraction"``; whole shares, rounded down."""


class Logging(Settings):
    """The log's level, and a file for it besides the screen."""

    level: Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    file: Path | None = None


class Config(Settings):
    """All settings except the plugins' own, which stay in ``plugin`` until each plugin checks its table."""

    bot: str = "smabot"
    """Name of this bot: the first part of every client_order_id."""
    plugins: tuple[str, ...] = ("sma", "risk")
    base_plugins: tuple[str, ...] = (
        "persistence_sqlite",
        "reconciliation",
        "alpaca",
        "exchange",
    )
    no_plugins: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    """Symbols that may be entered; empty: all that the feed has. Held symbols are always followed."""
    db: Path = Path("data/trades.db")
    """The bot's database; ``:memory:`` for none, so that all is gone with the process."""
    broker: str = "alpaca"
    """Where orders go: ``alpaca``, or ``exchange`` for the built-in paper exchange, called in process."""
    url: str | None = None
    """The API's address for ``alpaca``, as ``http://127.0.0.1:8100``, instead of Alpaca's."""
    ledger: Path | None = None
    """The paper exchange's ledger; by default beside ``db``, as ``NAME.exchange.db``."""
    data: str | None = None
    """What the paper exchange replays: ``simulated`` (the default),
    ``simulated:symbols=50,sessions=3,seed=7``, or a path."""
    data_zone: str | None = None
    """The time zone of times in data files that have none, as ``America/New_York``."""
    speed: Literal["max"] | float = 60.0
    """Replay speed: minutes of the data a second, or ``max``."""
    since: datetime | None = None
    """The paper exchange's clock starts at the first session of its data that ends after this time; what lies
    before is the past. Of a new ledger; an existing one keeps its own."""
    until: datetime | None = None
    """Stop at this time of the feed's clock, UTC."""
    live: bool = False
    live_account: str | None = None
    """With ``live``: the only account that the bot may trade; without it the operator must confirm."""
    max_bar_age_minutes: int = Field(1, ge=1, le=A_YEAR)
    """Strategies decide on a bar only if it closed less than this ago on the feed's clock."""
    equity_every_minutes: int = Field(1, ge=1, le=A_YEAR)
    reconcile_every_minutes: int = Field(15, ge=1, le=A_YEAR)
    audit: bool = True
    """Compare each session's fills and cash with the broker's account activities, after its close."""
    act_on_missed_entries: bool = False
    unauthorized_minutes: int = Field(5, ge=1, le=A_YEAR)
    """Minutes for which the broker may refuse the API key before a run ends."""
    entry_timeout_minutes: int = Field(5, ge=0, le=A_YEAR)
    """Minutes after which the unfilled rest of an entry is canceled: of a market order, and the rest
    of a partly filled one; 0: never."""
    last_entry_minutes: int = Field(1, ge=0, le=A_YEAR)
    """The bot makes no entry when fewer minutes of the session are left; 0: off."""
    cancel_entries: bool = True
    """A halt, a tripped breaker and a reached loss limit cancel the bot's open entries at the broker."""
    price_collar: Decimal = Field(Decimal("0.10"), ge=0, lt=1)
    """Largest change of a close from the one before, as a fraction: beyond it the higher price counts
    for sizes and exposure, and an entry waits for a second bar; 0: off."""
    foreign: Literal["conflict", "ignore"] = "conflict"
    """What to do about external orders and positions in a traded symbol."""
    sizing: Sizing = Sizing()
    log: Logging = Logging()
    plugin: dict[str, Any] = {}
    """One table per plugin, by its name; ``risk.daily_limits`` is ``plugin["risk"]["daily_limits"]``."""

    @field_validator("bot")
    @classmethod
    def _bot_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_]{1,16}", name):
            raise ValueError("use 1 to 16 letters, digits or underscores: it starts every order id")
        return name

    @field_validator("plugins", "base_plugins", "no_plugins")
    @classmethod
    def _plugin_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if any(not name.strip() for name in names):
            raise ValueError("a name is blank: leave it out")
        return names

    @field_validator("symbols")
    @classmethod
    def _symbols(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        named = dict.fromkeys(symbol.strip().upper() for symbol in symbols)
        if "" in named:
            raise ValueError("a symbol is blank: leave it out")
        return tuple(named)

    @field_validator("speed")
    @classmethod
    def _speed(cls, speed: str | float) -> str | float:
        if not isinstance(speed, str) and not 0 < speed < 1e6:
            raise ValueError("use 'max' or a number of minutes a second above 0")
        return speed

    @field_validator("data_zone")
    @classmethod
    def _data_zone(cls, zone: str | None) -> str | None:
        if zone is not None:
            _require_zone(zone)
        return zone

    @field_validator("since", "until", mode="before")
    @classmethod
    def _time_text(cls, time: object) -> object:
        if not isinstance(time, str):
            return time
        try:
            return datetime.fromisoformat(time)
        except ValueError:
            raise ValueError("give a time as in 2026-03-02T15:30:00Z") from None

    @field_validator("since", "until")
    @classmethod
    def _time(cls, time: datetime | None) -> datetime | None:
        if time is not None and time.tzinfo is None:
            raise ValueError("give a time zone, as in 2026-03-02T15:30:00Z")
        if time is not None and not _TIMES[0] <= time < _TIMES[1]:
            raise ValueError("give a time from 1970 to 2199")
        return time

    @model_validator(mode="before")
    @classmethod
    def _by_new_names(cls, values: object) -> object:
        return new_names(values, "settings") if isinstance(values, Mapping) else values

    @property
    def tape(self) -> str | None:
        """The old name of ``data``, until 1.0."""
        return self.data

    @property
    def in_memory(self) -> bool:
        """Whether there is no database."""
        return self.db == IN_MEMORY

    @property
    def ledger_path(self) -> Path:
        """The paper exchange's ledger; `IN_MEMORY` for none."""
        if self.in_memory and self.ledger is None:
            return IN_MEMORY
        return self.ledger or self.db.with_name(f"{self.db.stem}.exchange.db")

    @property
    def mode(self) -> str:
        return "LIVE" if self.live else "PAPER"

    @property
    def max_bar_age(self) -> timedelta:
        return timedelta(minutes=self.max_bar_age_minutes)

    def table(self, name: str) -> dict[str, Any]:
        """Return the settings table of a plugin; empty when there is none."""
        table: Any = self.plugin
        for part in name.split("."):
            table = table.get(part, {}) if isinstance(table, dict) else {}
        return table if isinstance(table, dict) else {}
