"""Alpaca as the bot's broker and feed. Imports run downward only; from the ground up:

1. ``settings``
2. ``credentials``, then ``endpoints``; ``clock``, ``backoff``; ``order_json``, ``bar_json``
3. ``rest``: one request once, within the rate limit. ``streams``: two websockets, kept connected, and
   `stream_health`, which judges them. Neither knows the other.
4. ``connection``: where the bot trades, and what broker and feed share
5. ``broker``: sends orders. ``feed``: delivers bars and order updates. Neither knows the other.
6. ``doctor``; ``probe``: what is assumed of Alpaca, tried; ``probe_command``; ``bar_fetch``: past bars into
   a store; ``fetch_command``
7. ``commands``, ``data_commands``, then ``plugin``
"""
