"""The feed: bars and order updates of the streams, completed by REST."""
