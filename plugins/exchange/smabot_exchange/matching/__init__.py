"""What an order is, what it must satisfy, and what a bar does to it: pure functions."""
