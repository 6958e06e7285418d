"""Sifting: a filter's draft, what people teach it, the audit of its promise, and what it then decides."""
