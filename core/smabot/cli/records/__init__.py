"""How recorded orders, fills and other records are chosen and listed."""
