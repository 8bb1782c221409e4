"""Faults of the exchange: which there are, when they strike, how they are read."""
