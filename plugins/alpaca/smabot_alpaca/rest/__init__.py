"""Alpaca by REST: one request once, within the rate limit, and what each answer means."""
