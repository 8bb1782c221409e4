"""What `smabot doctor` finds at Alpaca: each part of the way to it, asked once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Any

from smabot.provider import BrokerError, Config, ConfigError, Finding, Session, is_locked
from smabot_alpaca import credentials
from smabot_alpaca.bar_json import BarDecoder
from smabot_alpaca.broker import AlpacaBroker
from smabot_alpaca.connection import GET_KEYS, AlpacaConnection, connect
from smabot_alpaca.order_json import parse_time
from smabot_alpaca.rest import assets
from smabot_alpaca.rest.account import BLOCK_FLAGS
from smabot_alpaca.settings import AlpacaSettings
from smabot_alpaca.streams.event_queue import DATA, EventQueue, StreamDown, StreamFailed, StreamUp
from smabot_alpaca.streams.supervision import CONNECT_SECONDS, StreamSupervisor, SupervisedStream
from smabot_alpaca.streams.websockets import DataStream, TradeStream

LITTLE_SKEW, MUCH_SKEW = timedelta(seconds=2), timedelta(seconds=30)
"""A bar counts by this machine's clock, and is decided on for a minute."""
SESSIONS_COMPARED = 10
SYMBOL_TO_TRY = "SPY"


def diagnose(config: Config, settings: AlpacaSettings) -> list[Finding]:
    """Ask Alpaca, or the exchange in its place. An embedded exchange is not started for it.

    Raises ConfigError, BrokerError.
    """
    key = credentials.find(settings)
    if not config.live and config.url is None and (key is None or config.data is not None):
        return list(_embedded(config))
    connection = connect(config, settings)
    broker = AlpacaBroker(connection)
    try:
        source = connection.credentials.source
        found = [Finding.ok("keys", f"{source}, for {connection.endpoints.host}")]
        account = list(_findings("account", lambda: _account(connection)))
        found += account
        if all(each.exit_code == 0 for each in account):
            found += _findings("clock", lambda: _clock(connection))
            found += _findings("calendar", lambda: _calendar(connection, broker))
            found += _findings("data", lambda: _data(config, connection))
            found += _findings("streams", lambda: _streams(config, connection, broker))
            found += _findings("rate limit", lambda: _rate(connection))
        return found
    finally:
        broker.close()


