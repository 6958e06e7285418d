"""What the clusters of a map are called: by words that captions there have more often than
elsewhere. Knows no language: a word that is everywhere names nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.map.stored import ClusterName, Places

CELLS = 24  # of the grid whose densest places are clusters, a side
MOST = 16  # names on a map
WORDS = 2  # of a name
FEWEST = 5  # captions of a cluster that is named
SHARE = 0.2  # of its captions, that a word must be in
_WORD = re.compile(r"[^\W\d_]{3,}")


def names_of(places: Places, captions: Sequence[str | None]) -> tuple[ClusterName, ...]:
    """The names of the densest places, at most MOST; none where there are no captions.

    :param places: float32, (n, 2), -1 to 1; captions: n.
    """
    words = [frozenset(_WORD.findall((each or "").lower())) for each in captions]
    everywhere = Counter(word for each in words for word in each)
    told = sum(1 for each in words if each)
    if told < FEWEST:
        return ()
    peaks = _peaks(places)
    homes = _homes(places, peaks)
    found = []
    for number, (x, y) in enumerate(peaks):
        here = [words[at] for at in np.flatnonzero(homes == number).tolist() if words[at]]
        if text := _name(here, everywhere, told):
            found.append(ClusterName(round(float(x), 4), round(float(y), 4), text))
    return tuple(found)


def _name(here: Sequence[frozenset[str]], everywhere: Counter[str], told: int) -> str:
    """ "" where no word tells."""
    if len(here) < FEWEST:
        return ""
    counts = Counter(word for each in here for word in each)
    scores = {
        word: count * np.log((count / len(here)) / (everywhere[word] / told))
        for word, count in counts.items()
        if count >= SHARE * len(here)
    }
    best = sorted(scores, key=lambda word: (-scores[word], word))[:WORDS]
    # Twice as often as elsewhere, at least.
    return ", ".join(
        word for word in best if counts[word] / len(here) >= 2 * everywhere[word] / told
    )


def _peaks(places: Places) -> NDArray[np.float64]:
    """float64, (m, 2): the middles of the densest places, densest first."""
    bounds = [[-1, 1], [-1, 1]]
    counts = np.histogram2d(places[:, 0], places[:, 1], bins=CELLS, range=bounds)[0]
    padded = np.pad(counts, 1)
    steps = [(i, j) for i in range(3) for j in range(3)]
    smooth = np.sum([padded[i : i + CELLS, j : j + CELLS] for i, j in steps], axis=0)
    around = np.pad(smooth, 1)
    most = np.max([around[i : i + CELLS, j : j + CELLS] for i, j in steps], axis=0)
    at = np.argwhere((smooth == most) & (counts > 0))
    order = np.argsort(-smooth[tuple(at.T)], kind="stable")
    # Two cells that touch are one place.
    kept: list[NDArray[np.int64]] = []
    for number in order.tolist():
        if all(np.abs(at[number] - other).max() > 2 for other in kept):
            kept.append(at[number])
        if len(kept) == MOST:
            break
    cells = np.array(kept, np.float64).reshape(-1, 2)
    return (cells + 0.5) / CELLS * 2 - 1


def _homes(places: Places, peaks: NDArray[np.float64]) -> NDArray[np.int64]:
    """int64, (n,): the nearest peak of each, -1 where all are more than three cells away."""
    if not len(peaks):
        return np.full(len(places), -1)
    away = np.linalg.norm(places[:, None] - peaks[None], axis=2)
    homes = away.argmin(axis=1)
    return np.where(away.min(axis=1) <= 3 * 2 / CELLS, homes, -1)
