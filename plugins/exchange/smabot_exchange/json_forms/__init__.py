"""How orders, positions, prices and bars look as JSON, by REST and on the streams."""
