"""Images to vectors and columns, many at once."""
