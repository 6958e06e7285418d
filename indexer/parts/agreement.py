"""What all parts of a run agree on: how many they are, the sources with their options, the model.

The first part to begin writes it down, as `parts/plan.json`, and each later one is held to it, so
that a part that does not fit is refused before it has embedded anything.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from ulid import ULID

from indexer.disk.durable import fsync_folder, write_file
from indexer.disk.entries import read_file
from indexer.disk.layout import Layout
from indexer.disk.manifest import Fingerprint, Manifest, SourceEntry, fingerprint_from, source_from
from indexer.disk.sealed import break_seal, checksum_of, sealed
from indexer.embed import Embedder
from indexer.errors import BadRequest, LakeDamaged, LakeError, WrongModel
from indexer.fields import Fields
from indexer.models import what_differs
from indexer.parts.share import MOST, Share

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """Of a run, what decides which images can be read, and how."""

    max_pixels: int
    max_bytes: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Agreement:
    """What every part of a run has in common."""

    of: int  # parts
    sources: tuple[SourceEntry, ...]
    settings: Settings
    model_id: str
    fingerprint: Fingerprint
    dim: int

    @classmethod
    def of_model(
        cls, of: int, sources: tuple[SourceEntry, ...], settings: Settings, model: Embedder
    ) -> Agreement:
        return cls(of, sources, settings, model.model_id, dict(model.fingerprint), model.dim)

    @property
    def digest(self) -> str:
        """What tells two of them apart."""
        return checksum_of(asdict(self))

    def new_lake(self) -> Manifest:
        """What a lake of its model begins as."""
        return Manifest(self.model_id, dict(self.fingerprint), self.dim)

    def check(self, other: Agreement, lake: str, share: Share) -> None:
        """That a part's own fits.

        :param lake: how messages name it.
        :raises BadRequest: naming what differs; WrongModel: if it is the model.
        """
        way_out = (
            f"give every part the same command, or end those with `lakesift commit {lake}` "
            "(--discard throws them away)"
        )
        if other.of != self.of:
            raise BadRequest(
                "--part", f"{share}: the parts of {lake} were begun as {self.of}; {way_out}"
            )
        if (named := _differ(self.sources, other.sources)) is not None:
            raise BadRequest(
                "--part", f"{share}: the parts of {lake} were begun with {named}; {way_out}"
            )
        if self.settings != other.settings:
            ours, theirs = asdict(other.settings), asdict(self.settings)
            name = next(name for name in ours if ours[name] != theirs[name])
            flag = f"--{name.replace('_', '-')}"
            raise BadRequest(
                flag,
                f"part {share} has {ours[name]}, the parts of {lake} were begun with {theirs[name]}; {way_out}",
            )
        if (self.model_id, self.fingerprint) != (other.model_id, other.fingerprint):
            theirs_, ours_ = what_differs(self.fingerprint, other.fingerprint)
            raise WrongModel(
                f"{lake}, whose parts are not committed yet,",
                f"{self.model_id} ({theirs_})",
                f"{other.model_id} ({ours_}) of part {share}",
                way_out,
            )

    def to_json(self) -> bytes:
        return json.dumps(sealed({"format": FORMAT, **asdict(self)}), indent=1).encode()


def _differ(theirs: tuple[SourceEntry, ...], ours: tuple[SourceEntry, ...]) -> str | None:
    """What is otherwise in the sources, in few words; None: nothing is."""
    if theirs == ours:
        return None
    if [entry.uri for entry in theirs] != [entry.uri for entry in ours]:
        before, now = (", ".join(entry.uri for entry in each) for each in (theirs, ours))
        return f"the sources {before}, in this order, and this one with {now}"
    for their, our in zip(theirs, ours, strict=True):
        then, here = asdict(their), asdict(our)
        for name in then:
            if then[name] != here[name]:
                return f"other options of {their.uri} ({name}: {then[name]}, and now {here[name]})"
    return None


def agree(layout: Layout, ours: Agreement, share: Share) -> None:
    """Write it down if this is the first part, else be held to what is written.

    :raises BadRequest, WrongModel: as `Agreement.check`; LakeDamaged: as `read_agreement`.
    """
    path = layout.parts_plan
    if not path.exists():
        beside = layout.parts / f"{ULID()}.new"
        write_file(beside, ours.to_json())
        try:
            _put_first(beside, path)
        finally:
            beside.unlink(missing_ok=True)
        fsync_folder(layout.parts)
    if (agreed := read_agreement(layout)) is None:
        raise LakeError(f"{path} was just taken away; run part {share} again")
    agreed.check(ours, str(layout.root), share)


def _put_first(beside: Path, path: Path) -> None:
    """Of several at once one comes first. Where a disk has no hard links the last one stays: then
    parts that differ are found out by `commit`.
    """
    try:
        os.link(beside, path)
    except FileExistsError:
        return
    except OSError:
        if not path.exists():
            beside.replace(path)


def read_agreement(layout: Layout) -> Agreement | None:
    """None where no part has begun.

    :raises LakeDamaged: if it cannot be used.
    """
    path = layout.parts_plan
    try:
        data = read_file(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise LakeDamaged(str(path), f"it cannot be read ({error.strerror})") from None
    try:
        fields = Fields.parse(data)
        if not break_seal(fields):
            raise ValueError("it has no checksum")
        return _parse(fields)
    except ValueError as error:
        way_out = f"throw the parts away with `lakesift commit {layout.root} --discard`"
        raise LakeDamaged(str(path), f"{error}; {way_out}") from None


def _parse(fields: Fields) -> Agreement:
    if fields.whole("format", 1) > FORMAT:
        raise ValueError("a later version of lakesift wrote it: update lakesift")
    of = fields.whole("of", 1)
    if of > MOST:
        raise ValueError(f"it says that there are {of:,} parts")
    settings = fields.inner("settings")
    exact = settings.take("exact")
    return Agreement(
        of,
        tuple(source_from(Fields(each, "sources")) for each in fields.items("sources")),
        Settings(settings.whole("max_pixels"), settings.whole("max_bytes"), bool(exact)),
        fields.text("model_id"),
        fingerprint_from(fields.inner("fingerprint").rest()),
        fields.whole("dim", 1),
    )
