"""Tells systemd how a service is: sd_notify(3), a datagram to the socket that ``NOTIFY_SOCKET`` names."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress


class ServiceManager:
    """Where the process is no service of ``Type=notify``, all of it does nothing."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        name = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        """An abstract socket's name begins with a zero byte."""

    @property
    def listens(self) -> bool:
        """Whether a manager has asked to be told."""
        return self._address[:1] in ("/", "\0")

    def tell(self, *assignments: str) -> None:
        """Send assignments, as ``READY=1``, in one message. Never waits and never raises: one that does not
        arrive is followed by others."""
        if self.listens:
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(assignments).encode(), self._address)
