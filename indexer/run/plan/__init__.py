"""What there is and what it means: the listing, joined with the rows that are there."""
