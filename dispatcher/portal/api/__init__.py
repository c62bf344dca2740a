"""The JSON API: one module for each kind of resource, and what serves and describes them."""
