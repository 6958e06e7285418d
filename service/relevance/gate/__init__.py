"""Decides images that are not in the lake, and watches for drift."""
