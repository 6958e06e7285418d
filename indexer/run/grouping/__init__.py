"""Making groups of a lake's rows, and measuring how many of them a search must look into."""
