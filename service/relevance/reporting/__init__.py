"""Reports what a filter did, to those who pay for it.

The facts are JSON values; one HTML file shows them, to be mailed.
"""
