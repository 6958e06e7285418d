"""Measures what the README promises: `python -m benchmarks`, one table and one JSON document.

Rates are quoted as ratios of two things measured in one run, alternating, so that a noisy machine
disturbs both.
"""
