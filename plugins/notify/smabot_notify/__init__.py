"""Alerts for a bot that nobody watches."""
