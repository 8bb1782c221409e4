"""The durable file: the account, orders, fills, bars, and the clock."""
