"""What people answered: saved, taken back, read from files, compared."""
