"""Where core meets plugins: the hooks, the ports, and how plugins are found and called."""
