"""Receivers that are real servers on this machine, and a bot in a process of its own that tells them."""

from __future__ import annotations

import json
import os
import socketserver
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("smabot_notify")
SMABOT = str(Path(sys.executable).with_name("smabot"))
TOKEN = "hook/s3cr3tT0kenOfTheReceiver"


class Message(NamedTuple):
    """What a receiver got."""

    title: str
    text: str
    kind: str
    query: str = ""

    @property
    def key(self) -> str:
        """The step's number and the place in it."""
        return self.text.rpartition("no. ")[2].partition(",")[0].strip()

    @property
    def again(self) -> bool:
        return ", again" in self.text


class Inbox:
    """An HTTP server that takes apprise's JSON, and pings; it can refuse, be slow, or be gone."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.refuses, self.seconds = False, 0.0
        self.pings: list[str] = []
        self._server: ThreadingHTTPServer | None = None
        self._begin(0)

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/{TOKEN}"

    @property
    def heartbeat_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/0f1e2d3c-ping"

    @property
    def titles(self) -> list[str]:
        return [message.title.partition(": ")[2] for message in self.messages]

    def of(self, word: str) -> list[Message]:
        return [message for message in self.messages if word in message.title]

    def await_message(self, word: str, seconds: float = 20.0) -> Message:
        """Wait for a message with a word in its title."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if found := self.of(word):
                return found[0]
            time.sleep(0.02)
        raise AssertionError(f"no message with '{word}' came: {self.titles}")

    def await_number(self, number: int, seconds: float = 20.0) -> None:
        """Wait for so many messages in all."""
        until = time.monotonic() + seconds
        while len(self.messages) < number:
            assert time.monotonic() < until, self.titles
            time.sleep(0.005)

    def leave(self) -> None:
        """Be gone: connections are refused from now on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def come_back(self) -> None:
        self._begin(self.port)

    def _begin(self, port: int) -> None:
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                time.sleep(inbox.seconds)
                if not inbox.refuses:
                    given = (body["title"], body["message"], body["type"], self.path)
                    inbox.messages.append(Message(*given))
                self.send_response(500 if inbox.refuses else 200)
                self.end_headers()

            def do_GET(self) -> None:
                inbox.pings.append(self.path)
                self.send_response(500 if inbox.refuses else 200)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()


class Mailbox:
    """An SMTP server that keeps the mails it takes."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        mails = self.mails

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.say("220 mail")
                while verb := self.rfile.readline().decode().strip().upper()[:4]:
                    match verb:
                        case "DATA":
                            self.say("354 go on")
                            lines = list(iter(self.rfile.readline, b".\r\n"))
                            mails.append(b"".join(lines).decode())
                            self.say("250 taken")
                        case "AUTH":
                            self.say("235 welcome")
                        case "EHLO":
                            self.say("250-mail", "250 AUTH PLAIN")
                        case "QUIT":
                            self.say("221 bye")
                            return
                        case _:
                            self.say("250 fine")

            def say(self, *lines: str) -> None:
                self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        login = "trader:passw0rdOfTheMailbox"
        return f"mailto://{login}@127.0.0.1:{self.port}?mode=insecure&from=bot@example.com&to=me@example.com"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Bot:
    """A bot at the exchange in its process, over a simulated market, each run a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db = folder / "data" / "trades.db"
        self.log = folder / "bot.log"

    def settings(
        self, *urls: str, more: str = "", plugins: Sequence[str] = ("sma", "risk")
    ) -> None:
        """Write the settings: the receivers, and lines after them."""
        (self.folder / "settings.toml").write_text(
            f'[default]\nplugins = {json.dumps([*plugins, "notify"])}\nbroker = "exchange"\nspeed = "max"\n'
            f'data = "simulated:shape=waves,sessions=2,seed=4"\n[default.log]\nfile = "{self.log}"\n'
            f'level = "TRACE"\n[default.plugin.notify]\nurls = {json.dumps(urls)}\n{more}\n'
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        environ = {name: value for name, value in os.environ.items() if "SMABOT" not in name}
        return subprocess.Popen(
            [SMABOT, *words], cwd=self.folder, env=environ, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command to its end; returns what it printed."""
        with self.start(*(words or ("run",))) as child:
            printed, _ = child.communicate(timeout=120)
        assert child.returncode == code, printed
        return printed

    def row(self, query: str) -> tuple[Any, ...] | None:
        """Return the first row that a query finds in the database; None where there is none yet."""
        try:
            with closing(sqlite3.connect(f"file:{self.db}?mode=ro", uri=True)) as database:
                found: tuple[Any, ...] | None = database.execute(query).fetchone()
        except sqlite3.OperationalError:
            return None
        return found

    def await_row(self, query: str, wanted: tuple[Any, ...] | None = None) -> tuple[Any, ...]:
        """Wait until a query finds a row, or one that is wanted."""
        until = time.monotonic() + 60
        while (found := self.row(query)) is None or wanted not in (None, found):
            assert time.monotonic() < until, found
            time.sleep(0.01)
        return found


@pytest.fixture
def bot(tmp_path: Path) -> Bot:
    return Bot(tmp_path)


@pytest.fixture
def inboxes() -> Iterator[Callable[[], Inbox]]:
    made: list[Inbox] = []

    def make() -> Inbox:
        made.append(Inbox())
        return made[-1]

    yield make
    for inbox in made:
        inbox.leave()


@pytest.fixture
def inbox(inboxes: Callable[[], Inbox]) -> Inbox:
    return inboxes()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    yield box
    box.close()
