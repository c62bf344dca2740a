"""The webhook dispatcher for Portal."""
