"""One version of a filter: all that its decisions follow from, frozen, and its one form in JSON.

`filters/<name>/<version>.json` holds these bytes. They are the same whenever the same definition is
written, so that two versions, or two machines, can be compared by their files. The file carries a
checksum of itself, and checks of the files it rests on; those of older versions have neither.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from indexer.disk.filter_checks import FilterChecks, take_checks
from indexer.disk.filter_folders import check_name
from indexer.disk.sealed import break_seal, sealed
from indexer.errors import BadRequest, LakeDamaged
from indexer.fields import Fields, number, whole
from service.relevance.as_json import AsJson
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scorer

FORMAT = 4
_SHA256 = re.compile(r"[0-9a-f]{64}")


class LaterFormat(LakeDamaged):
    """A later lakesift wrote it."""


@dataclass(frozen=True, slots=True)
class ExampleImage:
    """An image from outside the lake. Its vector is kept, so that nothing needs the file again."""

    name: str
    sha256: str  # of the file's bytes, hex
    vector: tuple[float, ...]  # (dim,), unit length, made by the lake's own model


@dataclass(frozen=True, slots=True)
class Examples:
    """What one side of a filter, keep or drop, looks like."""

    texts: tuple[str, ...] = ()
    row_ids: tuple[int, ...] = ()
    images: tuple[ExampleImage, ...] = ()


@dataclass(frozen=True, slots=True)
class Target(AsJson):
    """The wanted promise: shares in (0, 1), at least one of recall and precision."""

    recall: float | None = 0.95
    precision: float | None = None
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """:raises BadRequest: if a share is out of range,
        or neither recall nor precision is wanted.
        """
        for name in ("recall", "precision", "confidence"):
            share = getattr(self, name)
            if share is not None and not 0 < share < 1:
                raise BadRequest(name, f"{share:g} is not between 0 and 1; 0.95 means 95 %")
        if self.recall is None and self.precision is None:
            raise BadRequest(
                "recall", "a filter promises recall, precision or both; name at least one"
            )


@dataclass(frozen=True, slots=True)
class Thresholds(AsJson):
    """keep: score >= keep; drop: score < drop; ask: in between."""

    keep: float
    drop: float

    def __post_init__(self) -> None:
        """:raises ValueError: if keep < drop."""
        if self.keep < self.drop:
            raise ValueError("thresholds.keep is below thresholds.drop")


@dataclass(frozen=True, slots=True)
class LabelsUsed(AsJson):
    """The answers that a version was made with.
    Conflicts are what count has beyond yes, no and skipped.
    """

    count: int
    yes: int
    no: int
    skipped: int
    sha256: str  # of the answers by rising row_id, hex; see `labels.labels_used`


@dataclass(frozen=True, slots=True)
class Part(AsJson):
    """Which part of their chance of error a filter and its copies
    in one lake have, its branch; see `promise/sharing.py`.
    """

    branch: str | None = None  # drawn when it came into its lake; None: they began in this lake
    one_in: int = 1  # of the whole: one in so many, when the branch began
    given: int = 0  # copies into other lakes that a part of it had gone to by then


@dataclass(frozen=True, slots=True)
class Copied(AsJson):
    """Whose copy a filter is. A filter and all copies that go back
    to it share the chance of error of their audits.
    """

    origin: str  # the name of the filter that was no copy
    made_at: str  # when that one was made, ISO 8601 with the offset: names can be used again
    audits: int  # that they had begun by then
    part: Part = Part()

    @property
    def branch(self) -> tuple[str, str, str | None]:
        """The same of all filters of one lake that take from one part."""
        return self.origin, self.made_at, self.part.branch

    def to_json(self) -> dict[str, Any]:
        """Without the part, where it is the whole."""
        part = {} if self.part == Part() else {"part": self.part.to_json()}
        return {"origin": self.origin, "made_at": self.made_at, "audits": self.audits, **part}


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of a filter.

    :raises BadRequest: if the name is not fit for a folder.
    """

    name: str
    version: int  # counts up from 1
    created_at: str  # ISO 8601 with the offset
    parent: int | None  # the version that this one was made from
    reason: str  # why there is this version: "created", "audit 1 planned", "applied"
    keep: Examples
    drop: Examples
    where: str | None  # the population: live rows of the snapshot that it keeps
    target: Target
    model: Mapping[str, str | int]  # the fingerprint of the lake's model
    snapshot: int
    scorer: Scorer
    calibration: Calibration | None = None
    audit: int | None = None  # the number of the audit in force, from 1
    pieces: int = 0  # that follow it and are in force with it; see `promise/following.py`
    scene: str | None = None  # the column whose values it draws; see `promise/scenes.py`
    thresholds: Thresholds | None = None
    labels: LabelsUsed | None = None
    measured: Mapping[str, Any] | None = None  # JSON values: quality with bounds
    copied: Copied | None = None  # None: made anew
    # Of the files it rests on, as the store found them when it was written; None: it rests on none,
    # was not written yet, or was written by an older version.
    checks: FilterChecks | None = None
    # False: read from a file without a checksum, as older versions wrote it.
    is_sealed: bool = field(default=True, compare=False)

    def __post_init__(self) -> None:
        check_name(self.name)

    def to_document(self) -> dict[str, Any]:
        """The definition as JSON values, in the order of the fields, without its checks.

        Format 2 is a copy's: lakesift that reads up to 1 would count its audits from one, and must
        not read it. Format 3 has an audit that follows the lake: lakesift that reads up to 2 would
        take the first part's population for the whole. Format 4 has an audit of scenes: to lakesift
        that reads up to 3 its promise would be one of rows.
        """
        copied = {} if self.copied is None else {"copied": self.copied.to_json()}
        pieces = {"pieces": self.pieces} if self.pieces else {}
        scene = {} if self.scene is None else {"scene": self.scene}
        return {
            "format": 4 if scene else 3 if pieces else 2 if copied else 1,
            "name": self.name,
            "version": self.version,
            "created_at": self.created_at,
            "parent": self.parent,
            "reason": self.reason,
            "keep": _examples_document(self.keep),
            "drop": _examples_document(self.drop),
            "where": self.where,
            "target": self.target.to_json(),
            "model": dict(self.model),
            "snapshot": self.snapshot,
            "scorer": self.scorer.to_json(),
            "calibration": None if self.calibration is None else self.calibration.to_json(),
            "audit": self.audit,
            **pieces,
            **scene,
            "thresholds": None if self.thresholds is None else self.thresholds.to_json(),
            "labels": None if self.labels is None else self.labels.to_json(),
            "measured": None if self.measured is None else dict(self.measured),
            **copied,
        }

    def to_json(self) -> bytes:
        """UTF-8, the same bytes for the same definition.

        :raises ValueError: if a number is not finite: JSON has none such.
        """
        checks = {} if self.checks is None else {"checks": self.checks.to_json()}
        document = sealed({**self.to_document(), **checks})
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode()

    @classmethod
    def from_json(cls, data: bytes, path: str) -> Definition:
        """Read what `to_json` wrote.

        :param path: of the file, for the message.
        :raises LakeDamaged: if it is not a filter's version; LaterFormat: if it is one of a later
            format.
        """
        try:
            fields = Fields.parse(data)
            # First, so that a flipped bit in the format is not taken for a later format.
            is_sealed = break_seal(fields)
            if (format_ := fields.whole("format", 1)) > FORMAT:
                raise LaterFormat(
                    path,
                    f"it has format {format_}, this lakesift reads up to {FORMAT}: update lakesift",
                )
            return _definition(fields, format_=format_, is_sealed=is_sealed)
        except (ValueError, BadRequest) as error:
            raise LakeDamaged(path, str(error)) from None


