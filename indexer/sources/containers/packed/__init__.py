"""Tars that are compressed as a whole, read at any place without being unpacked."""
