"""Searches whose candidates an engine names: scored, filtered and ordered here, from the lake's own
vectors and rows. Knows no HTTP, and no engine's language.
"""