def now() -> str:
    """This moment, as `created_at` has it."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")


def _examples_document(examples: Examples) -> dict[str, Any]:
    return {
        "texts": list(examples.texts),
        "row_ids": list(examples.row_ids),
        "images": [
            {"name": image.name, "sha256": image.sha256, "vector": list(image.vector)}
            for image in examples.images
        ],
    }


def _definition(fields: Fields, *, format_: int, is_sealed: bool) -> Definition:
    has_copied = format_ == 2 or (format_ > 2 and fields.has("copied"))
    definition = Definition(
        name=fields.text("name"),
        version=fields.whole("version", 1),
        created_at=_time(fields.text("created_at")),
        parent=fields.maybe_whole("parent", 1),
        reason=fields.text("reason"),
        keep=_examples(fields.inner("keep")),
        drop=_examples(fields.inner("drop")),
        where=fields.maybe_text("where"),
        target=_target(fields.inner("target")),
        model=_model(fields.take("model")),
        snapshot=fields.whole("snapshot", 1),
        scorer=_scorer(fields.take("scorer")),
        calibration=_calibration(fields.maybe_inner("calibration")),
        audit=fields.maybe_whole("audit", 1),
        pieces=fields.whole("pieces", 1) if format_ == 3 else 0,
        scene=fields.text("scene") if format_ == 4 else None,
        thresholds=_thresholds(fields.maybe_inner("thresholds")),
        labels=_labels(fields.maybe_inner("labels")),
        measured=fields.maybe_mapping("measured"),
        copied=_copied(fields.inner("copied")) if has_copied else None,
        checks=take_checks(fields),
        is_sealed=is_sealed,
    )
    fields.end()
    return definition


def _copied(fields: Fields) -> Copied:
    copied = Copied(
        check_name(fields.text("origin")),
        _time(fields.text("made_at")),
        fields.whole("audits"),
        _part(fields.inner("part")) if fields.has("part") else Part(),
    )
    fields.end()
    return copied


def _part(fields: Fields) -> Part:
    part = Part(fields.maybe_text("branch"), fields.whole("one_in", 1), fields.whole("given"))
    fields.end()
    return part


def _time(text: str) -> str:
    try:
        offset = datetime.fromisoformat(text).utcoffset()
    except ValueError:
        offset = None
    if offset is None:
        raise ValueError("created_at is not an ISO 8601 time with an offset")
    return text


def _examples(fields: Fields) -> Examples:
    texts = fields.items("texts")
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{fields.path('texts')} is not a list of texts")
    row_ids = [whole(row_id, fields.path("row_ids"), 1) for row_id in fields.items("row_ids")]
    images = [_image(Fields(image, fields.path("images"))) for image in fields.items("images")]
    fields.end()
    return Examples(tuple(texts), tuple(row_ids), tuple(images))


def _image(fields: Fields) -> ExampleImage:
    image = ExampleImage(
        name=fields.text("name"),
        sha256=_sha256(fields),
        vector=_numbers(fields.items("vector"), fields.path("vector")),
    )
    fields.end()
    return image


def _numbers(values: Sequence[Any], name: str) -> tuple[float, ...]:
    return tuple(number(value, name) for value in values)


def _sha256(fields: Fields) -> str:
    digest = fields.text("sha256")
    if not _SHA256.fullmatch(digest):
        raise ValueError(f"{fields.path('sha256')} is not 64 hexadecimal digits")
    return digest


def _target(fields: Fields) -> Target:
    target = Target(
        fields.maybe_number("recall"), fields.maybe_number("precision"), fields.number("confidence")
    )
    fields.end()
    return target


def _model(value: Any) -> dict[str, str | int]:
    if not isinstance(value, dict) or not all(
        isinstance(fact, str | int) and not isinstance(fact, bool) for fact in value.values()
    ):
        raise ValueError("model is not an object of texts and whole numbers")
    return value


def _scorer(value: Any) -> Scorer:
    try:
        return Scorer.from_json(value)
    except KeyError as missing:
        raise ValueError(f"it has no field scorer.{missing.args[0]}") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"scorer: {error}") from None


def _calibration(fields: Fields | None) -> Calibration | None:
    if fields is None:
        return None
    calibration = Calibration(fields.number("slope"), fields.number("offset"))
    fields.end()
    if calibration.slope < 0:
        raise ValueError(
            f"{fields.path('slope')} is below 0: probability must not fall as the score rises"
        )
    return calibration


def _thresholds(fields: Fields | None) -> Thresholds | None:
    if fields is None:
        return None
    thresholds = Thresholds(fields.number("keep"), fields.number("drop"))
    fields.end()
    return thresholds


def _labels(fields: Fields | None) -> LabelsUsed | None:
    if fields is None:
        return None
    used = LabelsUsed(
        count=fields.whole("count"),
        yes=fields.whole("yes"),
        no=fields.whole("no"),
        skipped=fields.whole("skipped"),
        sha256=_sha256(fields),
    )
    fields.end()
    return used
