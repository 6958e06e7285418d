"""The write side of lakesift: images in, a lake out. Knows nothing of HTTP, queries or people."""

__version__ = "0.1.0"
