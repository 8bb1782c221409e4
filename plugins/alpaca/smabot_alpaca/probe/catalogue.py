"""The numbered assumptions, in the order in which they are tried. docs/wire.md has the same table."""

from __future__ import annotations

from smabot_alpaca.probe import order_procedures as orders
from smabot_alpaca.probe import refusal_procedures as refusals
from smabot_alpaca.probe import stream_procedures as streams
from smabot_alpaca.probe.assumption import Assumption
from smabot_alpaca.probe.refusal_procedures import beside, limit, stop

ORDERS, REFUSED, SIDES = "Orders", "Refusals", "Orders of both sides"
STREAMS, UNTRIED = "Keys and streams", "What a probe can't try"
WASH = (
    "403 40310000 potential wash trade detected. use complex orders "
    "(and existing_order_id, reject_reason)"
)
SHARE = "needs a held share, and an order that fills leaves one"
SPLIT = "needs a split"

TRIED = (
    Assumption(
        1, ORDERS, "In a session the answer to a new order says pending_new.", "pending_new",
        orders.first_status, "open",
    ),
    Assumption(
        2, ORDERS, "While the market is closed the answer to a new order says accepted.", "accepted",
        orders.first_status, "closed",
    ),
    Assumption(
        3, ORDERS, "A new order is found by its client_order_id as soon as it is answered.",
        "at once", orders.visible_by_id,
    ),
    Assumption(
        4, ORDERS, "A new order is in the list of open orders as soon as it is answered.",
        "at once", orders.visible_in_list,
    ),
    Assumption(5, ORDERS, "Quantities and prices in answers are text.", "text", orders.amounts),
    Assumption(
        6, ORDERS, "An order's times are in this order, or equal.",
        "created_at, submitted_at, updated_at", orders.order_of_stamps,
    ),
    Assumption(
        7, ORDERS, "An order that is sent later has a later submitted_at.", "ascending",
        orders.stamps_of_two,
    ),
    Assumption(
        8, ORDERS, "The parameter after leaves out an order that was submitted at that time.",
        "left out", orders.after_of_a_list,
    ),
    Assumption(
        9, ORDERS, "expires_at of a gtc order is 90 days later.",
        "90 days later at 16:15 New York", orders.gtc_expiry,
    ),
    Assumption(
        10, ORDERS, "expires_at of a day order is the close of its session.",
        "the session's close", orders.day_expiry,
    ),
    Assumption(
        11, ORDERS, "An order shows its position_intent, also one that was sent without.",
        "buy_to_open", orders.intent_shown,
    ),
    Assumption(
        12, ORDERS, "An order for shares may be sent with a position_intent.", "accepted",
        orders.intent_accepted,
    ),
    Assumption(
        13, ORDERS, "A client_order_id with a space, /, + and : is found when percent-encoded.",
        "found", orders.unusual_id,
    ),
    Assumption(
        14, ORDERS, "A client_order_id may have 128 characters.", "accepted", orders.longest_id
    ),
    Assumption(
        15, ORDERS, "The answer to an order with legs shows them, held, with client order ids.",
        "2 legs, held, with ids of their own", orders.legs_shown,
    ),
    Assumption(
        16, ORDERS, "Canceling an entry cancels its legs.", "canceled and canceled",
        orders.legs_canceled,
    ),
    Assumption(
        17, ORDERS, "An order is canceled when its cancel is answered.", "canceled at once",
        orders.cancel_takes,
    ),
    Assumption(
        18, ORDERS, "A replaced order gets a new id; replaced_by and replaces link both.",
        "a new order, linked both ways", orders.replaced, "open",
    ),
    Assumption(
        19, ORDERS, "A take-profit whose entry has not filled can be replaced.", "accepted",
        orders.leg_replaced, "open",
    ),
    Assumption(
        20, REFUSED, "A client_order_id that is in use is refused.",
        "422 40010001 client_order_id must be unique", refusals.same_id,
    ),
    Assumption(
        21, REFUSED, "So is one of an order that has ended.",
        "422 40010001 client_order_id must be unique", refusals.id_of_an_ended_order,
    ),
    Assumption(
        22, REFUSED, "A client_order_id of 129 characters is refused.",
        "422 40010001 client_order_id must be no more than 128 characters", refusals.too_long_id,
    ),
    Assumption(
        23, REFUSED, "A price of a dollar or more has two decimals at most.",
        "422 42210000 invalid limit_price …. sub-penny increment does not fulfill minimum "
        "pricing criteria", refusals.sub_penny,
    ),
    Assumption(
        24, REFUSED, "A part of a share is bought for the day only.",
        "422 42210000 fractional orders must be DAY orders", refusals.fractional_gtc,
    ),
    Assumption(
        25, REFUSED, "Only limit orders trade in extended hours.",
        "422 42210000 extended hours order must be DAY or GTC limit orders",
        refusals.extended_stop,
    ),
    Assumption(
        26, REFUSED, "An unknown time_in_force is refused.",
        "422 40010001 invalid time_in_force", refusals.bad_field,
    ),
    Assumption(
        27, REFUSED, "An order for an unknown symbol is refused.",
        f'422 42210000 asset "{refusals.UNKNOWN_SYMBOL}" not found', refusals.unknown_asset,
    ),
    Assumption(
        28, REFUSED, "A position that the account does not have is not found.",
        "404 40410000 position does not exist", refusals.unknown_position,
    ),
    Assumption(
        29, REFUSED, "The cancel of an unknown order is refused.",
        "404 40410000 order not found for …", refusals.unknown_order,
    ),
    Assumption(
        30, REFUSED, "An unknown client_order_id is not found.",
        "404 40410000 order not found for …", refusals.unknown_client_id,
    ),
    Assumption(
        31, REFUSED, "The cancel of an order that has ended is refused, and its state named.",
        '422 42210000 order is already in "canceled" state', refusals.canceled_twice,
    ),
    Assumption(
        32, REFUSED, "An empty position_intent is refused.",
        "422 40010001 invalid position_intent specified", refusals.empty_intent,
    ),
    Assumption(
        33, REFUSED, "A sell_to_close without a position is refused.",
        "422 42210000 position intent mismatch, inferred: sell_to_open, specified: sell_to_close",
        refusals.wrong_intent,
    ),
    Assumption(
        34, REFUSED, "An order that is accepted while the market is closed can't be replaced.",
        "422 40010001 unable to replace order, order isn't sent to exchange yet",
        refusals.replaced_too_early, "closed",
    ),
    Assumption(
        35, REFUSED, "A replacement that changes nothing is refused.",
        "422 42210000 order parameters are not changed", refusals.replaced_unchanged, "open",
    ),
    Assumption(
        36, REFUSED, "The quantity of an order with legs can't be replaced.",
        "422 42210000 qty cannot be changed for advanced orders",
        refusals.replaced_qty_with_legs, "open",
    ),
    Assumption(
        37, SIDES, "A resting limit buy refuses a stop sell, also far away from it.", WASH,
        beside(limit("buy"), stop("sell"), "stop_sell_against_limit_buy", "wash_trade"),
    ),
    Assumption(
        38, SIDES, "A resting stop sell refuses a limit buy, also far away from it.", WASH,
        beside(stop("sell"), limit("buy"), "limit_buy_against_stop_sell", "wash_trade"),
    ),
    Assumption(
        39, SIDES, "A resting limit sell refuses a stop buy, also far away from it.", WASH,
        beside(limit("sell"), stop("buy"), "stop_buy_against_limit_sell", "wash_trade"),
    ),
    Assumption(
        40, SIDES, "A resting stop buy refuses a limit sell, also far away from it.", WASH,
        beside(stop("buy"), limit("sell"), "limit_sell_against_stop_buy", "wash_trade"),
    ),
    Assumption(
        41, SIDES, "Without a position a resting limit buy refuses a limit sell above it.",
        "403 40310000 cannot open a short sell while a long buy order is open",
        beside(limit("buy"), limit("sell"), "limit_sell_against_limit_buy", "short_beside_buy"),
    ),
    Assumption(
        42, SIDES, "Without a position a resting limit sell refuses a limit buy below it.",
        "403 40310000 cannot open a long buy while a short sell order is open",
        beside(limit("sell"), limit("buy"), "limit_buy_against_limit_sell", "long_beside_short"),
    ),
    Assumption(
        43, STREAMS, "A wrong key is refused, without a code.", "401 without code unauthorized.",
        streams.wrong_key,
    ),
    Assumption(
        44, STREAMS, "Answers have X-RateLimit-Remaining and X-RateLimit-Reset.", "there",
        streams.rate_headers,
    ),
    Assumption(
        45, STREAMS, "The trade stream sends its JSON in binary frames.", "binary",
        streams.trade_frames,
    ),
    Assumption(
        46, STREAMS, "The trade stream refuses a wrong key, and says so.", "unauthorized",
        streams.wrong_key_on_stream,
    ),
    Assumption(
        47, STREAMS, "The trade stream tells of a new order and of its cancel once each.",
        "new, canceled", streams.events_of_an_order, "open",
    ),
    Assumption(
        48, STREAMS, "A second connection to the trade stream is let in beside the first.",
        "authorized, the first stays", streams.second_trade_connection,
    ),
    Assumption(
        49, STREAMS, "A second connection to the data stream is refused.",
        "406 connection limit exceeded", streams.second_data_connection,
    ),
)  # fmt: skip
"""Those that orders of one share, far from the market, can try."""

