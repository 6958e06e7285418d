"""What the first screen offers to try, from this lake alone: values of its own columns, its latest
days, and words that its images match.

All of it comes from a sample of the live rows. A value or a day is one that a row of the sample
has, and a word is one that images of the sample match far beyond chance: each finds something.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from indexer.arrays import Positions, Vectors
from service.search.hits import plain_value
from service.search.remarks import BEYOND_CHANCE, best_of
from service.search.search import MAD_TO_SIGMA, MIN_ROWS_FOR_Z
from service.search.vocabulary import VOCABULARY
from service.snapshot.snapshot import Snapshot
from service.where.names import sql_name, sql_text

SAMPLE_ROWS = 2_048
COLUMNS = 3  # values offered, each of another column
WORDS = 4
FEWEST = 3  # images of the sample that match a word better than every other
MOST_CHARS = 40  # of a value that is offered
CAPTION_WORDS = 48  # the most frequent ones that are looked at
_CAPTION_SHARE = 0.3  # of the captions: a word in more of them tells nothing apart
_FEWEST_CAPTIONS = 5
_TOLD_APART = 1.0  # z by which images whose captions have a word match it better than the rest
_DAYS, _MONTHS = 2, 70  # days that the times of a lake must span, to offer one day or one month
_WORD = re.compile(r"[^\W\d_]{3,}")

Embed = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One thing to try: words to search for, or a `where`."""

    text: str  # as people read it: "weather: fog", "taken in March 2026", "a cat"
    query: str | None = None
    where: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"text": self.text, "query": self.query, "where": self.where}


def of_columns(snapshot: Snapshot) -> tuple[Suggestion, ...]:
    """Values of the lake's own columns, and its latest month or day."""
    numbers, positions = _sample(snapshot)
    own = set(snapshot.manifest.columns)
    fields = [field for field in snapshot.schema if field.name in own]
    # Of a name that draws nothing, or draws another line, people could not tell what it is.
    fields = [field for field in fields if field.name.strip() and field.name.isprintable()]
    texts = [field for field in fields if _has_values(field.type)]
    times = [field for field in fields if pa.types.is_timestamp(field.type)]
    taken = [field for field in snapshot.schema if field.name == "captured_at"]
    names = [field.name for field in (*texts, *times, *taken)]
    if not len(numbers) or not names:
        return ()
    table = snapshot.rows(numbers, positions, names)
    values = (_value(field, table[field.name].to_pylist()) for field in texts)
    found = [each for each in values if each is not None][:COLUMNS]
    dates = (_date(field, table[field.name]) for field in (*taken, *times))
    return (*found, *[each for each in dates if each is not None][:1])


def of_words(snapshot: Snapshot, embed: Embed) -> tuple[Suggestion, ...]:
    """Words that name what many images of the lake are of, best match first; none of a lake that
    is too small to have z.

    :param embed: texts to float32, (n, dim), unit rows.
    :raises LakeError: as embed does.
    """
    if snapshot.live_rows < MIN_ROWS_FOR_Z:
        return ()
    numbers, positions = _sample(snapshot)
    captions = _captions(snapshot, numbers, positions)
    told = _frequent(captions)
    words = list(dict.fromkeys((*told, *VOCABULARY)))
    strengths = _strengths(_vectors(snapshot, numbers, positions), embed(words))
    is_of_use = np.ones(len(words), bool)
    for at, word in enumerate(told):
        has = np.array([word in caption for caption in captions])
        apart = strengths[has, at].mean() - strengths[~has, at].mean()
        is_of_use[at] = apart >= _TOLD_APART
    least = best_of(snapshot.live_rows) + BEYOND_CHANCE
    return tuple(
        Suggestion(words[at], query=words[at]) for at in _naming(strengths, is_of_use, least)
    )


def _sample(snapshot: Snapshot) -> tuple[Positions, Positions]:
    """Numbers of parts and positions there, int64, (n,): live rows, evenly over the lake."""
    places = snapshot.places[1]
    some = np.linspace(0, len(places) - 1, min(SAMPLE_ROWS, len(places))).astype(np.int64)
    numbers, positions = snapshot.locate(places[some])
    # By part, as vectors are read.
    order = np.lexsort((positions, numbers))
    return numbers[order], positions[order]


def _vectors(snapshot: Snapshot, numbers: Positions, positions: Positions) -> Vectors:
    found = [
        snapshot.parts[number].vectors.take(positions[numbers == number])
        for number in np.unique(numbers).tolist()
    ]
    return np.concatenate(found)


