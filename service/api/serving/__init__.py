"""What a running service holds open: its lakes, its keys, one shared model, filters."""
