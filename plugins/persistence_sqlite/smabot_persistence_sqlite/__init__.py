"""The SQLite journal of smabot: one file that survives the process, whatever kills it."""