NEVER_TRIED = (
    Assumption(
        50, UNTRIED, "The cancel of an order that is filled in part keeps the filled part.",
        "canceled, with filled_qty", why_untried="one share can't be filled in part",
    ),
    Assumption(
        51, UNTRIED, "A market order is refused while any order of the other side rests.", WASH,
        why_untried="it would fill where it is accepted",
    ),
    Assumption(
        52, UNTRIED, "Orders with legs and trailing stops may rest beside the other side.",
        "accepted", why_untried=SHARE,
    ),
    Assumption(
        53, UNTRIED, "A sell_to_close of held shares is accepted.", "accepted", why_untried=SHARE
    ),
    Assumption(
        54, UNTRIED, "A sale of more shares than are free is refused, and says how many are.",
        "403 40310000 insufficient qty available for order (and available, existing_qty, "
        "held_for_orders, symbol)", why_untried=SHARE,
    ),
    Assumption(
        55, UNTRIED, "The cancel of a filled order is refused.",
        '422 42210000 order is already in "filled" state', why_untried="needs an order that fills",
    ),
    Assumption(
        56, UNTRIED, "Legs become active when their entry is completely filled, not before.",
        "held, then new", why_untried="needs an order that fills",
    ),
    Assumption(
        57, UNTRIED, "An order beyond the buying power is refused.",
        "403 40310000 insufficient buying power (and buying_power, cost_basis)",
        why_untried="one share is not beyond it",
    ),
    Assumption(
        58, UNTRIED, "A day order that has not filled ends at its session's close.",
        "expired or canceled", why_untried="takes until the close",
    ),
    Assumption(
        59, UNTRIED, "A gtc order is canceled after 90 days.", "canceled",
        why_untried="takes 90 days",
    ),
    Assumption(
        60, UNTRIED, "More than 200 requests a minute are refused.",
        "429 42910000 rate limit exceeded", why_untried="would stop every program of the account",
    ),
    Assumption(
        61, UNTRIED, "A split ends the symbol's open orders without legs by the ex-date's midnight.",
        "canceled", why_untried=SPLIT,
    ),
    Assumption(
        62, UNTRIED, "Orders with legs stay as they are over a forward split.", "new",
        why_untried=SPLIT,
    ),
    Assumption(
        63, UNTRIED, "A position follows a split at an unchanged cost, and keeps its fraction.",
        "new shares, none of them paid out", why_untried=SPLIT,
    ),
)  # fmt: skip
"""Those that they can't: an order that fills would leave a position."""

ASSUMPTIONS = (*TRIED, *NEVER_TRIED)
