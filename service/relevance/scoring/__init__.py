"""How a row gets its score and its chance of being relevant."""
