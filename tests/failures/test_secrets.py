"""Whoever holds a secret, and whatever a server or a plugin does with it: nothing shows it."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

pytestmark = pytest.mark.plugins
UGLY = ('PKq1"w2\\e3/r4+t5%y6', "s/h+h=\"qu'iet\\%20<now>&ever")
SHORT = ("PKxyz", "tiny")


def forms(key: tuple[str, str]) -> set[str]:
    """All the ways in which a server may say a key."""
    pair = base64.b64encode(":".join(key).encode()).decode()
    return {pair} | {
        form
        for part in key
        for form in (
            part, quote(part), quote(part, safe=""), json.dumps(part)[1:-1], repr(part)[1:-1],
            base64.b64encode(part.encode()).decode(),
        )
    }  # fmt: skip


class Echo:
    """A proxy before an exchange that answers some requests itself: with what it was sent."""

    def __init__(self, port: int, key: tuple[str, str]) -> None:
        self._port = port
        self.said = " ".join(["I was told", *sorted(forms(key)), json.dumps(list(key))])
        self.denies: Callable[[str], bool] = lambda line: line.startswith("POST /v2/orders")
        self.status = 422
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as asked, suppress(OSError, ValueError):
            while line := asked.readline():
                head, headers = _head(asked, line)
                if self.denies(line.decode()):
                    asked.read(int(headers.get("content-length", 0)))
                    body = json.dumps({"code": 42210000, "message": self.said}).encode()
                    client.sendall(
                        b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n" % (self.status, len(body))
                        + body
                    )
                    continue
                self._forward(client, asked, head, headers)

    def _forward(
        self, client: socket.socket, asked: Any, head: bytes, headers: Mapping[str, str]
    ) -> None:
        with socket.create_connection(("127.0.0.1", self._port)) as server:
            server.sendall(head + asked.read(int(headers.get("content-length", 0))))
            if "upgrade" in headers:
                threading.Thread(target=_pump, args=(client, server), daemon=True).start()
                _pump(server, client)
                raise ValueError("the socket has ended")
            with server.makefile("rb") as answer:
                head, told = _head(answer, answer.readline())
                client.sendall(head + answer.read(int(told.get("content-length", 0))))


def _head(stream: Any, line: bytes) -> tuple[bytes, dict[str, str]]:
    head, headers = line, {}
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
        head += line
    return head + b"\r\n", headers


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def echo(world: Any) -> Iterator[Callable[[tuple[str, str]], Echo]]:
    """An exchange that plays the world's tape and takes a key, behind a proxy that tells it."""
    from smabot.settings.model import Config
    from smabot_exchange.http.auth import ApiKeys
    from smabot_exchange.http.server import ServerThread, listen
    from smabot_exchange.http.venue import Venue
    from smabot_exchange.opening import open_exchange
    from smabot_exchange.plugin import ExchangeSettings

    ends: list[Callable[[], None]] = []

    def make(key: tuple[str, str]) -> Echo:
        config = Config(db=world.db, ledger=world.folder / "far.db")
        exchange = open_exchange(
            config, ExchangeSettings(), config.ledger, str(world.folder / "tape.csv")
        )
        serving = ServerThread(Venue(exchange, ApiKeys({key[0]: key[1]})), listen())
        serving.start()
        proxy = Echo(int(serving.url.rpartition(":")[2]), key)
        ends.extend([proxy.close, serving.stop, exchange.close])
        return proxy

    yield make
    for end in ends:
        end()


def given_by(how: str, key: tuple[str, str], folder: Path) -> dict[str, str]:
    """Put a key where the bot finds it; returns the variables for it."""
    if how == "variables":
        return {"APCA_API_KEY_ID": key[0], "APCA_API_SECRET_KEY": key[1]}
    if how == "systemd":
        credentials = folder / "credentials"
        credentials.mkdir()
        (credentials / "apca_api_key_id").write_text(key[0])
        (credentials / "apca_api_secret_key").write_text(f"{key[1]}\n")
        return {"CREDENTIALS_DIRECTORY": str(credentials)}
    secrets = folder / ".secrets.toml"
    secrets.write_text(
        f"[default.plugin.alpaca]\nkey_id = {json.dumps(key[0])}\nsecret_key = {json.dumps(key[1])}\n"
    )
    secrets.chmod(0o600)
    return {}


