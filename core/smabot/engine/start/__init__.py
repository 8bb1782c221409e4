"""Starting is recovering: the one path from the database and the broker to a ready engine.

`recovery.recover` is the whole start from top to bottom; each module beside it is one of its steps. A first
start is a recovery from nothing.
"""
