"""smabot beside other backtesters, on the same bars, with the same trades: see docs/benchmarks.md."""
