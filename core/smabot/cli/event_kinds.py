"""The kinds of events that smabot and its own plugins write; others' plugins may write more."""

from __future__ import annotations

EVENT_KINDS = frozenset({
    "account_blocked", "account_unblocked", "actions_unread", "adjustment", "audit_agreed", "audit_differs", "bad_bar",
    "block_ignored", "breaker_reset", "breaker_tripped", "calendar_ends", "cancel_unanswered", "cash_moved",
    "command_expired", "conflict", "dropped_bars", "external_activity",
    "flatten", "given_up", "halt", "key_accepted", "key_refused", "limit_reached", "live_start", "no_order",
    "no_price", "order_answered", "order_resent", "order_unanswered", "price_again", "price_collar",
    "price_rounded", "refused_exit", "renamed", "resume", "split", "split_announced", "split_awaited",
    "split_followed", "split_withdrawn", "stream_back", "stream_lost",
})  # fmt: skip
