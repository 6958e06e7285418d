"""The actions of `lakesift filter`."""