def _findings(name: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except BrokerError as error:
        yield Finding.failure(name, str(error), 4)
    except ConfigError as error:
        yield Finding.failure(name, str(error))


def _embedded(config: Config) -> Iterator[Finding]:
    why = "historical data is replayed" if config.data is not None else "no API key"
    if find_spec("smabot_exchange") is None:
        yield Finding.failure(
            "keys",
            f"{why}, and no paper exchange is installed: install smabot-exchange, or {GET_KEYS}",
        )
        return
    yield Finding.ok(
        "keys", f"{why}: plugin alpaca trades at the built-in exchange; for Alpaca {GET_KEYS}"
    )
    there = config.db.is_file() and config.db.stat().st_size
    if there and not config.ledger_path.is_file():
        yield Finding.failure(
            "exchange",
            f"the ledger {config.ledger_path} is not there, but the database {config.db} is: if it "
            "was made at Alpaca give the API key, else put the ledger back",
        )


def _account(connection: AlpacaConnection) -> Iterator[Finding]:
    raw = connection.rest.trading("GET", "/v2/account")
    status, number = str(raw.get("status")), raw.get("account_number")
    blocked = [name for name in BLOCK_FLAGS if raw.get(name) is True]
    if status != "ACTIVE" or blocked:
        what = ", ".join([f"status {status}", *blocked])
        yield Finding.failure("account", f"{number} may not trade: {what}; see Alpaca's page", 4)
        return
    yield Finding.ok(
        "account",
        f"{number} active, equity {raw.get('equity')}, buying power {raw.get('buying_power')}",
    )


def _clock(connection: AlpacaConnection) -> Iterator[Finding]:
    asked = datetime.now(UTC)
    there = parse_time(connection.rest.trading("GET", "/v2/clock")["timestamp"])
    answered = datetime.now(UTC)
    if connection.exchange is not None:
        yield Finding.ok("clock", f"the exchange's own: {there:%Y-%m-%d %H:%M} UTC")
        return
    travel = answered - asked
    skew = abs(asked + travel / 2 - there)
    words = f"this machine's clock is {skew.total_seconds():.1f} s off Alpaca's"
    remedy = "set it by NTP (`timedatectl set-ntp true`)"
    if skew > MUCH_SKEW + travel:
        yield Finding.failure("clock", f"{words}: bars would come too late or too early; {remedy}")
    elif skew > LITTLE_SKEW + travel:
        yield Finding.warning("clock", f"{words}: {remedy}")
    else:
        yield Finding.ok("clock", words)


def _calendar(connection: AlpacaConnection, broker: AlpacaBroker) -> Iterator[Finding]:
    ours = broker.calendar()
    coming = [s for s in ours.sessions if s.close > connection.clock.now()][:SESSIONS_COMPARED]
    if not coming:
        yield Finding.failure("calendar", "the broker knows no coming session", 4)
        return
    following = f"next session {coming[0].date}"
    if connection.exchange is not None or find_spec("smabot_exchange") is None:
        yield Finding.ok("calendar", f"{following}; not compared with another calendar")
        return
    difference = calendar_difference(coming)
    if difference:
        yield Finding.warning("calendar", difference)
    else:
        yield Finding.ok("calendar", f"{following}; as the exchange's calendar has it")


def calendar_difference(sessions: Iterable[Session]) -> str:
    """Return the first difference between Alpaca's sessions and the exchange's calendar, or nothing.

    A session after that calendar's end can't be compared.
    """
    from smabot_exchange.data.sessions import session_on, span

    last = span()[1]
    for session in sessions:
        day = session.date
        if day > last:
            break
        known = session_on(day)
        if known is None:
            return f"{day}: Alpaca has a session, the exchange's calendar none"
        if known.close != session.close:
            return (
                f"{day}: Alpaca closes at {session.close:%H:%M}, "
                f"the exchange's calendar at {known.close:%H:%M} UTC"
            )
    return ""


def _data(config: Config, connection: AlpacaConnection) -> Iterator[Finding]:
    symbols = _symbols(config, connection)
    feed = connection.settings.feed
    params = {"symbols": ",".join(symbols[:100]), "feed": feed}
    answer = connection.rest.data("/v2/stocks/bars/latest", params)
    bars: dict[str, Any] = answer.get("bars") or {}
    if lacking := [symbol for symbol in symbols[:100] if symbol not in bars]:
        yield Finding.warning("data", f"feed {feed} has no bar of {', '.join(lacking[:10])}")
    else:
        newest = max(parse_time(bar["t"]) for bar in bars.values())
        yield Finding.ok("data", f"feed {feed}, newest bar {newest:%Y-%m-%d %H:%M} UTC")


def _streams(
    config: Config, connection: AlpacaConnection, broker: AlpacaBroker
) -> Iterator[Finding]:
    """Connect both, authenticate, subscribe as a run would, and hang up."""
    places, events = connection.endpoints, EventQueue()
    streams: list[SupervisedStream] = [
        TradeStream(events, connection.stream_address(places.trading_stream))
    ]
    symbols = _symbols(config, connection)
    if is_locked(config.db):
        yield Finding.ok(DATA, "not tried: a bot runs, and Alpaca allows one connection")
    elif connection.waits_for_client:
        yield Finding.ok(DATA, "not tried: the first to subscribe starts the exchange's clock")
    else:
        address = connection.stream_address(places.data_stream)
        streams.append(DataStream(events, address, symbols, BarDecoder(broker.calendar())))
    running = StreamSupervisor(streams)
    running.start()
    try:
        failures = _failures_to_connect(events, {stream.name for stream in streams})
    finally:
        running.close()
    for name in (stream.name for stream in streams):
        what = f"{len(symbols)} symbols of feed {connection.settings.feed}" if name == DATA else ""
        if failures.get(name, "no answer in time"):
            yield Finding.failure(name, failures.get(name, "no answer in time"), 4)
        else:
            yield Finding.ok(name, f"connected and subscribed{f' to {what}' if what else ''}")


def _failures_to_connect(events: EventQueue, names: set[str]) -> dict[str, str]:
    """Wait until each stream came up or failed to; return why it failed, empty where it came up."""
    found: dict[str, str] = {}
    deadline = time.monotonic() + 2 * CONNECT_SECONDS
    while found.keys() < names and (left := deadline - time.monotonic()) > 0:
        events.wait_for_events(left)
        for event in events.drain():
            match event:
                case StreamUp(name):
                    found[name] = ""
                case StreamDown(name, why):
                    found[name] = why
                case StreamFailed(name, error):
                    found[name] = str(error)
    return found


def _rate(connection: AlpacaConnection) -> Iterator[Finding]:
    limit, room = connection.rest.allowance
    left = f", {room} left just now" if room is not None else ""
    if limit is None:
        yield Finding.ok("rate limit", "no limit of its own: the exchange's answers set it")
    elif room is not None and room < limit / 4:
        yield Finding.warning(
            "rate limit", f"{limit} requests a minute{left}: another program uses this account's"
        )
    else:
        yield Finding.ok("rate limit", f"{limit} requests a minute{left}")


def _symbols(config: Config, connection: AlpacaConnection) -> Sequence[str]:
    """Return the symbols of the settings, checked; where there are none, one to try with."""
    exchange = connection.exchange is not None
    place = "the exchange" if exchange else "Alpaca"
    if exchange or config.symbols:
        found = assets.check_symbols(connection.rest, config.symbols, place, all_of_them=exchange)
        return sorted(found)
    return (SYMBOL_TO_TRY,)
