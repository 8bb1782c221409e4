"""A soak: a whole bot trades for months of virtual time, is killed again and again, and must stay flat."""