def _has_values(kind: Any) -> bool:
    is_list = pa.types.is_list(kind) and pa.types.is_string(kind.value_type)
    return bool(is_list or pa.types.is_string(kind) or pa.types.is_boolean(kind))


def _value(field: Any, values: Sequence[Any]) -> Suggestion | None:
    """The most frequent value of a column that has few; None: there is none to choose."""
    is_list = pa.types.is_list(field.type)
    each_row = [set(value or ()) if is_list else {value} - {None} for value in values]
    counts = Counter(value for row in each_row for value in row)
    told = sum(1 for row in each_row if row)
    if len(counts) < 2 or len(counts) > max(2, told / 4):
        return None
    for value, _ in sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0]))):
        said = str(value).lower() if isinstance(value, bool) else value
        if _is_telling(said):
            name = sql_name(field.name)
            text = str(value).upper() if isinstance(value, bool) else sql_text(value)
            where = f"{text} IN {name}" if is_list else f"{name} IN ({text})"
            return Suggestion(f"{field.name}: {said}", where=where)
    return None


def _is_telling(value: str) -> bool:
    """Whether people can tell what it means: no number, code or time that stands as a text."""
    is_word = value.isalpha() or re.search(r"[^\W\d_]{2}", value) is not None
    return is_word and len(value) <= MOST_CHARS and value.isprintable()


def _date(field: Any, column: Any) -> Suggestion | None:
    """The latest year, month or day of a column of times, whichever divides them."""
    known = column.drop_null().cast(pa.timestamp("us", field.type.tz)).to_pylist()
    if not known:
        return None
    last: datetime = max(known)
    span = last - min(known)
    day = last.replace(hour=0, minute=0, second=0, microsecond=0)
    if span < timedelta(days=_DAYS):
        return None
    if span < timedelta(days=_MONTHS):
        low, high, said = day, day + timedelta(days=1), f"on {day.day} {day:%B %Y}"
    else:
        low = day.replace(day=1)
        high = (low + timedelta(days=32)).replace(day=1)
        said = f"in {low:%B %Y}"
    name, kind = sql_name(field.name), "TIMESTAMP" if field.type.tz is None else "TIMESTAMPTZ"
    where = f"{name} >= {kind} '{plain_value(low)}' AND {name} < {kind} '{plain_value(high)}'"
    called = "taken" if field.name == "captured_at" else field.name
    return Suggestion(f"{called} {said}", where=where)


def _captions(snapshot: Snapshot, numbers: Positions, positions: Positions) -> list[frozenset[str]]:
    """The words of each caption of the sample."""
    if "caption" not in snapshot.schema.names:
        return [frozenset()] * len(numbers)
    texts = snapshot.rows(numbers, positions, ["caption"])["caption"].to_pylist()
    return [frozenset(_WORD.findall((text or "").lower())) for text in texts]


def _frequent(captions: Sequence[frozenset[str]]) -> list[str]:
    """Words that several captions have, and by far not all."""
    counts = Counter(word for caption in captions for word in caption)
    most = _CAPTION_SHARE * sum(1 for caption in captions if caption)
    fitting = [word for word, count in counts.items() if _FEWEST_CAPTIONS <= count <= most]
    return sorted(fitting, key=lambda word: (-counts[word], word))[:CAPTION_WORDS]


def _strengths(images: Vectors, texts: Vectors) -> NDArray[np.float32]:
    """float32, (n_images, n_texts): z of each image for each text, among these images."""
    scores = images @ texts.T
    middle = np.median(scores, axis=0)
    sigma = MAD_TO_SIGMA * np.median(np.abs(scores - middle), axis=0)
    strengths: NDArray[np.float32] = (scores - middle) / np.maximum(sigma, 1e-9)
    strengths[:, sigma <= 1e-9] = 0
    return strengths


def _naming(
    strengths: NDArray[np.float32], is_of_use: NDArray[np.bool_], least: float
) -> list[int]:
    """Words that at least FEWEST images match beyond `least`, and better than any other word; the
    strongest first.
    """
    strengths = np.where(is_of_use, strengths, -np.inf)
    best = strengths.argmax(axis=1)
    best_z = strengths[np.arange(len(strengths)), best]
    named = {}
    for at in np.unique(best[best_z >= least]).tolist():
        here = best_z[(best == at) & (best_z >= least)]
        if len(here) >= FEWEST:
            named[at] = float(np.median(here))
    return sorted(named, key=lambda at: (-named[at], at))[:WORDS]
