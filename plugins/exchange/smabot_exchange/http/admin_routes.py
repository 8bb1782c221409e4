"""``/_exchange``: what Alpaca does not have. The clock, faults, and what others do to the account."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from smabot.provider import A_YEAR, ConfigError, Settings
from smabot_exchange.faults.account_flags import FLAGS
from smabot_exchange.faults.fault_files import parse_faults
from smabot_exchange.faults.fault_kinds import ExternalOrder
from smabot_exchange.http.answers import answer, bad_parameter
from smabot_exchange.http.query import read_json
from smabot_exchange.json_forms import trading_json
from smabot_exchange.json_forms.market_data_json import stamp
from smabot_exchange.matching.activity_notes import ActivityNote, activity_note
from smabot_exchange.matching.orders import OrderRequest, OrderType, plain

if TYPE_CHECKING:
    from smabot_exchange.http.venue import Venue

PLAY_STEPPED_ONLY = "the exchange replays by itself: its clock is paced"


class PositionChange(Settings):
    """Shares that appear, or vanish when ``qty`` is negative; ``price`` is what each cost."""

    symbol: str
    qty: Decimal
    price: Decimal | None = Field(None, gt=0)


class FlagChange(Settings):
    """Flags of the account to be set or lifted; null: left as it is."""

    trading_blocked: bool | None = None
    account_blocked: bool | None = None
    trade_suspended_by_user: bool | None = None


class CashChange(Settings):
    """US dollars that come to the account, or go when negative."""

    amount: Decimal
    activity_type: str | None = Field(None, pattern="^[A-Z]{2,10}$")
    symbol: str = ""
    description: str = ""
    listed_after: int = Field(0, ge=0, le=A_YEAR)
    listed: bool = True

    @property
    def activity(self) -> ActivityNote:
        return activity_note(
            self.amount, self.activity_type, self.symbol, self.description,
            self.listed_after if self.listed else None,
        )  # fmt: skip


def routes(venue: Venue) -> list[Route]:
    exchange, plan = venue.exchange, venue.faults

    async def show(request: Request) -> Response:
        return answer(
            {
                "name": "smabot exchange",
                "clock": venue.clock_driver.clock,
                "account_id": exchange.account_id,
                **_progress(venue, request),
                "notes": list(exchange.notes),
                "faults": plan.counts(),
            }
        )

    async def play(request: Request) -> Response:
        if venue.clock_driver.clock != "stepped":
            return answer({"message": PLAY_STEPPED_ONLY}, 409)
        played = venue.clock_driver.step()
        return answer({**_progress(venue, request), "ended": not played})

    async def faults(request: Request) -> Response:
        if request.method == "POST":
            try:
                seed, added = parse_faults(await _body(request))
            except ConfigError as error:
                raise bad_parameter(str(error)) from error
            if seed is not None:
                plan.seed = seed
            plan.add(added)
        elif request.method == "DELETE":
            plan.clear()
        return answer({"seed": plan.seed, "faults": plan.documents(), "counts": plan.counts()})

    async def orders(request: Request) -> Response:
        order = _checked(ExternalOrder, await _body(request))
        kind = OrderType.MARKET if order.limit_price is None else OrderType.LIMIT
        event = exchange.submit(
            OrderRequest(
                order.symbol, order.side, order.qty, kind, order.limit_price,
                client_order_id=order.client_order_id,
            )
        )  # fmt: skip
        return answer(trading_json.order(event.order, answered=True))

    async def positions(request: Request) -> Response:
        shares = _checked(PositionChange, await _body(request))
        price = shares.price or exchange.last_price(shares.symbol)
        exchange.adjust(shares.symbol, shares.qty, price)
        held = next((h for h in exchange.positions() if h.symbol == shares.symbol), None)
        return answer({"symbol": shares.symbol, "qty": str(held.qty if held else 0)})

    async def account(request: Request) -> Response:
        for flag, on in (
            _checked(FlagChange, await _body(request)).model_dump(exclude_none=True).items()
        ):
            exchange.flag(flag, on)
        return answer({flag: flag in exchange.flags for flag in FLAGS})

    async def cash(request: Request) -> Response:
        change = _checked(CashChange, await _body(request))
        exchange.transfer(change.amount, change.activity)
        return answer({"cash": plain(exchange.account().cash)})

    return [
        Route("/_exchange", show, methods=["GET"]),
        Route("/_exchange/play", play, methods=["POST"]),
        Route("/_exchange/faults", faults, methods=["GET", "POST", "DELETE"]),
        Route("/_exchange/orders", orders, methods=["POST"]),
        Route("/_exchange/positions", positions, methods=["POST"]),
        Route("/_exchange/account", account, methods=["POST"]),
        Route("/_exchange/cash", cash, methods=["POST"]),
    ]


def _progress(venue: Venue, request: Request) -> dict[str, Any]:
    """Return how far the data are replayed, and what was sent to the newest connections of the caller's key."""
    clients, key_id = venue.broadcast.clients, request.state.key_id
    trading, data = clients.newest_trading(key_id), clients.data.get(key_id)
    return {
        "time": stamp(venue.exchange.now),
        "progress": list(venue.exchange.minutes),
        "ended": venue.clock_driver.ended,
        "bars_sent": data.sent if data else None,
        "updates_sent": trading.sent if trading else None,
    }


async def _body(request: Request) -> Any:
    try:
        return read_json(await request.body())
    except ValueError as error:
        raise bad_parameter(f"the body is not JSON: {error}") from error


def _checked(kind: type[Any], body: Any) -> Any:
    if not isinstance(body, dict):
        raise bad_parameter("the body is not an object")
    try:
        return kind(**body)
    except (ValidationError, TypeError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"msg": str(error)}
        field = ".".join(str(part) for part in first.get("loc", ()))
        raise bad_parameter(f"{field} {first['msg']}".strip()) from error
