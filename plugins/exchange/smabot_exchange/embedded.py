"""The exchange in the process of its client, reached over loopback as any other."""

from __future__ import annotations

from smabot.provider import Config, ConfigError

KEY_ID = "PKSMABOT"
SECRET_KEY = "smabot"  # noqa: S105 - of a simulated account, for loopback only


class EmbeddedServer:
    """A served exchange, and the keys to it."""

    def __init__(self, config: Config) -> None:
        from pydantic import ValidationError

        from smabot_exchange.http.auth import ApiKeys
        from smabot_exchange.http.server import ServerThread, listen
        from smabot_exchange.http.venue import Venue
        from smabot_exchange.opening import open_exchange
        from smabot_exchange.settings import ExchangeSettings

        try:
            settings = ExchangeSettings(**config.table("exchange"))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise ConfigError(f"settings: plugin.exchange.{field}: {first['msg']}") from None
        self.key_id, self.secret_key = KEY_ID, SECRET_KEY
        self._exchange = open_exchange(config, settings)
        try:
            venue = Venue(self._exchange, ApiKeys({KEY_ID: SECRET_KEY}))
            self._serving = ServerThread(venue, listen())
            self._serving.start()
        except BaseException:
            self._exchange.close()
            raise

    @property
    def url(self) -> str:
        """Where it is served, ``http://127.0.0.1:PORT``."""
        return self._serving.url

    def close(self) -> None:
        """Stop serving and close the ledger. Once is enough, more do no harm."""
        self._serving.stop()
        self._exchange.close()


def start(config: Config) -> EmbeddedServer:
    """Open the exchange of the settings and serve it on a free port of loopback, stepped.

    Raises ConfigError for bad data, a bad ledger or setting, LockHeld when another process has the
    ledger open.
    """
    return EmbeddedServer(config)
