"""The exchange served in a process of its own: its options, its screen, and its end."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from smabot.provider import SmabotError, UsageError, register_secret
from smabot_exchange.as_seen.probe_file import ProbeFile, read_probe
from smabot_exchange.embedded import KEY_ID, SECRET_KEY
from smabot_exchange.faults.fault_files import read_faults
from smabot_exchange.http.auth import ApiKeys
from smabot_exchange.http.clock_driver import Clock, PacedBy, wall_clock
from smabot_exchange.http.key_pairs import numbered_pairs, read_pairs
from smabot_exchange.http.rate_limit import RequestQuota
from smabot_exchange.http.server import ReplayPace, ServerThread, listen
from smabot_exchange.http.venue import Venue
from smabot_exchange.opening import open_exchange
from smabot_exchange.settings import ExchangeSettings

if TYPE_CHECKING:
    from smabot.api import App

ALPACA_QUOTA = 200
POLL_SECONDS = 0.2
PROGRESS_SECONDS = 10.0
"""Between lines of progress where there is no terminal."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The command line."""

    data: str | None
    data_zone: str | None
    speed: str
    ledger: Path
    port: int
    host: str
    faults: Path | None
    requests_per_minute: int | None
    at_once: bool
    hide_admin: bool
    keys: str | None = None
    history: int | None = None
    clock: str = "replay"
    as_seen: Path | None = None

    @property
    def wall(self) -> bool:
        """Whether the clock follows the wall clock."""
        return self.clock == "wall"


def serve(options: ServeOptions, app: App, settings: ExchangeSettings) -> int:
    """Serve until Ctrl-C (130) or SIGTERM (0); returns the exit code.

    Raises UsageError, ConfigError, or LockHeld when another process has the ledger open.
    """
    pace, quota = _pace(options), _quota(options)
    if options.hide_admin and pace is None and not options.wall:
        raise UsageError("--hide-admin and --speed step: no client could move the clock")
    keys = _keys(options)
    seed, faults = read_faults(options.faults) if options.faults else (None, [])
    probed = read_probe(options.as_seen) if options.as_seen else ProbeFile()
    listener = listen(options.host, options.port)
    try:
        exchange = open_exchange(
            app.config(),
            settings,
            options.ledger,
            options.data,
            options.data_zone,
            history=options.history,
            time=wall_clock() if options.wall else None,
        )
    except BaseException:
        listener.close()
        raise
    clock: PacedBy | Clock = "stepped" if pace is None else "paced"
    if options.wall:
        clock = wall_clock
    exchange.faults.seed = seed or 0
    exchange.faults.add(faults)
    venue = Venue(
        exchange, ApiKeys(keys.pairs), quota, clock=clock, admin=not options.hide_admin,
        as_seen=probed.as_seen,
    )  # fmt: skip
    serving = ServerThread(venue, listener, pace)
    screen = _Screen(serving, options, app)
    try:
        with _signals() as (received, stop):
            serving.start()
            screen.title(keys, probed)
            while not stop.wait(POLL_SECONDS) and serving.alive:
                screen.progress()
    finally:
        screen.end()
        serving.stop()
        exchange.close()
    if serving.failure is not None:
        if isinstance(serving.failure, SmabotError):
            raise serving.failure
        raise SmabotError(f"the server failed: {serving.failure}") from serving.failure
    return 130 if signal.SIGINT in received else 0


def _pace(options: ServeOptions) -> ReplayPace | None:
    """Return how fast the clock goes, None when clients move it. Raises UsageError."""
    if options.wall or options.speed == "step":
        return None
    if options.speed == "max":
        return ReplayPace(None, options.at_once)
    try:
        speed = float(options.speed)
    except ValueError:
        speed = 0.0
    if not 0 < speed < 1e6:
        raise UsageError(f"--speed {options.speed}: give minutes a second above 0, max, or step")
    return ReplayPace(speed, options.at_once)


def _quota(options: ServeOptions) -> RequestQuota | None:
    """Return the quota; its minute is the exchange's where the pace is known."""
    asked, speed = options.requests_per_minute, options.speed
    if options.wall:
        limit = ALPACA_QUOTA if asked is None else asked
        return RequestQuota(limit) if limit else None
    if speed in ("step", "max"):
        return RequestQuota(asked) if asked else None
    limit = ALPACA_QUOTA if asked is None else asked
    return RequestQuota(limit, 1 / float(speed)) if limit else None


@dataclass(frozen=True, slots=True)
class _Keys:
    """The pairs that are let in, and the line that shows them."""

    pairs: dict[str, str]
    shown: str
    more: str = ""
    """A second line, where there are several pairs."""


