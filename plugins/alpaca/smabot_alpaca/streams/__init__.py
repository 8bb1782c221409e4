"""The two websockets, and what keeps them connected."""
