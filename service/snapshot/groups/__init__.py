"""Searching the rows of a few groups alone."""
