"""The settings: their model, the layers they are read from, and errors in them."""
