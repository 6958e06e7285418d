"""Search engines beside a lake: what is pushed to them, and the rows they name for a query.

An engine names candidates and promises nothing: scores, ties and `where` are worked out from the
lake's own vectors and rows afterwards. Knows no query and no HTTP.
"""
