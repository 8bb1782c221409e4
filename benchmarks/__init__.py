"""Benchmarks of smabot: ``python -m benchmarks`` from the repository's root. See docs/benchmarks.md."""
