"""A simulator of Portal: organizations whose devices, users and operations hang together."""
