"""The step and the loop, and all that happens between an event and an order's leaving."""
