"""Near-identical images of a whole lake: their groups as they are stored beside it, and what a row
has of them. Knows row_ids, no rows.
"""
