"""A lake in a bucket: a copy of its folder, name by name. `publish` writes it, `pull` reads it."""
