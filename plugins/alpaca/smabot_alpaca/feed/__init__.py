"""The feed: bars and order updates of the streams, with REST behind them."""
