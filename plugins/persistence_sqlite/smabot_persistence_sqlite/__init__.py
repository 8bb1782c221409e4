"""The SQLite journal of smabot: one crash-safe file."""
