"""Who may come in and how much they may ask: hosts, keys, sessions, limits, headers."""
