"""The audit and its arithmetic: what may be promised after which answers."""
