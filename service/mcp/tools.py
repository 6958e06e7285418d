"""What a program may ask of lakes: one method a tool. Knows no protocol.

Answers are short: they are read by a language model, which pays for each word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from indexer.errors import BadRequest, LakeError, UnknownRow
from service.api.serving.hub import Hub, ServedLake
from service.api.serving.open_filters import OpenFilters
from service.pictures.originals import IndexedImage
from service.pictures.thumbnails import Thumbnails
from service.search.browse import row as row_of
from service.search.hits import NOT_AMONG_COLUMNS, Hit, place_of, row_json
from service.search.query import Query
from service.search.search import search_page
from service.search.understood import understand

MAX_HITS = 50
MAX_PICTURES = 8
PICTURE_PX = 512
# Of a row, what tells a reader nothing of the picture.
LEFT_OUT = NOT_AMONG_COLUMNS | {
    "source", "etag", "modified", "size_bytes", "sha256", "member", "offset", "length", "row_group",
    "row_index", "format",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tools:
    """Answers that JSON can say, from the lakes' current snapshots. Safe for several threads."""

    hub: Hub
    filters: OpenFilters
    thumbnails: Thumbnails

    def lakes(self) -> dict[str, Any]:
        """Each lake's name, size, columns that `where` takes, and the names of its filters."""
        return {"lakes": [self._lake(served) for served in self.hub.lakes]}

    def _lake(self, served: ServedLake) -> dict[str, Any]:
        snapshot = served.lake.snapshot
        listing = self.filters.of(served.name).listing().to_json()
        return {
            "lake": served.name,
            "images": snapshot.live_rows,
            "columns": {field.name: str(field.type) for field in snapshot.schema},
            "filters": [each["name"] for each in listing["filters"]],
            "problems": list(served.problems),
        }

    def search(
        self,
        query: str | None,
        like: Sequence[int],
        lake: str | None,
        where: str | None,
        filter: str | None,
        decision: str | None,
        k: int,
        diversity: float = 0.0,
        explain: bool = False,
    ) -> dict[str, Any]:
        """Hits, best first, and what `remarks` says of them.

        :param query: as a person types it: `a ward -baby`.
        :param like: rows that the hits should be like.
        :param diversity: as a query has it; so has explain.
        :raises LakeError: naming what is wrong.
        """
        if not 1 <= k <= MAX_HITS:
            raise BadRequest("k", f"{k} is not in 1..{MAX_HITS}")
        served = self.hub.lake(lake)
        said = {
            "where": where,
            "filter": filter,
            "decision": [decision] if decision else None,
            "k": k,
            "diversity": diversity,
            "explain": explain,
        }
        document = {"query": query, "images": [{"row_id": row_id} for row_id in like]}
        asked = understand(
            served.lake.snapshot,
            Query.from_json({name: each for name, each in (document | said).items() if each}),
            served.embedder,
            served.lake.rows_decided,
        )
        page = search_page(asked)
        answer: dict[str, Any] = {
            "lake": served.name,
            "hits": [
                {
                    "row_id": hit.row_id,
                    "score": round(hit.score, 4),
                    "z": None if hit.z is None else round(hit.z, 2),
                    **_said(hit.columns),
                    **_explained(hit),
                }
                for hit in page.hits
            ],
            "more": page.next_offset is not None,
        }
        return answer if page.remarks is None else answer | page.remarks.to_json()

    def count(
        self, lake: str | None, where: str | None, filter: str | None, decision: str | None
    ) -> dict[str, Any]:
        """How many images pass.

        :raises LakeError: naming what is wrong.
        """
        served = self.hub.lake(lake)
        passing = served.lake.browse(
            where or None, filter=filter or None, decision=decision or None
        )
        return {"lake": served.name, "images": len(passing), "of": served.lake.rows}

    def pictures(
        self, row_ids: Sequence[int], lake: str | None
    ) -> list[tuple[dict[str, Any], bytes | str]]:
        """What is known of each row, and a JPEG of at most 512 px, or why there is none.

        :raises LakeError: if there are too many, or one is no row.
        """
        if not 1 <= len(row_ids) <= MAX_PICTURES:
            raise BadRequest("row_ids", f"{len(row_ids)} rows; name 1 to {MAX_PICTURES}")
        served = self.hub.lake(lake)
        snapshot = served.lake.snapshot
        found: list[tuple[dict[str, Any], bytes | str]] = []
        for row_id in row_ids:
            row = row_of(snapshot, row_id)
            if row is None:
                raise UnknownRow(served.name, row_id)
            picture: bytes | str
            try:
                picture = self.thumbnails.of(
                    IndexedImage.of(row.columns, snapshot.reach), PICTURE_PX
                )
            except LakeError as error:
                picture = str(error)
            found.append(({"row_id": row_id, **_said(row.columns)}, picture))
        return found

    def filter_status(self, name: str | None, lake: str | None) -> dict[str, Any]:
        """All filters, or one: what it looks for, its answers, what it promised and decided.

        :raises LakeError: naming what is wrong.
        """
        served = self.hub.lake(lake)
        if not name:
            return {"lake": served.name, **self.filters.of(served.name).listing().to_json()}
        found = self.filters.get(served.name, name)
        applied = found.decisions.in_force()
        return {
            "lake": served.name,
            **found.versions.at(None).to_document(),
            "progress": found.progress().to_json(),
            "applied": None if applied is None else applied.to_json(),
        }


def _explained(hit: Hit) -> dict[str, Any]:
    if hit.explained is None:
        return {}
    shares = [
        {"value": each.value, "weight": each.weight, "share": round(each.share, 4)}
        for each in hit.explained
    ]
    return {"explain": shares}


def _said(columns: dict[str, Any]) -> dict[str, Any]:
    shown = row_json(columns)
    return {
        "place": place_of(columns),
        "width_px": shown["width_px"],
        "height_px": shown["height_px"],
        "columns": {
            name: value for name, value in shown["columns"].items() if name not in LEFT_OUT
        },
    }