def leaks(world: Any, key: tuple[str, str], *said: str) -> list[tuple[str, str]]:
    """Return each place that tells a form of a key."""
    places = {f"text {number}": text.encode() for number, text in enumerate(said)}
    for file in [*world.db.parent.iterdir(), world.folder / "bot.log"]:
        if file.is_file():
            places[file.name] = file.read_bytes()
    return [
        (place, form)
        for place, content in places.items()
        for form in forms(key)
        if form.encode() in content
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "key"),
    [("variables", UGLY), ("systemd", UGLY), (".secrets.toml", UGLY), ("variables", SHORT)],
)
def test_a_server_that_tells_the_key(
    how: str, key: tuple[str, str], world: Any, echo: Callable[..., Echo]
) -> None:
    server = echo(key)
    variables = {
        "SMABOT_BROKER": "alpaca", "SMABOT_URL": server.url, "SMABOT_LOG__FILE": "bot.log",
        **given_by(how, key, world.folder),
    }  # fmt: skip
    (world.folder / "settings.toml").write_text(
        "[default]\nspeed = 'max'\n[default.plugin.sma]\nfast = 2\nslow = 5\n"
    )
    # Real processes: a fork of this one would inherit the locks of the exchange's threads.
    traded = world.execute("run", "--json", "-vv", **variables)
    assert traded.code in (0, 5), traded.err
    assert "I was told" in traded.out
    assert any("I was told" in str(order) for order in world.dump("order_intents"))
    server.denies = lambda line: True
    server.status = 403
    denied = world.execute("run", "--debug", "--db", "data/other.db", **variables)
    assert denied.code == 4
    assert "I was told" in denied.err
    said = [text for result in (traded, denied) for text in result[1:]]
    if how == "systemd":
        doctor = world.execute("doctor", **variables)
        assert doctor.code == 4
        said += doctor[1:]
    assert leaks(world, key, *said) == []


NOSY = """
import logging, sys, warnings
from smabot.api import Event, RecoveryStep, Secret, Settings, hookimpl, record

@record(table="nosy_state", key=("name",))
class State:
    name: str
    text: str = ""

class Nosy(Settings):
    pin: Secret = "0000-0000"
    level: int = 1

class Plugin:
    def __init__(self, settings: Nosy):
        self.pin = settings.pin.get_secret_value()
        self.level = settings.level
        assert self.pin not in repr(settings)

    @hookimpl
    def records(self):
        return [State]

    @hookimpl
    def on_bar(self, bar, book):
        book.apply(State("main", f"signed in with {self.pin}"))
        book.apply(Event(bar.end, "nosy", bar.symbol, f"the pin is {self.pin}", grave=True))
        logging.getLogger("nosy").error("with %s", self.pin)
        print(self.pin, file=sys.stderr)
        warnings.warn(self.pin)
        if self.level > 1:
            raise ValueError(f"bad pin {self.pin}")

    @hookimpl
    def describe(self, book):
        return ("nosy", self.pin)
"""
PIN = "hunter2-pin"


def test_a_plugin_that_tells_its_own_secret(world: Any, installed: Callable[..., Path]) -> None:
    nosy = {"plugins": installed("nosy", NOSY), "SMABOT_LOG__FILE": "bot.log",
            "SMABOT_PLUGINS": "['sma', 'risk', 'nosy']", "SMABOT_PLUGIN__NOSY__PIN": PIN}  # fmt: skip
    said = []
    for command, code in {
        "run --until 2026-03-02T14:40:00Z": 0, "run --json": 0, "status": 0, "config show": 0,
        "config show --json --origin": 0, "config check": 0, "plugins": 0, "orders --json": 0,
    }.items():  # fmt: skip
        done = world.run(*command.split(), **nosy)
        assert done.code == code, done.err
        said += [done.out, done.err]
    assert "the pin is ********" in "".join(said)
    failed = world.run(
        "run", "--debug", "--db", "data/2.db", SMABOT_PLUGIN__NOSY__LEVEL="2", **nosy
    )
    assert failed.code == 1
    assert "bad pin ********" in failed.err
    assert leaks(world, (PIN, PIN), *said, failed.out, failed.err) == []
    world.db = world.folder / "data/2.db"
    assert any("bad pin ********" in str(row) for row in world.dump("runs"))


@pytest.mark.parametrize(
    ("table", "hidden"),
    [
        ("pin = 12345678", "12345678"),
        ("pin = 123", "= 123"),
        ("pin = ['a-secret', 'list']", "a-secret"),
        ("pin = 'fine-and-secret'\nlevel = 'x'", "fine-and-secret"),
        ("pin = 'fine-and-secret'\nlevl = 1", "fine-and-secret"),
        ("pin = 'unquoted-secret", "unquoted-secret"),
        ("pin = bare-secret", "bare-secret"),
    ],
)
def test_a_wrong_setting_beside_or_of_a_secret_does_not_show_it(
    table: str, hidden: str, world: Any, installed: Callable[..., Path]
) -> None:
    with (world.folder / "settings.toml").open("a") as settings:
        settings.write(f"[default.plugin.nosy]\n{table}\n")
    folder = installed("nosy", NOSY)
    for command in ("config check", "config show", "plugins", "run --plugins nosy"):
        done = world.run(*command.split(), plugins=folder)
        assert hidden not in done.out + done.err


def test_every_form_of_every_registered_secret_is_masked() -> None:
    from smabot.system.redaction import MASK, redact, register_secret

    register_secret(*UGLY, *SHORT)
    for key in (UGLY, SHORT):
        for form in forms(key):
            shown = redact(f"say {form}.")
            assert form not in shown
            assert MASK in shown
    assert redact("destiny, PKxyzzy") == "destiny, PKxyzzy"  # short ones count as whole words


def test_secrets_are_registered_from_many_threads() -> None:
    from smabot.system.redaction import redact, register_secret

    names = [f"secret-number-{number:03}" for number in range(60)]
    threads = [threading.Thread(target=register_secret, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "number" not in redact(" ".join(names))
