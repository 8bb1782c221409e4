"""How requests reach a server: with timeouts, over connections that notice when the other side is gone."""

from __future__ import annotations

import socket
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

CONNECTIONS = 16
IDLE_SECONDS = 30
_IDLE = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)  # macOS
_KEEP_ALIVE = [
    *HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *([(socket.IPPROTO_TCP, _IDLE, IDLE_SECONDS)] if _IDLE else []),
]


class TimeoutAdapter(HTTPAdapter):
    """Gives every request a timeout and no second try, and keeps idle connections alive: else routers
    and load balancers forget them in silence, and the next order would be `unknown` by its timeout."""

    def __init__(self, connect: float, answer: float) -> None:
        self._timeout = (connect, answer)
        super().__init__(pool_maxsize=CONNECTIONS, max_retries=0)

    def init_poolmanager(self, *sizes: Any, **options: Any) -> None:
        super().init_poolmanager(*sizes, **options, socket_options=_KEEP_ALIVE)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, **options, socket_options=_KEEP_ALIVE)

    def send(self, request: PreparedRequest, **options: Any) -> Response:  # type: ignore[override]
        options["timeout"] = self._timeout
        return super().send(request, **options)
