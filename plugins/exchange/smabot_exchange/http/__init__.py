"""The Alpaca-compatible REST API, and the server of it and of the streams, on one port."""
