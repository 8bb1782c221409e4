"""What must hold whatever the bot does: files, locks, the log, output, secrets."""
