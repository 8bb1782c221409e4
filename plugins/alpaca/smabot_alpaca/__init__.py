"""Alpaca as the bot's broker and feed."""
