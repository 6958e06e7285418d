"""Vectors that were made elsewhere: read from other tools' files, and put into a lake.

The way out is `service.snapshot.vector_files`.
"""
