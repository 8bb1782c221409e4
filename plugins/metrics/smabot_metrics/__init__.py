"""Metrics of a smabot run for Prometheus."""
