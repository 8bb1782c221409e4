"""Whether the database and the broker agree, while the bot runs."""
