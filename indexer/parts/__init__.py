"""One run in parts, on as many machines as there are: each part embeds its share into a place of
its own below the lake, and `commit` puts them all into one snapshot.
"""
