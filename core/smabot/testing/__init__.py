"""For tests of bots and plugins: a fake exchange, and what proves that a bot keeps its promises."""
