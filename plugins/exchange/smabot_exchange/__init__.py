"""The embedded paper exchange of smabot."""
