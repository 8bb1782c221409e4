"""One receiver: a URL of apprise, and how a message is sent there. Only its service is ever shown."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2s
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from smabot.api import ConfigError
from smabot.provider import suggest
from smabot_notify.turns import Turns

if TYPE_CHECKING:
    from smabot_notify.settings import NotifySettings

SILENT: dict[str, dict[str, str]] = {
    "tgram": {"silent": "yes"},
    "ntfy": {"priority": "min"},
    "ntfys": {"priority": "min"},
    "gotify": {"priority": "low"},
    "gotifys": {"priority": "low"},
    "pover": {"priority": "lowest"},
}
"""What makes a message silent at a service; the others have no such thing."""
WIKI = "https://github.com/caronc/apprise/wiki"
MOST_PAUSE = 1.0
"""Seconds between two messages, at most, where apprise has only its default: with its 5.5 a run's last alert
would come after the run has stopped waiting for it."""
REASON = 200
"""Characters of a failure's reason."""

Kind = Literal["info", "failure"]


class Receiver:
    """A URL that messages are sent to, one at a time. Any thread may send."""

    def __init__(self, url: str, number: int) -> None:
        """``number``: its place in the settings, from 1. Raises ConfigError for a URL that apprise can't use."""
        service, there, _ = url.partition("://")
        if not there:
            raise ConfigError(
                f"plugin.notify.urls: {number}. has no service: begin it as in mailto://…"
            )
        self.service = service.strip().lower()
        self.name = f"{self.service}-{blake2s(url.encode(), digest_size=4).hexdigest()}"
        """The key of its place among the steps: the same over restarts, and no secret."""
        self.shown = f"{number}. {self.service}://…"
        self._loud = _opened(url, self.shown, self.service)
        self._turns = Turns()
        self._silent = None
        if (quiet := SILENT.get(self.service)) is not None:
            self._silent = _opened(_with(url, **quiet), self.shown, self.service)

    @property
    def has_silence(self) -> bool:
        """Whether its service can take a message without a sound."""
        return self._silent is not None

    def send(
        self,
        title: str,
        text: str,
        *,
        kind: Kind = "info",
        silent: bool = False,
        urgent: bool = True,
    ) -> str:
        """Send a message; returns why that failed, empty where it did not. ``kind``: one of apprise's.

        One that is not ``urgent`` waits for those that are.
        """
        import apprise

        level = getattr(apprise.NotifyType, kind.upper())
        opened = self._silent if silent and self._silent is not None else self._loud
        with self._turns.turn(urgent=urgent), _heard() as heard:
            try:
                sent = opened.notify(body=text, title=title, notify_type=level)
            except Exception as error:  # noqa: BLE001 - a service of apprise may raise anything
                heard.append(type(error).__name__)
                sent = False
        if sent:
            return ""
        return " ".join((heard or ["no reason given"])[-1].split())[:REASON]


def opened_receivers(settings: NotifySettings) -> list[Receiver]:
    """Return the receivers that the settings name. Raises ConfigError for none, and one that can't be used."""
    if not settings.urls:
        raise ConfigError(
            "plugin.notify.urls is empty: name who gets the alerts, as in urls = ['mailto://…'], or take "
            "notify out of `plugins`"
        )
    urls = dict.fromkeys(url.get_secret_value() for url in settings.urls)
    return [Receiver(url, number) for number, url in enumerate(urls, 1)]


def _opened(url: str, shown: str, service: str) -> Any:
    """Return apprise's sender for a URL: it takes plain text, and is called in the thread that sends.

    Nothing is fetched, and nothing is kept on the disk.
    """
    import apprise

    _silence_libraries()
    asset = apprise.AppriseAsset(
        app_id="smabot", app_desc="smabot", image_url_mask="", image_path_mask="", async_mode=False
    )
    with _heard():
        one = apprise.Apprise.instantiate(_with(url, format="text"), asset=asset)
    if one is None:
        raise ConfigError(f"plugin.notify.urls: {shown}: {_fault(service)}; see {WIKI}")
    if one.request_rate_per_sec == apprise.NotifyBase.request_rate_per_sec:
        one.request_rate_per_sec = MOST_PAUSE
    return one


def _with(url: str, **query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


def _fault(service: str) -> str:
    from apprise.manager_plugins import NotificationManager

    manager: Any = NotificationManager
    known = manager()
    if service in known:
        return f"apprise can't use this URL of {service}"
    return f"apprise knows no service '{service}'{suggest(service, known.schemas())}"


def _silence_libraries() -> None:
    """Keep apprise's own log out of the bot's: its lines hold URLs and messages."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        logger.addHandler(logging.NullHandler())


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Gather the warnings that apprise logs in this thread: it says there why a message failed."""
    lines: list[str] = []
    thread = threading.get_ident()

    class Gather(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread:
                lines.append(record.getMessage())

    handler = Gather(logging.WARNING)
    logger = logging.getLogger("apprise")
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
