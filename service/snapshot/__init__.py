"""One snapshot of a lake, opened for reading."""
