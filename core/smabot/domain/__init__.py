"""The facts the bot works on, and the one state they make: pure, without input or output."""
