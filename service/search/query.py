"""A query: what is looked for. One list of what it may say, which every door reads.

Python, JSON, the multipart form, the command and the cursor all take what OPTIONS lists, under one
name. Knows no snapshot and no model, so that `lakesift --help` can read the list at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from indexer.durations import duration_us
from indexer.errors import BadRequest
from service.search import json_values
from service.search.decided import DecidedBy, Wanted
from service.search.sort import MAX_CHARS as MAX_SORT_CHARS
from service.search.sort import Sort
from service.search.typed import TypedQuery

if TYPE_CHECKING:
    import pyarrow as pa

    from indexer.arrays import Pixels, Vectors
    from service.where.values import Column

ImageLike: TypeAlias = "str | Path | bytes | Pixels"

DEFAULT_K = 10
PAGE_K = 50  # hits a page over HTTP, if not said
EXAMPLES = ("query", "texts", "images", "vector")  # in JSON
LONGEST_GAP_S = 86_400
MOST_CANDIDATES = 10_000


@dataclass(frozen=True, slots=True)
class MaxPer:
    """At most n hits for each value of a column; rows without one count as one value together."""

    column: str = field(metadata={"lengths": (1, 1_000)})  # as camera, or place.latitude
    n: int = field(metadata={"at_least": 1})

    def __post_init__(self) -> None:
        """:raises BadRequest: if n is below 1."""
        if self.n < 1:
            raise BadRequest("max_per", f"{self.n} is not a number of hits; it must be at least 1")

    @classmethod
    def parse(cls, text: str) -> MaxPer:
        """Understand COLUMN=N, as camera=2.

        :raises BadRequest: if it is not that.
        """
        column, _, n = text.rpartition("=")
        if not column or not n.isdecimal():
            raise BadRequest("max_per", f"{text!r} is no COLUMN=N, as camera=2")
        return cls(column, int(n))

    def find(self, schema: pa.Schema) -> tuple[str, Column]:
        """The lake's column that holds it, and the column or field that is meant.

        :raises BadRequest: if there is none, or it holds several values.
        """
        from service.alike.names import names_of_groups
        from service.search.single_column import single_column

        if self.column.lower() in names_of_groups(schema.names):
            raise BadRequest(
                "max_per",
                f"{self.column} is of near-identical images; collapse makes those one hit",
            )
        return single_column("max_per", self.column, schema)


@dataclass(frozen=True, slots=True)
class ByMoment:
    """Hits of one video, or of one topic of a recording, that are near in time as one hit: the best
    frame, with the span of its moment.
    """

    # between two frames of a moment, at most
    gap_s: float = field(metadata={"at_least": 0, "at_most": LONGEST_GAP_S})

    def __post_init__(self) -> None:
        """:raises BadRequest: if the gap is below 0 or of more than a day."""
        if not 0 <= self.gap_s <= LONGEST_GAP_S:
            raise BadRequest("moments", f"a gap of {self.gap_s:g} s is none from 0 to a day")

    @classmethod
    def parse(cls, text: str) -> ByMoment:
        """Understand a time, as 5s, 0.5s, 500ms or 2m.

        :raises BadRequest: if it is none.
        """
        try:
            return cls(duration_us(text) / 1e6)
        except ValueError as error:
            raise BadRequest("moments", str(error)) from None

    @property
    def gap_us(self) -> int:
        return round(self.gap_s * 1e6)


@dataclass(frozen=True, slots=True)
class Query:
    """What is wanted; each example has a weight, below zero where it is unwanted."""

    texts: Sequence[tuple[str, float]] = ()
    images: Sequence[tuple[ImageLike, float]] = ()
    row_ids: Sequence[tuple[int, float]] = ()
    vectors: Sequence[tuple[Vectors, float]] = ()
    where: str | None = None
    decided: DecidedBy | None = None  # only rows that a filter decided so
    k: int | None = DEFAULT_K  # None: every row
    min_z: float | None = None
    # Hits to pass over; a page's next_offset. With collapse alone, without max_per or moments,
    # near-identical ones count, too.
    offset: int = 0
    collapse: bool = False  # True: near-identical images are one hit, the best of them
    max_per: MaxPer | None = None
    moments: ByMoment | None = None  # frames of one stream that are near in time are one hit
    # 0..1: how much it counts against a hit that it is like those before it; 0: not at all
    diversity: float = 0.0
    explain: bool = False  # True: each hit has what each example adds to its score
    sort: Sort | None = None  # None: the best match first, without examples by row_id
    # The share of the nearest that is to be found; None: as the lake is set.
    recall: float | None = None
    exact: bool = False  # True: every row is searched, however the lake is set
    # Groups to look into, as the first page did; None: as many as the recall takes.
    depth: int | None = None
    # Asked of an engine, as for the first page; None: as many as it takes.
    candidates: int | None = None
    # What tells the hits before this page, of a search on an engine: `service.search.engine`.
    seen: int | None = None
    # The seq of the last act of tagging that a first page's `where` went by; None: as tags are now.
    tags_act: int | None = None

    @classmethod
    def of(
        cls,
        text: str | Sequence[str] | None = None,
        *,
        image: ImageLike | Sequence[ImageLike] | None = None,
        not_text: str | Sequence[str] | None = None,
        not_image: ImageLike | Sequence[ImageLike] | None = None,
        row_id: int | Sequence[int] | None = None,
        not_row_id: int | Sequence[int] | None = None,
        vector: Vectors | None = None,
    ) -> Query:
        """Examples of weight 1, or -1 where they are unwanted;
        everything else as it is by default.
        """
        return cls(
            texts=[(t, 1.0) for t in _listed(text)] + [(t, -1.0) for t in _listed(not_text)],
            images=[(i, 1.0) for i in _listed(image)] + [(i, -1.0) for i in _listed(not_image)],
            row_ids=[(r, 1.0) for r in _listed(row_id)] + [(r, -1.0) for r in _listed(not_row_id)],
            vectors=[] if vector is None else [(vector, 1.0)],
        )

    @classmethod
    def typed(cls, text: str) -> Query:
        """What a person typed: "a hospital room -baby", with a text of weight -1.

        Words in quotes are a text of their own, a word or quote behind a minus is unwanted; the
        module `service.search.typed` has the rules. `of` takes texts as they are.

        :raises BadRequest: if there is no text in it.
        """
        found = TypedQuery.parse(text)
        if not (found.wanted or found.unwanted):
            raise BadRequest("query", "it is empty; say what you look for")
        return cls.of(found.wanted, not_text=found.unwanted)

    def with_options(self, said: Mapping[str, Any]) -> Query:
        """This query with options under their names in JSON: {"where": "width_px > 640", "k": 5}.

        :param said: what is None is as by default; but a k of None means every row.
        :raises BadRequest: if there is no such option, or its value makes no sense.
        """
        for name in said.keys() - OPTION_NAMES:
            raise BadRequest(name, f"there is no such option{_nearest(name, sorted(OPTION_NAMES))}")
        known = {name: value for name, value in said.items() if value is not None or name == "k"}
        by, decisions = known.pop("filter", None), known.pop("decision", None)
        if by is None and decisions is not None:
            raise BadRequest("decision", "it is a filter's; name the filter, too")
        if by is not None:
            known["decided"] = DecidedBy.parse(by, decisions)
        if isinstance(known.get("sort"), str):
            known["sort"] = Sort.parse(known["sort"])
        for option in OPTIONS:
            if isinstance(known.get(option.name), Mapping):
                known[option.name] = json_values.object_of(
                    option.name, option.type, known[option.name]
                )
        return replace(self, **known)

    def check(self) -> None:
        """:raises BadRequest: if an option is a number out of range."""
        if self.k is not None and self.k < 1:
            raise BadRequest("k", f"{self.k} is not a number of hits; it must be at least 1")
        if self.offset < 0:
            raise BadRequest(
                "offset", f"{self.offset} is not a number of hits; it must be at least 0"
            )
        if not 0 <= self.diversity <= 1:
            raise BadRequest("diversity", f"{self.diversity:g} is not in 0 (off) to 1")
        if self.recall is not None and not 0 < self.recall <= 1:
            raise BadRequest(
                "recall", f"{self.recall:g} is no share of the nearest; it is above 0, up to 1"
            )
        if self.depth is not None and self.depth < 1:
            raise BadRequest("depth", f"{self.depth} is no number of groups; it is at least 1")
        if self.candidates is not None and not 1 <= self.candidates <= MOST_CANDIDATES:
            raise BadRequest(
                "candidates", f"{self.candidates} is not in 1..{MOST_CANDIDATES:,} candidates"
            )
        if self.tags_act is not None and self.tags_act < 0:
            raise BadRequest("tags_act", f"{self.tags_act} is no act of tagging; it is at least 0")
        for name in ("moments", "diversity"):
            if self.is_sorted and getattr(self, name):
                raise BadRequest(
                    name, "it goes from the best match down; leave it out, or the sort"
                )

    @property
    def has_examples(self) -> bool:
        return any(map(len, (self.texts, self.images, self.row_ids, self.vectors)))

    @property
    def is_sorted(self) -> bool:
        """Whether another order than the best match first is wanted."""
        return self.sort is not None and not self.sort.is_best_first

    def check_browsing(self) -> None:
        """:raises BadRequest: if rows that are only listed cannot have what the query asks for."""
        for name in ("min_z", "collapse", "max_per", "moments", "diversity", "explain"):
            if getattr(self, name):
                raise BadRequest(
                    name,
                    "rows without a query have no order by likeness; say what you look for, too",
                )
        if self.sort is not None and self.sort.by == "match":
            raise BadRequest(
                "sort", "rows without a query match nothing; say what you look for, too"
            )

    def to_json(self) -> dict[str, Any]:
        """The query as `POST /v1/search` takes it, and its offset where it has one.

        :raises BadRequest: if it has what JSON cannot say: images from outside the lake, or vectors
            other than one of weight 1. What `understand` makes of such a query can be said.
        """
        if self.images:
            raise BadRequest("images", "JSON names rows of the lake; understand the query first")
        if self.vectors and [weight for _, weight in self.vectors] != [1.0]:
            raise BadRequest("vector", "JSON has one, of weight 1; understand the query first")
        document: dict[str, Any] = {
            "texts": [{"text": text, "weight": weight} for text, weight in self.texts],
            "images": [{"row_id": int(row), "weight": weight} for row, weight in self.row_ids],
            "vector": [float(number) for vector, _ in self.vectors for number in vector.ravel()],
        }
        document = {name: examples for name, examples in document.items() if examples}
        return document | self.options_json() | {"k": self.k}

    def options_json(self) -> dict[str, Any]:
        """All but the examples, under the names in JSON; what is as by default is left out."""
        document: dict[str, Any] = {}
        for each in fields(self):
            if each.name in ("texts", "images", "row_ids", "vectors"):
                continue
            value = getattr(self, each.name)
            if isinstance(value, DecidedBy):
                document |= {"filter": value.named, "decision": list(value.decisions)}
            elif isinstance(value, Sort):
                document[each.name] = value.said
            elif is_dataclass(value) and not isinstance(value, type):
                document[each.name] = asdict(value)
            elif value != each.default:
                document[each.name] = value
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Query:
        """Understand what `to_json` gives: a body of `POST /v1/search` without its lake and cursor.

        :raises BadRequest: naming the first field that is unknown, or has a value of another kind.
        """
        said = {name: value for name, value in document.items() if value is not None}
        for name in said:
            if name not in _FIELDS:
                raise BadRequest(name, f"there is no such field{_nearest(name, _FIELDS)}")
        for option in OPTIONS:
            if option.name in said:
                json_values.checked(option.name, said[option.name], option.type)
        for name in _OF_PAGES:
            json_values.checked(name, said.get(name, 1), int)
        typed = json_values.checked("query", said["query"], str) if "query" in said else None
        examples = cls(
            texts=(
                *(() if typed is None else cls.typed(typed).texts),
                *json_values.examples(said, "texts", "text", str),
            ),
            row_ids=json_values.examples(said, "images", "row_id", int),
            vectors=[(json_values.vector(said["vector"]), 1.0)] if said.get("vector") else (),
        )
        return examples.with_options(
            {name: value for name, value in document.items() if name not in EXAMPLES}
        )


@dataclass(frozen=True, slots=True)
class Option:
    """What a query may say beside its examples, under one name at every door."""

    name: str  # in JSON, in the form and in Python
    # Of its value in JSON: str, int, float, bool, a list of a Literal, or a dataclass of such
    # values, where a field's metadata may say "at_least", "at_most" and "lengths".
    type: Any
    description: str  # a sentence for OpenAPI
    flag: str  # of the command
    help: str  # for `lakesift search --help`, as argparse takes it
    metavar: str | None = None  # stands for the flag's value in the help
    at_least: int | None = None  # the smallest number
    at_most: int | None = None  # the largest
    lengths: tuple[int | None, int | None] = (None, None)  # of a text or a list: least, most
    # Of an object: from the flag's words; it raises BadRequest where they make no sense.
    parse: Callable[[str], Any] | None = None

    @property
    def is_object(self) -> bool:
        return is_dataclass(self.type)


OPTIONS = (
    Option(
        "where",
        str,
        "SQL over the rows' columns, applied before the top k.",
        "--where",
        "only rows for which this holds, e.g. \"width_px >= 640 AND camera LIKE 'Canon%%'\"",
        metavar="SQL",
    ),
    Option(
        "filter",
        str,
        "Only rows that this filter decided as `decision` says. NAME, or NAME@VERSION where it is not to "
        "be the version applied last.",
        "--filter",
        "only rows that this filter decided as --decision says; hospital@3: as its version 3 did "
        "(default: every row; of a filter, the version applied last)",
        metavar="NAME",
        lengths=(1, 255),
    ),
    Option(
        "decision",
        list[Wanted],
        "With `filter`: which rows; undecided: those without a decision, as those added since. Left out: keep.",
        "--decision",
        "with --filter: which rows; undecided: those without a decision; may be repeated (default: keep)",
        lengths=(1, 4),
    ),
    Option(
        "min_z",
        float,
        "Only hits that stand out by this many robust standard deviations.",
        "--min-z",
        "only hits that stand out by this many robust standard deviations",
        metavar="Z",
    ),
    Option(
        "collapse",
        bool,
        "True: near-identical images become one hit.",
        "--collapse",
        "show near-identical images once, as the best of them (default: each)",
    ),
    Option(
        "max_per",
        MaxPer,
        "At most n hits for each value of a column, as of a camera; rows without a value count as one "
        "value together. With collapse, an image that folds into a hit does not count.",
        "--max-per",
        "at most N hits for each value of a column, e.g. camera=2; rows without a value count as one "
        "value together (default: any number)",
        metavar="COLUMN=N",
        parse=MaxPer.parse,
    ),
    Option(
        "moments",
        ByMoment,
        "Frames of one video, or of one topic of a recording, that fit and are at most `gap_s` seconds "
        "apart become one hit, the best of them, with the `span` in which they lie.",
        "--moments",
        "show a video's or a recording's frames that fit and are at most GAP apart, as 5s, once: as the best "
        "of them, with the span from the first to the last (default: each frame)",
        metavar="GAP",
        parse=ByMoment.parse,
    ),
    Option(
        "diversity",
        float,
        "How much it counts against a hit that it is like those before it, 0 to 1 (maximal marginal "
        "relevance, among the 500 best): 0, and if not said: not at all.",
        "--diversity",
        "0 to 1: how much it counts against a hit that it is like those before it, among the 500 best "
        "(default: 0, not at all)",
        metavar="D",
        at_least=0,
        at_most=1,
    ),
    Option(
        "sort",
        str,
        "The order of all that pass: match (best first, and if not said), date (when it was taken; where "
        "that is unknown, when its file was changed), path, random (random:17 is another one), or a column, "
        'in double quotes where it is called as one of these: `width_px`, `"path"`. With :up or :down '
        "behind it; up if not said. Those without a value come last, ties by row_id.",
        "--sort",
        "the order of all that pass: match, date, path, random, random:SEED or a column, with :up or :down "
        "behind it, as date:down; those without a value come last (default: the best match first; without a "
        "query by row id)",
        metavar="ORDER",
        lengths=(1, MAX_SORT_CHARS),
        parse=Sort.parse,
    ),
    Option(
        "recall",
        float,
        "0.99: it may miss one in a hundred of the nearest, and is much faster on a large lake that has "
        "groups; the answer's `searched` says what was done. Above 0, up to 1. Left out: as the service or "
        "the lake is set, exact unless somebody chose otherwise.",
        "--recall",
        "the share of the nearest that is to be found, e.g. 0.99, which is much faster on a large lake that "
        "has groups (default: as the lake is set, exact unless somebody chose otherwise)",
        metavar="SHARE",
        at_least=0,
        at_most=1,
    ),
    Option(
        "explain",
        bool,
        "True: each hit says what each example of the query adds to its score, in its own `explain`. Of a "
        "further page only if the query is sent beside the cursor.",
        "--explain",
        "say what each text, image and row of the query adds to each hit's score (default: no)",
    ),
    Option(
        "exact",
        bool,
        "True: every row is searched, however the service and the lake are set.",
        "--exact-search",
        "search every row, however the lake is set (default: as --recall says)",
    ),
    Option(
        "k",
        int,
        f"Hits a page, {PAGE_K} if not said. In a stream: hits in all, every row if not said.",
        "-k",
        f"hits wanted (default: {DEFAULT_K})",
        metavar="N",
        at_least=1,
    ),
)

# What a next page has from the one before it.
_OF_PAGES = ("offset", "depth", "candidates", "seen", "tags_act")
OPTION_NAMES = frozenset(option.name for option in OPTIONS).union(_OF_PAGES)
_FIELDS = (*EXAMPLES, *(option.name for option in OPTIONS), *_OF_PAGES)


def _nearest(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(names)}"


def _listed(value: object) -> list:  # type: ignore[type-arg]
    if value is None:
        return []
    if (
        isinstance(value, str | bytes | Path | int)
        or not isinstance(value, Iterable)
        or hasattr(value, "dtype")
    ):
        return [value]
    return list(value)
