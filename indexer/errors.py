"""Everything that can go wrong, as one small family.
Each prints as one sentence that names the thing and the way out.

LakeError
├── UnreadableImage     one image cannot be read; it is skipped, the run goes on
├── SourceError         a source cannot be listed, or names nothing
├── ModelUnavailable    a model's weights or packages are not on this machine
│   ├── ModelNotTrusted a lake names a model that nobody named on this machine
│   └── ModelUnknown    nobody said which model made a lake's vectors
├── WrongModel          a lake, a vector or a query belongs to another model
├── DimensionMismatch   an array has another width than the model's dim
├── LakeNotFound        there is no lake in that folder
├── LakeDamaged         a file of a lake is missing or not what the manifest says
│   └── LakeUnsafe      a link, a pipe or a device lies in a lake where a file or folder belongs
├── UnknownLake         a service has no lake of this name
├── SnapshotGone        an older snapshot of a lake is no longer on disk
├── UnknownRow          a lake's current snapshot has no row of this number
├── UnknownFilter       a lake has no filter of this name
├── UnknownSearch       no search of this name was saved beside a lake
├── NoMap               a lake has no map yet
├── ImageGone           a row's image is missing, or another than was indexed
├── ImageUnreachable    a row's image may be there, and cannot be read now
│   └── ImageRefused    a row names a place that its lake has no business with
├── BucketError         a lake's folder in a bucket cannot be read or written
├── EngineError         a search engine refuses, or has something else than is needed
│   └── EngineAway      a search engine cannot be reached now, or takes too long
├── SearchAway          the engine that searches a lake cannot be asked now
├── EngineMoved         an engine's order has changed since the page before
├── LakeLocked          another process writes this lake
├── KeysDamaged         the file of the service's keys cannot be read, so no key is taken
├── NotWritten          a file that a user asked for cannot be written
├── WhereError          a `where` expression is not understood
├── WhereTooSlow        a `where` expression was not answered in the time that a service gives it
└── BadRequest          any other mistake of the caller: an argument out of range, an empty query
    ├── BadCursor       a page's cursor is not one, or not of this query
    ├── CannotUndo      an act on tags or an answer is not the last, or was taken back
    └── FilterExists    a lake has a filter of this name already
"""

from __future__ import annotations

from indexer.words import quoted


class LakeError(Exception):
    """Base of all errors that a user of lakesift can cause or meet; str() is one sentence."""


class UnreadableImage(LakeError):
    """:param transient: the file itself may be fine (permissions,
    network): tried again at every sync.
    """

    def __init__(self, uri: str, reason: str, *, transient: bool = False) -> None:
        super().__init__(f"{uri}: {reason}")
        self.uri = uri
        self.reason = reason
        self.transient = transient


class SourceError(LakeError):
    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason


class ModelUnavailable(LakeError):
    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"model {model}: {reason}")
        self.model = model
        self.reason = reason


class ModelNotTrusted(ModelUnavailable):
    def __init__(self, model: str, lake: str) -> None:
        super().__init__(
            model,
            f"only the lake {lake} names it, and nobody did on this machine, so it is not loaded; if you trust "
            "whoever made the lake, say --trust-model (LAKESIFT_TRUST_MODEL=1, Lake.open(..., trust_model=True))",
        )


class ModelUnknown(ModelUnavailable):
    def __init__(self, model: str, lake: str) -> None:
        super().__init__(model, "nobody said which model made the vectors")
        self.args = (
            f"{lake} has vectors whose model nobody named, so neither texts nor images can be made into such; ask by "
            "row or by vector, or import them into a new lake with `lakesift import --model NAME`",
        )


class WrongModel(LakeError):
    def __init__(self, lake: str, expected: str, found: str, way_out: str) -> None:
        super().__init__(f"{lake} was built with {expected}, but this is {found}; {way_out}")
        self.lake = lake
        self.expected = expected
        self.found = found


class DimensionMismatch(LakeError):
    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"vectors have {found} dimensions, the model has {expected}")
        self.expected = expected
        self.found = found


class LakeNotFound(LakeError):
    def __init__(self, folder: str, way_out: str = "") -> None:
        """:param way_out: "" for how to make a lake there."""
        way_out = way_out or f"make one with: lakesift index PHOTOS --into {folder}"
        super().__init__(f"{folder} is not a lake (it has no manifest.json); {way_out}")
        self.folder = folder


class LakeDamaged(LakeError):
    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} is damaged: {reason}")
        self.path = path
        self.reason = reason


class LakeUnsafe(LakeDamaged):
    def __init__(self, path: str, what: str) -> None:
        """:param what: as in "a link"."""
        super().__init__(path, f"it is {what}")
        self.args = (
            f"{path} is {what}: a lake holds folders and plain files alone, so it is not used; if it is your own, put "
            "the file or folder itself there, and ask whoever gave you the lake if it is not",
        )


class UnknownLake(LakeError):
    def __init__(self, name: str, known: str) -> None:
        super().__init__(f"there is no lake {name!r} here; there is {known}")
        self.name = name


