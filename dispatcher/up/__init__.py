"""``dispatcher up``: everything on this machine."""
