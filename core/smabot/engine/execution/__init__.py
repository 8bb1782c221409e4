"""From what is wanted of a position to orders and cancels."""
