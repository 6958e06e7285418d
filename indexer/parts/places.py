"""Where parts keep what is not committed yet: below `parts/` of their lake.

`plan.json` is what they agreed on. A part has a folder that is a lake of its own, so that it is
written and gone on with as any lake is; `3-of-16.members.parquet`, what it found in containers; and
`3-of-16.json` once it has done its share.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from indexer.disk.durable import replace_file
from indexer.disk.entries import read_file
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, read_manifest
from indexer.disk.sealed import break_seal, sealed
from indexer.errors import LakeError, LakeNotFound
from indexer.fields import Fields
from indexer.parts.agreement import Agreement, read_agreement
from indexer.parts.share import Share

# A part's folder, its files, and those on their way.
_OURS = re.compile(r"\d+-of-\d+((\.members)?\.(json|parquet)(\.new)?)?|[0-9A-Z]{26}\.new")


@dataclass(frozen=True, slots=True)
class PartFiles:
    """The files of one part."""

    lake: Layout  # that it is a part of
    share: Share

    @property
    def layout(self) -> Layout:
        """Of the part's own lake."""
        return Layout(self.lake.parts / self.share.name)

    @property
    def members(self) -> Path:
        return self.lake.parts / f"{self.share.name}.members.parquet"

    @property
    def done(self) -> Path:
        return self.lake.parts / f"{self.share.name}.json"

    def note_done(self, agreement: Agreement, facts: Mapping[str, int | float]) -> None:
        """That it has done its share."""
        note = {
            "part": str(self.share),
            "plan": agreement.digest,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            **facts,
        }
        replace_file(self.done, json.dumps(sealed(note), indent=1).encode())

    def plan_done(self) -> str | None:
        """The digest of the agreement whose share it has done; None: it has not."""
        try:
            fields = Fields.parse(read_file(self.done))
            break_seal(fields)
            return fields.text("plan")
        except (OSError, ValueError):
            return None

    def manifest(self) -> Manifest | None:
        """The last snapshot of what it embedded; None: nothing so far.

        :raises LakeDamaged: if it cannot be read.
        """
        if not self.layout.root.exists():
            return None
        with suppress(LakeNotFound):
            return read_manifest(self.layout)[0]
        return None


def check_ours(layout: Layout) -> None:
    """:raises LakeError: if the folder, which is there, holds what no part wrote: then it may be
    somebody's photos.
    """
    for path in sorted(layout.parts.iterdir()):
        if path != layout.parts_plan and not _OURS.fullmatch(path.name):
            raise LakeError(
                f"{layout.parts} has {path.name}, which no part of a run wrote; move it elsewhere, or choose another "
                "folder for the lake"
            )


@dataclass(frozen=True, slots=True)
class PartsState:
    """How far the parts of a lake are."""

    of: int
    done: int
    images: int  # embedded so far, in all of them
    missing: tuple[int, ...]  # numbers of those that are not done


def parts_of(layout: Layout, agreement: Agreement) -> list[PartFiles]:
    """All of them, whether they have begun or not."""
    return [PartFiles(layout, Share(number, agreement.of)) for number in range(1, agreement.of + 1)]


def parts_state(lake: Path) -> PartsState | None:
    """How far the parts of a lake are that are not committed yet; None: there are none.

    :raises LakeDamaged: if that cannot be told.
    """
    agreement = read_agreement(Layout(lake))
    if agreement is None:
        return None
    parts = parts_of(Layout(lake), agreement)
    missing = tuple(p.share.number for p in parts if p.plan_done() != agreement.digest)
    manifests = [part.manifest() for part in parts]
    images = sum(manifest.live_rows for manifest in manifests if manifest is not None)
    return PartsState(agreement.of, len(parts) - len(missing), images, missing)


def done_parts(lake: Path, of: int) -> int:
    """How many of them have done their share."""
    names = {PartFiles(Layout(lake), Share(number, of)).done.name for number in range(1, of + 1)}
    return len(names.intersection(path.name for path in Layout(lake).parts.glob("*.json")))
