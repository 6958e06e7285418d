"""What is worked out over all images of a lake, and stored beside it."""
