"""What `smabot status` reads and shows."""
