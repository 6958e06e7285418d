"""Postgres with pgvector 0.8 or newer: a table a lake, half-precision vectors, an HNSW index."""
