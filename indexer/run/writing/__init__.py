"""Segments and snapshots: committed, merged, and opened again."""
