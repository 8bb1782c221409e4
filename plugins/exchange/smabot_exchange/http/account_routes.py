"""The account by REST. https://docs.alpaca.markets/reference/getaccount-1 and its neighbours."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from smabot.provider import ZERO
from smabot_exchange.exchange import Exchange
from smabot_exchange.faults.account_flags import SUSPENDED
from smabot_exchange.http.account_activities import activities
from smabot_exchange.http.answers import answer
from smabot_exchange.http.portfolio_history import portfolio_history
from smabot_exchange.http.query import Query, body_of
from smabot_exchange.http.venue import Venue
from smabot_exchange.json_forms.market_data_json import stamp
from smabot_exchange.matching.orders import plain, rounded


def routes(venue: Venue) -> list[Route]:
    """Return the routes under ``/v2/account``."""
    exchange = venue.exchange

    async def show(_: Request) -> Response:
        return answer(account(exchange))

    async def configuration(_: Request) -> Response:
        return answer(venue.configuration.shape())

    async def configure(request: Request) -> Response:
        venue.configuration.change(await body_of(request, venue.largest_body))
        return answer(venue.configuration.shape())

    def list_activities(request: Request) -> Response:
        kind = request.path_params.get("kind", "")
        return answer(activities(exchange, Query(request), kind))

    def history(request: Request) -> Response:
        return answer(portfolio_history(exchange, Query(request)))

    return [
        Route("/v2/account", show, methods=["GET"]),
        Route("/v2/account/configurations", configuration, methods=["GET"]),
        Route("/v2/account/configurations", configure, methods=["PATCH"]),
        Route("/v2/account/activities", list_activities, methods=["GET"]),
        Route("/v2/account/activities/{kind}", list_activities, methods=["GET"]),
        Route("/v2/account/portfolio/history", history, methods=["GET"]),
    ]


def account(exchange: Exchange) -> dict[str, Any]:
    """Return the account at last prices."""
    state, flags = exchange.account(), exchange.flags
    sessions = exchange.calendar.sessions
    before = [s.date for s in sessions if s.close <= exchange.now] or [sessions[0].date]
    equity = plain(state.equity)
    free_cash = plain(max(state.cash - state.held_for_orders, ZERO))
    power = plain(state.buying_power)
    return {
        "id": exchange.account_id,
        "admin_configurations": {},
        "user_configurations": None,
        "account_number": f"PA{exchange.account_id.replace('-', '')[:10].upper()}",
        "status": "ACTIVE",
        "crypto_status": "INACTIVE",
        "options_approved_level": 0,
        "options_trading_level": 0,
        "currency": "USD",
        "buying_power": power,
        "regt_buying_power": plain(state.regt_buying_power),
        "effective_buying_power": power,
        "non_marginable_buying_power": free_cash,
        "options_buying_power": free_cash,
        "cash": plain(state.cash),
        "accrued_fees": "0",
        "portfolio_value": equity,
        "trading_blocked": "trading_blocked" in flags,
        "transfers_blocked": False,
        "account_blocked": "account_blocked" in flags,
        "created_at": stamp(sessions[0].open),
        "trade_suspended_by_user": SUSPENDED in flags,
        "multiplier": plain(state.multiplier),
        "shorting_enabled": state.shorting_enabled,
        "equity": equity,
        "last_equity": plain(state.last_equity),
        "long_market_value": plain(state.long_market_value),
        "short_market_value": plain(state.short_market_value),
        "position_market_value": plain(state.long_market_value + abs(state.short_market_value)),
        "initial_margin": plain(rounded(state.initial_margin)),
        "maintenance_margin": plain(state.maintenance_margin),
        "last_maintenance_margin": plain(state.last_maintenance_margin),
        "sma": "0",
        "balance_asof": before[-1].isoformat(),
        "crypto_tier": 0,
        "intraday_adjustments": "0",
        "pending_reg_taf_fees": "0",
    }
