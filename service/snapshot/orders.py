"""Orders of a snapshot's live rows, made when they are first asked for; the last few are kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions

KEPT = 4  # of 4 bytes a row each: 160 MB in a lake of ten million

# (live rows,): their numbers among all live rows by rising row_id, each once.
Order: TypeAlias = NDArray[np.unsignedinteger]


class Orders:
    """Those of one snapshot; safe from several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Order] = OrderedDict()
        self._making = threading.Lock()

    def get(self, name: str, make: Callable[[], Positions]) -> Order:
        """The order of this name; two who ask for a new one at once wait for one sort.

        :param make: int64, (live rows,): called where it is not kept.
        """
        with self._making:
            if name not in self._kept:
                order = make()
                self._kept[name] = order.astype(np.min_scalar_type(len(order)))
            self._kept.move_to_end(name)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return self._kept[name]
