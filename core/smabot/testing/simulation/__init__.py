"""A whole bot and an exchange in one process, under a virtual clock: killed anywhere, and judged.

`drawing` draws a `Schedule` of kills, faults and events from a seed, `world` plays it, `judge` says what must
hold. The code that decides and trades is the bot's own; threads, timers and the line to the broker are tasks of
one `Timeline`, so that the same schedule gives the same run.
"""
