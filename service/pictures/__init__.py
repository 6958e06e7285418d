"""Images for people: original bytes, thumbnails, contact sheets."""
