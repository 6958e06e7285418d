"""Metadata predicates: a SQL expression understood, checked and evaluated as Arrow expressions."""
