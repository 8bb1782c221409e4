"""Why an order was made, or was not, read from the database: what `smabot explain` shows."""
