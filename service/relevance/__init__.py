"""Relevance filters: scorers, labels, audits, promises, decisions. `Filters` is the way in."""

from service.relevance.definition import Target
from service.relevance.filter import Filter
from service.relevance.filters import Filters
from service.relevance.promise.prices import Prices

__all__ = ["Filter", "Filters", "Prices", "Target"]
