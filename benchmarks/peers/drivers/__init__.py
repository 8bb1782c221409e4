"""A program for each backtester, run with its environment's Python: a CSV of bars in, JSON out.

The last line on stdout has ``bars``, ``cpu``, the processor seconds of the backtest alone, and ``trades``:
the start of the bar that filled each, in seconds since 1970, its side, and its price in US dollars.
"""
