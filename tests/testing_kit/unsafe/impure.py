"""Uses what the setting names, in ways that a search of the source does not find."""

import logging
import os
import random
import socket
import subprocess
import threading
import time as clock
import uuid
from pathlib import Path
from random import choice
from time import time_ns

from smabot.api import Bar, Settings, Signal, hookimpl

log = logging.getLogger(__name__)


class ImpureSettings(Settings):
    uses: str = ""


class Impure:
    def __init__(self, settings: ImpureSettings) -> None:
        self.use = getattr(self, settings.uses) if settings.uses else lambda: None

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal:
        log.debug("a log has the time of the computer: %s", bar)
        self.use()
        return Signal.long(bar) if bar.close > bar.open else Signal.flat(bar)

    def monotonic(self) -> None:
        clock.monotonic()

    def early_bound(self) -> None:
        time_ns()

    def chance(self) -> None:
        choice([1, 2])

    def shuffled(self) -> None:
        random.shuffle([1, 2, 3])

    def identity(self) -> None:
        uuid.uuid4()

    def bytes_of_chance(self) -> None:
        os.urandom(1)

    def numpy_chance(self) -> None:
        import numpy.random

        numpy.random.random()

    def pandas_clock(self) -> None:
        import pandas

        pandas.Timestamp.now("UTC")

    def file(self) -> None:
        Path(__file__).read_text()

    def network(self) -> None:
        socket.socket().close()

    def program(self) -> None:
        subprocess.run(["true"], check=True)

    def thread(self) -> None:
        threading.Thread(target=int).start()

    def seeded(self) -> None:
        """Allowed: the same each time."""
        random.Random(7).random()

    def formatted(self) -> None:
        """Allowed: the time of a bar is no clock."""
        clock.gmtime(0)
