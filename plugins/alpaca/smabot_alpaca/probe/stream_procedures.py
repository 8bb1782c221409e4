"""Procedures: what the streams, and a wrong key, are answered."""

from __future__ import annotations

from pydantic import SecretStr

from smabot_alpaca.credentials import Credentials
from smabot_alpaca.endpoints import StreamAddress
from smabot_alpaca.probe.probe_account import Json, ProbeAccount
from smabot_alpaca.probe.seen import NotTried, Seen, refusal_words
from smabot_alpaca.probe.stream_conversations import (
    CLOSED,
    Conversation,
    HandshakeRefused,
    conversation,
)
from smabot_alpaca.rest.client import RequestRefused, RestClient

NOBODY = Credentials(SecretStr("PKSMABOTPROBE0000000"), SecretStr("of-nobody"), "the probe")
"""A key that no account has."""
SECOND_TRADE = "second_trade_connection"


def wrong_key(at: ProbeAccount) -> Seen:
    connection = at.connection
    rest = RestClient(connection.endpoints, NOBODY, connection.settings)
    try:
        rest.trading("GET", "/v2/account")
    except RequestRefused as refusal:
        at.answers.append({"request": "GET /v2/account", "status": refusal.status})
        return Seen(refusal_words(refusal))
    finally:
        rest.close()
    return Seen("accepted")


def rate_headers(at: ProbeAccount) -> Seen:
    at.ask("GET", "/v2/clock")
    _, room = at.connection.rest.allowance
    return Seen("absent" if room is None else "there")


def trade_frames(at: ProbeAccount) -> Seen:
    with conversation(_trades(at), at.answers) as talk:
        _let_in(talk)
        kinds = " and ".join(sorted(talk.frames))
    return Seen(kinds, {"trade_frames": kinds} if kinds in ("binary", "text") else {})


def wrong_key_on_stream(at: ProbeAccount) -> Seen:
    try:
        with conversation(_trades(at), at.answers, NOBODY) as talk:
            return Seen(talk.authenticate_for_trades())
    except HandshakeRefused as refusal:
        return Seen(str(refusal))


def events_of_an_order(at: ProbeAccount) -> Seen:
    events: list[str] = []
    with conversation(_trades(at), at.answers) as talk:
        _let_in(talk)
        talk.listen()
        order = at.submit()
        _note_events(talk, order, events, "new")
        at.cancel(order)
        _note_events(talk, order, events, "canceled")
    announces = events == ["pending_new", "new", "canceled"]
    return Seen(", ".join(events) or "none", {"announces_pending": True} if announces else {})


def _note_events(talk: Conversation, order: Json, events: list[str], last: str) -> None:
    def ends(message: Json) -> bool:
        data = message.get("data") or {}
        if message.get("stream") != "trade_updates" or data["order"]["id"] != order["id"]:
            return False
        events.append(str(data["event"]))
        return events[-1] == last

    talk.wait_for(lambda message: ends(dict(message)))


def second_trade_connection(at: ProbeAccount) -> Seen:
    with conversation(_trades(at), at.answers) as first:
        _let_in(first)
        try:
            with conversation(_trades(at), at.answers) as second:
                status = second.authenticate_for_trades()
                first_stays = first.is_open()
        except HandshakeRefused as refusal:
            words = str(refusal)
            return Seen(words, {SECOND_TRADE: words} if words == "HTTP 429" else {})
    if status != "authorized":
        return Seen(status, {SECOND_TRADE: status} if status == "unauthorized" else {})
    if first_stays:
        return Seen("authorized, the first stays")
    return Seen("authorized, the first is closed", {SECOND_TRADE: "first closed"})


def second_data_connection(at: ProbeAccount) -> Seen:
    address = at.connection.stream_address(at.connection.endpoints.data_stream)
    with conversation(address, at.answers) as first:
        if (told := first.authenticate_for_data()) != "authenticated":
            raise NotTried(f"the first connection is told: {told}; does a bot run on this account?")
        with conversation(address, at.answers) as second:
            told = second.authenticate_for_data()
            first_stays = first.is_open()
    if told != "authenticated":
        return Seen(told)
    if first_stays:
        return Seen("authenticated, the first stays")
    return Seen("authenticated, the first is closed", {"second_data_connection": "first closed"})


def _trades(at: ProbeAccount) -> StreamAddress:
    return at.connection.stream_address(at.connection.endpoints.trading_stream)


def _let_in(talk: Conversation) -> None:
    status = talk.authenticate_for_trades()
    if status != "authorized":
        what = "closed" if status == CLOSED else status
        raise NotTried(f"the first connection is {what}; does a bot run on this account?")
