"""What `smabot doctor` is told of Alpaca: each part of the way to it, asked once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Any

from smabot.provider import BrokerError, Config, ConfigError, Finding, is_locked
from smabot_alpaca import credentials
from smabot_alpaca.bar_json import BarDecoder
from smabot_alpaca.broker import BLOCKS, AlpacaBroker
from smabot_alpaca.connection import GET_KEYS, AlpacaConnection, connect
from smabot_alpaca.order_json import parse_time
from smabot_alpaca.rest import assets
from smabot_alpaca.settings import AlpacaSettings
from smabot_alpaca.streams.event_queue import DATA, EventQueue, StreamDown, StreamFailed
from smabot_alpaca.streams.supervision import CONNECT_SECONDS, StreamSupervisor, SupervisedStream
from smabot_alpaca.streams.websockets import DataStream, TradeStream

LITTLE_SKEW, MUCH_SKEW = timedelta(seconds=2), timedelta(seconds=30)
"""A bar counts by this machine's clock, and is decided on for a minute."""
SESSIONS = 10
USUAL = "SPY"


def diagnose(config: Config, settings: AlpacaSettings) -> list[Finding]:
    """Ask Alpaca, or what stands for it. An embedded exchange is not started: nobody else needs it.

    Raises ConfigError, BrokerError.
    """
    key = credentials.find(settings)
    if not config.live and config.url is None and (key is None or config.tape is not None):
        return list(_embedded(config))
    connection = connect(config, settings)
    broker = AlpacaBroker(connection)
    try:
        source = connection.credentials.source
        found = [Finding.ok("keys", f"{source}, for {connection.endpoints.host}")]
        account = list(_told("account", lambda: _account(connection)))
        found += account
        if all(each.exit_code == 0 for each in account):
            found += _told("clock", lambda: _clock(connection))
            found += _told("calendar", lambda: _calendar(connection, broker))
            found += _told("data", lambda: _data(config, connection))
            found += _told("streams", lambda: _streams(config, connection, broker))
            found += _told("rate limit", lambda: _rate(connection))
        return found
    finally:
        broker.close()


def _told(name: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except BrokerError as error:
        yield Finding.failure(name, str(error), 4)
    except ConfigError as error:
        yield Finding.failure(name, str(error))


def _embedded(config: Config) -> Iterator[Finding]:
    why = "a tape is played" if config.tape is not None else "no API key"
    if find_spec("smabot_exchange") is None:
        yield Finding.failure(
            "keys", f"{why}, and no exchange to play on: install smabot-exchange, or {GET_KEYS}"
        )
        return
    yield Finding.ok("keys", f"{why}: trades on the embedded exchange; for Alpaca {GET_KEYS}")
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
    blocked = [name for name in BLOCKS if raw.get(name) is True]
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
    coming = [s for s in ours.sessions if s.close > connection.clock.now()][:SESSIONS]
    if not coming:
        yield Finding.failure("calendar", "the broker knows no coming session", 4)
        return
    following = f"next session {coming[0].date}"
    if connection.exchange is not None or find_spec("exchange_calendars") is None:
        yield Finding.ok("calendar", f"{following}; not compared with another calendar")
        return
    from exchange_calendars import get_calendar

    known = get_calendar("XNYS")
    last = known.last_session.date()
    for session in coming:
        day = session.date
        if day > last:
            continue
        if not known.is_session(str(day)):
            yield Finding.warning(
                "calendar", f"{day}: Alpaca has a session, exchange_calendars none"
            )
            return
        close = known.session_close(str(day)).to_pydatetime()
        if close != session.close:
            yield Finding.warning(
                "calendar",
                f"{day}: Alpaca closes at {session.close:%H:%M}, exchange_calendars at {close:%H:%M} UTC",
            )
            return
    yield Finding.ok("calendar", f"{following}; as exchange_calendars has it")


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
    places, inbox = connection.endpoints, EventQueue()
    key = (
        connection.credentials.key_id.get_secret_value(),
        connection.credentials.secret_key.get_secret_value(),
    )
    streams: list[SupervisedStream] = [
        TradeStream(inbox, places.trading_stream, key, places.loopback)
    ]
    symbols = _symbols(config, connection)
    if is_locked(config.db):
        yield Finding.ok(DATA, "not tried: a bot runs, and Alpaca allows one connection")
    elif connection.exchange is not None and not connection.stepped:
        yield Finding.ok(DATA, "not tried: the first to subscribe starts the exchange's clock")
    else:
        decoder = BarDecoder(broker.calendar())
        streams.append(
            DataStream(inbox, places.data_stream, key, places.loopback, symbols, decoder)
        )
    running = StreamSupervisor(streams)
    running.start()
    names = [stream.name for stream in streams]
    links = inbox.links
    try:
        inbox.wait(lambda: all(links[name].tries for name in names), 2 * CONNECT_SECONDS)
        up = {name: links[name].up for name in names}
        why = _reasons(inbox)
    finally:
        running.close()
    for name in names:
        what = f"{len(symbols)} symbols of feed {connection.settings.feed}" if name == DATA else ""
        if up[name]:
            yield Finding.ok(name, f"connected and subscribed{f' to {what}' if what else ''}")
        else:
            yield Finding.failure(name, why.get(name, "no answer in time"), 4)


def _reasons(inbox: EventQueue) -> dict[str, str]:
    found = {}
    for event in inbox.drain():
        if isinstance(event, StreamDown):
            found[event.stream] = event.why
        elif isinstance(event, StreamFailed):
            found[event.stream] = str(event.error)
    return found


def _rate(connection: AlpacaConnection) -> Iterator[Finding]:
    limit, room = connection.rest.allowance
    left = f", {room} left just now" if room is not None else ""
    if limit is None:
        yield Finding.ok("rate limit", "none of our own: the exchange's answers tell")
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
        found = assets.check(connection.rest, config.symbols, place, all_of_them=exchange)
        return sorted(found)
    return (USUAL,)
