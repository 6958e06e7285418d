"""A lake that follows its sources: a sync whenever something may have changed."""
