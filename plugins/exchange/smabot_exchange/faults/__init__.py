"""Faults that the exchange can be asked for: which there are, when they strike, how they are read."""
