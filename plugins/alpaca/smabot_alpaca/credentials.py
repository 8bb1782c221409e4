"""Alpaca's API keys: where they are found, and what their prefix says.

https://docs.alpaca.markets/docs/authentication
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from smabot.provider import ConfigError, file_exists, register_secret
from smabot_alpaca.settings import AlpacaSettings

VARIABLES = ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY")
FILES = ("apca_api_key_id", "apca_api_secret_key")
SETTINGS = ("plugin.alpaca.key_id", "plugin.alpaca.secret_key")
PAPER, LIVE = "PK", "AK"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key's id and secret; neither shows when this is printed. ``source`` says whence."""

    key_id: SecretStr
    secret_key: SecretStr
    source: str

    def check_account_kind(self, *, live: bool) -> None:
        """Raise ConfigError when the key is certainly one of the other kind of account."""
        prefix = self.key_id.get_secret_value()[:2]
        if live and prefix == PAPER:
            raise ConfigError(
                f"the key in {self.source} is a paper key (it begins with {PAPER}), but --live trades "
                "real money: give the live account's key, or leave out --live"
            )
        if not live and prefix == LIVE:
            raise ConfigError(
                f"the key in {self.source} is a live key (it begins with {LIVE}), but this is paper "
                "trading: give the paper account's key, or add --live to trade real money"
            )


LOOPBACK = Credentials(SecretStr("PKSMABOT"), SecretStr("smabot"), "an exchange on this machine")
"""What `smabot exchange serve` takes unless another key is given."""


def find(settings: AlpacaSettings, environ: Mapping[str, str] = os.environ) -> Credentials | None:
    """Return the key from the first place that has one: variables, systemd's files, settings.

    Raises ConfigError when a place has half of it, or what can't be a key.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY")
    places = [(VARIABLES, (environ.get(VARIABLES[0]), environ.get(VARIABLES[1])))]
    if folder:
        paths = (Path(folder, FILES[0]), Path(folder, FILES[1]))
        places.append(((str(paths[0]), str(paths[1])), (_read(paths[0]), _read(paths[1]))))
    secrets = (_text(settings.key_id), _text(settings.secret_key))
    places.append((SETTINGS, secrets))
    for names, values in places:
        pair = [(value or "").strip() for value in values]
        register_secret(*pair)
        if any(pair):
            return _credentials(names, pair)
    return None


def _credentials(names: tuple[str, str], pair: list[str]) -> Credentials:
    for name, value, other in zip(names, pair, reversed(names), strict=True):
        if not value:
            raise ConfigError(f"{other} is set, but {name} is not: a key has both parts")
        if not (value.isascii() and value.isprintable()) or " " in value:
            raise ConfigError(f"what {name} holds has characters that no key has, copy it again")
    return Credentials(SecretStr(pair[0]), SecretStr(pair[1]), names[0])


def _text(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None


def _read(path: Path) -> str | None:
    """Read a file that systemd keeps for this service alone (systemd.exec(5), LoadCredential)."""
    if not file_exists(path, str(path)):
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not text"
        raise ConfigError(f"{path}: can't be read: {reason}") from None
