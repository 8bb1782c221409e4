"""The built-in paper exchange of smabot. Imports run downward only; from the top:

9  plugin, commands, doctor: what the bot loads; data_commands, with what they do: data_check, store_import,
   and the screens of both
8  server_process, embedded, in_process: the exchange served in a process of its own, in the bot's, or called
7  opening, settings; http: Alpaca's REST API, the clock and the server
6  streams: both websockets; below it json_forms: orders, prices and bars as JSON
5  exchange, exchange_queries, replay, matching_engine, order_entry, serialisation: the exchange itself
4  ledger: its durable file
3  faults: which misbehaviour is set, and when it strikes
2  matching: orders, and the pure rules: request and account checks, fill prices, legs
1  as_seen: behaviours that a probe saw at Alpaca; data: data files, the store of
   bars, the simulated market, sessions
"""
