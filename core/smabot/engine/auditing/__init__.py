"""Whether the database's fills and cash are those of the broker's account activities."""
