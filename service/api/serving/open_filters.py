"""The filters that a service has open:
an audit of a large lake is read once, not for every answer. Knows no HTTP.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from indexer.errors import UnknownFilter
from service.api.serving.hub import Hub, ServedLake
from service.relevance import Filter, Filters

KEPT = 16  # filters; each keeps its labels, and its audit's scores and draws: 20 bytes an image


class OpenFilters:
    """Filters by lake and name. Safe from several threads:
    a filter has no state but what it read from the disk.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._open: OrderedDict[tuple[str, int], Filter] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, lake: str) -> Filters:
        """:raises UnknownLake: if no lake of this name is served."""
        return _filters(self._hub.lake(lake))

    def get(self, lake: str, name: str) -> Filter:
        """:raises UnknownLake, UnknownFilter:
        if there is none of such a name; BadRequest: if it cannot be one.
        """
        served = self._hub.lake(lake)
        filters = _filters(served)
        try:
            folder = filters.store.folder(name)
        except UnknownFilter as error:  # by the lake's name here: callers need not know our folders
            raise UnknownFilter(served.name, name, error.nearest) from None
        # By its folder: a filter of the same name, made after this one was deleted, is another.
        key = (served.name, folder.stat().st_ino)
        with self._lock:
            found = self._open.pop(key, None) or filters.open(name)
            self._open[key] = found
            while len(self._open) > KEPT:
                self._open.popitem(last=False)
        return found


def _filters(served: ServedLake) -> Filters:
    return Filters(served.lake, served.embedder)