class SnapshotGone(LakeError):
    def __init__(self, lake: str, number: int) -> None:
        super().__init__(
            f"snapshot {number} of {lake} is no longer on disk; begin again from the current snapshot"
        )
        self.lake = lake
        self.number = number


class UnknownRow(LakeError):
    def __init__(self, lake: str, row_id: int) -> None:
        super().__init__(
            f"{lake} has no row {row_id}; it may have gone with its image at the last sync: search again"
        )
        self.lake = lake
        self.row_id = row_id


class UnknownFilter(LakeError):
    def __init__(
        self, lake: str, name: str, nearest: str | None = None, *, field: str = "name"
    ) -> None:
        """
        :param nearest: the name that was probably meant; None where none is like it.
        :param field: the argument that named the filter.
        """
        way_out = (
            f"did you mean {nearest!r}?"
            if nearest
            else "see what there is: lakesift filter list LAKE"
        )
        super().__init__(f"{lake} has no filter {name!r}; {way_out}")
        self.lake = lake
        self.name = name
        self.nearest = nearest
        self.field = field


class UnknownSearch(LakeError):
    def __init__(self, lake: str, name: str, nearest: str | None = None) -> None:
        """:param nearest: of a saved search, if one is called much the same."""
        hint = f"did you mean {nearest}?" if nearest else f"`lakesift saved {lake}` lists them"
        super().__init__(f"{lake} has no saved search {quoted(name)}; {hint}")
        self.name = name
        self.nearest = nearest


class ImageGone(LakeError):
    """:param reason: as in "it is not there any more"."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(f"{uri}: {reason}; run `lakesift sync`")
        self.uri = uri
        self.reason = reason


class ImageUnreachable(LakeError):
    """:param reason: as in "permission denied"."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(f"{uri} cannot be read now: {reason}; see to it and try again")
        self.uri = uri
        self.reason = reason


class ImageRefused(ImageUnreachable):
    """:param reason: with the way out, as in "it lies in no source of its lake; ..."."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(uri, reason)
        self.args = (f"{uri} is not opened: {reason}",)


class NoMap(LakeError):
    def __init__(self, lake: str) -> None:
        super().__init__(f"{lake} has no map yet; make one with: lakesift map LAKE")
        self.lake = lake


class LakeLocked(LakeError):
    def __init__(self, folder: str, holder: str) -> None:
        super().__init__(f"{folder} is being written by {holder}; wait for it to end, or stop it")
        self.folder = folder
        self.holder = holder


class BucketError(LakeError):
    """:param reason: with the way out, where there is one."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url}: {reason}")
        self.url = url
        self.reason = reason


class CopiesDiverged(BucketError):
    """A lake and its copy in a bucket have each what the other has not."""


class EngineError(LakeError):
    """
    :param url: without its password.
    :param reason: with the way out, where there is one.
    """

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url}: {reason}")
        self.url = url
        self.reason = reason


class EngineAway(EngineError):
    pass


class SearchAway(LakeError):
    """As callers are told: neither the engine's address nor its complaint is theirs to know."""

    def __init__(self, lake: str) -> None:
        super().__init__(
            f"the engine that searches {lake} cannot be asked now; try again in some seconds, or say exact: true, "
            "which is searched without it"
        )
        self.lake = lake


class EngineMoved(LakeError):
    def __init__(self, lake: str) -> None:
        super().__init__(
            f"the engine that searches {lake} orders the hits before this page otherwise now, as after a push; search "
            "again from the first page, or with exact: true, whose pages always fit"
        )
        self.lake = lake


class KeysDamaged(LakeError):
    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"{path} cannot be read ({reason}), so no key is taken; repair it, or move it away and make new keys with: "
            "lakesift key add NAME"
        )
        self.path = path
        self.reason = reason


class NotWritten(LakeError):
    """:param reason: as in "no space left on device"."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} cannot be written: {reason}")
        self.path = path
        self.reason = reason


class WhereError(LakeError):
    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"where: {reason}")
        self.where = where
        self.reason = reason


class WhereTooSlow(LakeError):
    def __init__(self, where: str, limit_s: float, asked: int, rows: int) -> None:
        """:param asked: rows that were answered in time, of rows."""
        super().__init__(
            f"where: it was answered for {asked:,} of {rows:,} rows in {limit_s:g} s, which is all "
            "the time it gets here; a LIKE costs least with few _ and % in its pattern"
        )
        self.where = where
        self.limit_s = limit_s


class BadRequest(LakeError):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class FilterExists(BadRequest):
    def __init__(self, name: str, way_out: str = "choose another name, or delete that one") -> None:
        super().__init__("name", f"there is a filter {name!r} already; {way_out}")
        self.name = name


class BadCursor(BadRequest):
    def __init__(self, reason: str) -> None:
        super().__init__("cursor", reason)


class CannotUndo(BadRequest):
    def __init__(self, field: str, number: int, reason: str) -> None:
        super().__init__(field, reason)
        self.number = number