def _keys(options: ServeOptions) -> _Keys:
    """Return the keys. Raises UsageError, and ConfigError for a bad file.

    Beyond loopback only keys that the operator chose are accepted.
    """
    key_id = os.environ.get("APCA_API_KEY_ID", "")
    secret = os.environ.get("APCA_API_SECRET_KEY", "")
    if bool(key_id) != bool(secret):
        raise UsageError("APCA_API_KEY_ID and APCA_API_SECRET_KEY: set both, or neither")
    register_secret(key_id, secret)
    own = {key_id: secret} if key_id else {}
    asked = options.keys or "1"
    if not (asked.isascii() and asked.isdigit()):
        pairs = read_pairs(Path(asked))
        return _Keys(pairs, f"{len(pairs)} of {asked}, all of this account")
    pairs = numbered_pairs(asked, (KEY_ID, SECRET_KEY))
    if _is_loopback(options.host):
        shown = f"{KEY_ID}, secret {SECRET_KEY}, for other clients"
        more = f"{KEY_ID}2, secret {SECRET_KEY}2, and so on: {len(pairs)} in all"
        return _Keys({**pairs, **own}, shown, more if len(pairs) > 1 else "")
    if options.keys is not None:
        raise UsageError(
            f"--host {options.host} is not loopback: give --keys a file of keys that you chose"
        )
    if not own:
        raise UsageError(
            f"--host {options.host} is not loopback: set APCA_API_KEY_ID and APCA_API_SECRET_KEY to "
            "the keys that clients must use, or give --keys a file of them"
        )
    return _Keys(own, "$APCA_API_KEY_ID, secret $APCA_API_SECRET_KEY, for other clients")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _url_from_here(url: str) -> str:
    """Return a server's address for clients on this machine: one that listens everywhere is on loopback too."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


class _Screen:
    """What is said on stderr; with ``--json`` where it listens on stdout."""

    def __init__(self, serving: ServerThread, options: ServeOptions, app: App) -> None:
        self._serving = serving
        self._exchange = serving.venue.exchange
        self._options = options
        self._times = app.times
        self._as_json = app.as_json
        self._terminal = sys.stderr.isatty()
        self._last = ""
        self._next = 0.0

    def title(self, keys: _Keys, probed: ProbeFile) -> None:
        options, url = self._options, self._serving.url
        if self._as_json:
            where = {
                "url": url,
                "key_id": next(iter(keys.pairs)),
                "account_id": self._exchange.account_id,
                "key_ids": list(keys.pairs),
            }
            click.echo(orjson.dumps(where).decode())
        waits = "" if options.at_once else ", from a client's first subscription on"
        clock = (
            "the wall clock's, a minute a minute"
            if options.wall
            else {
                "step": "a minute when a client asks for it",
                "max": f"as fast as clients follow{waits}",
            }.get(options.speed, f"{options.speed} minutes a second{waits}")
        )
        lines = [
            f"smabot exchange  PAPER  account {self._exchange.account_id}",
            *(f"  {self._times.in_text(note)}" for note in self._exchange.notes),
            f"  listens  {url}  Alpaca's REST, /stream and /v2/iex on one port",
            f"  clock    {clock}",
            f"  ledger   {options.ledger}",
        ]
        if self._serving.venue.faults.documents():
            lines.append(
                f"  faults   {options.faults}: {', '.join(self._serving.venue.faults.counts())}"
            )
        lines += _probe_lines(probed)
        near = _url_from_here(url)
        bot = options.ledger.with_stem(f"{options.ledger.stem}-bot")
        lines += [
            f"  trade    smabot run --url {near} --db {bot}",
            f"  key      {keys.shown}",
            *([f"           {keys.more}"] if keys.more else []),
        ]
        click.echo("\n".join(lines), err=True)

    def progress(self) -> None:
        now = time.monotonic()
        done, total = self._exchange.minutes
        line = f"{self._times.full(self._exchange.now)}  {done:,} of {total:,} minutes"
        if self._serving.venue.clock_driver.ended:
            line += "  end of the data; Ctrl-C ends the server"
        if line == self._last or (not self._terminal and now < self._next):
            return
        self._last, self._next = line, now + PROGRESS_SECONDS
        click.echo(f"\r\x1b[K{line}" if self._terminal else line, err=True, nl=not self._terminal)

    def end(self) -> None:
        if self._terminal and self._last:
            click.echo(err=True)


def _probe_lines(probed: ProbeFile) -> Iterator[str]:
    """Yield what is played back of a probe, and what can't be."""
    if not probed.source:
        return
    yield f"  as seen  {probed.source}: {', '.join(probed.as_seen.changed) or 'no difference'}"
    for assumption in probed.left_out:
        yield f"           not played back: {assumption}"


@contextmanager
def _signals() -> Iterator[tuple[list[int], threading.Event]]:
    """End the server orderly on SIGINT and SIGTERM."""
    received: list[int] = []
    stop = threading.Event()

    def note(number: int, _: object) -> None:
        received.append(number)
        stop.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received, stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
