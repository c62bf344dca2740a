"""The documents in ``schemas/``: what the topics hold, generated from the code that reads and writes them."""
