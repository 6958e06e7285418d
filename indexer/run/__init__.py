"""The steps of a run of `sync`: list, compare, carry, embed, commit, merge."""
