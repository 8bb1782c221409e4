"""How the exchange may behave otherwise: as `smabot alpaca probe` saw Alpaca behave."""
