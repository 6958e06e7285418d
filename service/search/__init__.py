"""From a query to hits. Knows no HTTP and no relevance."""
