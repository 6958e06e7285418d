"""What people call images: names of their own, stored beside the lake. Knows row_ids, no rows."""
