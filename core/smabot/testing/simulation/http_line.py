"""The line that HTTP requests take to the server: the same faults as on `wire`, in the bytes of answers.

A request is judged and counted as it leaves, is answered by the exchange's own application when it arrives,
and its answer takes time, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

from smabot.hooks.simulated_exchange import Application
from smabot.hooks.simulated_machine import HttpAnswer, HttpRequest
from smabot.testing.kill_points import after, before
from smabot.testing.simulation.timeline_loop import TimelineLoop, drive
from smabot.testing.simulation.wire import SURVIVES, Wire

JSON = {"content-type": "application/json"}
PAGE = b"<html><head><title>504 Gateway Time-out</title></head><body></body></html>"
REMAINING, RESET = "x-ratelimit-remaining", "x-ratelimit-reset"
OK, TOO_MANY = 200, 429
REFUSED = {
    "key": (401, {}, b'{"message":"unauthorized."}'),
    "blocked": (403, {}, b'{"code":40310000,"message":"account is not authorized to trade"}'),
    "full": (TOO_MANY, {"retry-after": "1"}, b'{"code":42910000,"message":"rate limit exceeded"}'),
    "before": (500, {}, b'{"code":50010000,"message":"internal server error occurred"}'),
}
SPOILT = ("garbage", "cut", "page", "error")
SMALL_PAGE = "2"


class HttpWatch(Protocol):
    """What is shown each request."""

    def leaves(self, request: HttpRequest) -> int:
        """It is handed to the transport; returns a number for its answer."""
        ...

    def carried_out(self, request: HttpRequest, answer: HttpAnswer) -> None:
        """The exchange has answered it."""
        ...

    def too_many(self) -> None:
        """An answer has come that there were too many requests."""
        ...

    def known(self, request: HttpRequest, number: int) -> None:
        """Its answer has come, whole."""
        ...


class HttpLine:
    """Carries requests. It outlives each process."""

    def __init__(
        self,
        wire: Wire,
        application: Application,
        loop: TimelineLoop,
        watch: HttpWatch,
    ) -> None:
        self._wire = wire
        self._application = application
        self._loop = loop
        self._watch = watch
        self._granted, self._granted_until = 0, 0.0

    def granted(self) -> float:
        """Return how many requests the exchange still grants in this window of its rate limit; infinite: all."""
        in_it = self._wire.timeline.now.timestamp() < self._granted_until
        return self._granted if in_it else math.inf

    def request(self, request: HttpRequest, timeout: float) -> HttpAnswer:
        """Send a request; see `SimulatedMachine.request`."""
        wire = self._wire
        fault = wire.fault(request.kind)
        wire.points.point(before(f"broker.{request.call}"))
        number = self._watch.leaves(request)
        answer = self._answered(request, fault, timeout)
        if answer.status == TOO_MANY:
            self._watch.too_many()
        if answer.status == OK and fault not in SPOILT:
            self._watch.known(request, number)
        wire.points.point(after(f"broker.{request.call}"))
        return answer

    def _answered(self, request: HttpRequest, fault: str, timeout: float) -> HttpAnswer:
        timeline, chance = self._wire.timeline, self._wire.chance
        slow = 20.0 if fault == "slow" else 1.0
        there, back = (chance.uniform(0.01, 0.06) * slow for _ in range(2))
        if fault == "no connection":
            timeline.sleep(there)
            raise ConnectionRefusedError("Connection refused")
        if fault in REFUSED:
            timeline.sleep(there + back)
            status, headers, body = REFUSED[fault]
            refusal = HttpAnswer(status, {**JSON, **headers}, body)
            if fault == "blocked":
                self._watch.carried_out(request, refusal)
            return refusal
        if fault in ("lost", "late"):
            if fault == "late" and request.kind != "query":
                self._arrive_at(timeout + chance.uniform(0, 80), request, lambda answer: None, True)
            timeline.sleep(timeout)
            raise TimeoutError
        answers: list[HttpAnswer | None] = []
        survives = chance.random() < SURVIVES
        self._arrive_at(there, request, answers.append, survives, small=fault == "small pages")
        timeline.sleep(timeout if fault == "unanswered" else min(there + back, timeout))
        if fault == "unanswered" or there + back > timeout:
            raise TimeoutError
        if fault == "reset" or (answer := answers[0]) is None:
            raise ConnectionResetError("Connection reset by peer")
        return _spoilt(answer, fault, chance.random())

    # -- there ---------------------------------------------------------------------------------------

    def _arrive_at(
        self,
        seconds: float,
        request: HttpRequest,
        take: Callable[[HttpAnswer | None], None],
        survives: bool,
        *,
        small: bool = False,
    ) -> None:
        """Have it answered when it arrives; ``survives``: also where its process has died meanwhile."""
        wire, life = self._wire, self._wire.life

        def arrive() -> None:
            if wire.life == life or survives:
                wire.exchange.pass_time(wire.timeline.now)
                take(self.carry_out(request, small))
                wire.arrived()

        wire.timeline.at(wire.timeline.now + timedelta(seconds=seconds), arrive)

    def carry_out(self, request: HttpRequest, small: bool = False) -> HttpAnswer | None:
        """Have the application answer now; None: it broke the connection instead."""
        address = urlsplit(request.url)
        query = address.query
        if small:
            query = query.replace("limit=10000", f"limit={SMALL_PAGE}")
        sent: list[dict[str, Any]] = []
        broken: list[bool] = []
        unread = [{"type": "http.request", "body": request.body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return unread.pop() if unread else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            **base_scope("http", address.path, query, request.headers),
            "method": request.method,
            "extensions": {"smabot.reset": lambda: broken.append(True)},
        }
        drive(self._application(scope, receive, send), self._loop)
        if broken:
            return None
        headers = {n.decode("latin-1"): v.decode("latin-1") for n, v in sent[0]["headers"]}
        body = b"".join(message.get("body", b"") for message in sent[1:])
        if request.call == "account" and self._wire.account_is_refused:
            body = body.replace(b'"account_blocked":false', b'"account_blocked":true')
        if REMAINING in headers:
            self._granted, self._granted_until = int(headers[REMAINING]), float(headers[RESET])
        answer = HttpAnswer(sent[0]["status"], headers, body)
        self._watch.carried_out(request, answer)
        return answer


def base_scope(kind: str, path: str, query: str, headers: Any) -> dict[str, Any]:
    """Return what ASGI scopes of requests and websockets share."""
    return {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "https" if kind == "http" else "wss",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(n.lower().encode(), str(v).encode()) for n, v in dict(headers).items()],
        "client": ("simulated", 1),
        "server": ("simulated", 443),
    }


def _spoilt(answer: HttpAnswer, fault: str, chance: float) -> HttpAnswer:
    """Return an answer as it comes after a fault on its way back."""
    if fault == "garbage":
        return HttpAnswer(200, JSON, b"\xc1\xff\x00 garbage")
    if fault == "cut":
        return HttpAnswer(
            answer.status, answer.headers, answer.body[: int(len(answer.body) * chance)]
        )
    if fault == "page":
        return HttpAnswer(200, {"content-type": "text/html"}, PAGE)
    if fault == "error":
        return HttpAnswer(
            (500, 502, 503, 504)[int(chance * 4)], {"content-type": "text/html"}, PAGE
        )
    return answer
