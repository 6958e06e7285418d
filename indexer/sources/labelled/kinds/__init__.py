"""A module for each kind of labelled set."""
