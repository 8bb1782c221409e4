"""Plain websockets to both streams, to see what each connection is told."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from smabot.provider import BrokerError
from smabot_alpaca.credentials import Credentials
from smabot_alpaca.endpoints import StreamAddress

ANSWER_SECONDS = 5.0
CONNECT_SECONDS = 10.0
CLOSED = "closed"


class Conversation:
    """One connection. ``frames`` are the kinds of frames that came: binary or text."""

    def __init__(
        self, socket: ClientConnection, key: Credentials, answers: list[dict[str, Any]], name: str
    ) -> None:
        self._socket = socket
        self._key = key
        self._record: dict[str, Any] = {"stream": name, "received": []}
        answers.append(self._record)
        self.frames: set[str] = set()

    def authenticate_for_trades(self) -> str:
        """Send the key to the trade stream; return the status that it answers, or `CLOSED`."""
        data = {"key_id": self._key_id, "secret_key": self._secret}
        self._send({"action": "authenticate", "data": data})
        found = self.wait_for(lambda message: message.get("stream") == "authorization")
        return CLOSED if found is None else str(found["data"]["status"])

    def listen(self) -> None:
        """Ask for updates of orders, and wait until that is confirmed."""
        self._send({"action": "listen", "data": {"streams": ["trade_updates"]}})
        self.wait_for(lambda message: message.get("stream") == "listening")

    def authenticate_for_data(self) -> str:
        """Send the key to the data stream; return what it answers, or `CLOSED`."""
        self._send({"action": "auth", "key": self._key_id, "secret": self._secret})

        def answers(message: Mapping[str, Any]) -> bool:
            return message.get("T") == "error" or message.get("msg") == "authenticated"

        found = self.wait_for(answers)
        if found is None:
            return CLOSED
        return " ".join(str(found[name]) for name in ("code", "msg") if name in found)

    def wait_for(self, is_it: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any] | None:
        """Return the first message of a kind; None where the connection ends, or none comes in time."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            try:
                frame = self._socket.recv(left)
            except (TimeoutError, ConnectionClosed):
                return None
            self.frames.add("text" if isinstance(frame, str) else "binary")
            for message in _messages(frame):
                self._record["received"].append(message)
                if is_it(message):
                    return message
        return None

    def is_open(self, seconds: float = 0.3) -> bool:
        """Whether it stays connected for so long."""
        try:
            self._socket.recv(seconds)
        except TimeoutError:
            return True
        except ConnectionClosed:
            return False
        return True

    @property
    def _key_id(self) -> str:
        return self._key.key_id.get_secret_value()

    @property
    def _secret(self) -> str:
        return self._key.secret_key.get_secret_value()

    def _send(self, message: Mapping[str, Any]) -> None:
        with suppress(ConnectionClosed):  # the next wait tells
            self._socket.send(json.dumps(message))


class HandshakeRefused(Exception):
    """No connection was made: the server answered the handshake with an HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")


@contextmanager
def conversation(
    address: StreamAddress, answers: list[dict[str, Any]], key: Credentials | None = None
) -> Iterator[Conversation]:
    """Connect to a stream. Raises HandshakeRefused, and BrokerError where it can't be reached."""
    parts = urlsplit(address.url)
    options: dict[str, Any] = {}
    try:
        if address.loopback:  # a proxy of the environment is not for this machine
            options["sock"] = socket.create_connection(
                (parts.hostname, parts.port or 80), CONNECT_SECONDS
            )
            options["sock"].settimeout(None)
        opened = connect(address.url, open_timeout=CONNECT_SECONDS, close_timeout=1, **options)
        with opened as websocket:
            yield Conversation(websocket, key or address.key, answers, parts.path)
    except InvalidStatus as error:
        answers.append({"stream": parts.path, "status": error.response.status_code})
        raise HandshakeRefused(error.response.status_code) from None
    except (OSError, EOFError) as error:
        raise BrokerError(
            f"the stream {parts.netloc}{parts.path} can't be reached: {error}"
        ) from None


def _messages(frame: str | bytes) -> list[dict[str, Any]]:
    """Return what a frame holds; what can't be read is kept as it is."""
    try:
        found = json.loads(frame)
    except ValueError:
        return [{"unreadable": repr(frame)[:200]}]
    return found if isinstance(found, list) else [found]
