"""Several processes that answer together, on one socket."""
