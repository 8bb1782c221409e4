"""The plugin's settings: table ``[default.plugin.notify]``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from smabot.api import A_YEAR, Secret, Settings
from smabot_notify.url_secrets import register_url

Level = Literal["on", "quiet", "off"]
"""``quiet`` makes no sound: see `smabot_notify.receiver`."""


class NotifySettings(Settings):
    """Who gets alerts, of what, and how often."""

    urls: tuple[Secret, ...] = ()
    """A receiver each, as apprise writes it; better in ``.secrets.toml`` than in ``settings.toml``."""
    fill: Level = "on"
    order: Level = "on"
    breaker: Level = "on"
    limit: Level = "on"
    halt: Level = "on"
    conflict: Level = "on"
    stream: Level = "on"
    frozen: Level = "on"
    cancel: Level = "on"
    run: Level = "on"
    failure: Level = "on"
    summary: Level = "on"
    grave: Level = "on"
    repeat_minutes: int = Field(15, ge=0, le=A_YEAR)
    """Alerts of one kind and subject come at most so often; 0: all of them."""
    stream_minutes: float = Field(5, ge=0, le=A_YEAR)
    """An alert tells that order updates are lost once they have been for so long."""
    frozen_minutes: float = Field(1, ge=0, le=A_YEAR)
    """An alert tells of an order of unknown outcome once that has lasted for so long."""
    heartbeat_url: Secret | None = None
    """Pinged while the bot decides; better in ``.secrets.toml`` than in ``settings.toml``."""
    heartbeat_seconds: float = Field(60, ge=5, le=86_400)

    @field_validator("urls")
    @classmethod
    def _urls(cls, urls: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for url in urls:
            register_url(url.get_secret_value())
        return urls

    @field_validator("heartbeat_url")
    @classmethod
    def _heartbeat_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            register_url(url.get_secret_value())
            if not url.get_secret_value().startswith(("https://", "http://")):
                raise ValueError("must begin with https:// or http://")
        return url

    def level(self, kind: str) -> Level:
        """Return how alerts of a kind are sent."""
        level: Level = getattr(self, kind)
        return level
