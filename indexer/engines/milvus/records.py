"""What Milvus has of all lakes beside their rows, in two collections of our own.

lakesift_lakes: a record of each lake's state, one of each segment that is all there, some of rows
that are being removed, and one of whoever pushes. lakesift_recall: what searches found of the
nearest rows. Milvus has no transactions: what belongs together is one record, written whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from indexer.arrays import Positions
from indexer.engines.columns import EngineColumn
from indexer.engines.engine import LakeMark, Recalled, State
from indexer.engines.milvus.connection import STRONG, Connection
from indexer.engines.names import table_of
from indexer.errors import EngineError

FORMAT = 1
LAKES, RECALL = "lakesift_lakes", "lakesift_recall"
_GOING_AT_ONCE = 3_000  # row_ids in a record; one holds 65,535 bytes
_RECORDS_AT_ONCE = 500
_FIELDS = frozenset({"key", "lake", "kind", "name", "said"})


@dataclass(frozen=True, slots=True)
class Records:
    """Those of one lake."""

    connection: Connection
    lake: str

    @property
    def table(self) -> str:
        return table_of(self.lake)

    def state(self, *, is_whole: bool = True) -> State | None:
        """:param is_whole: False: the collection of its rows is not there, or not in memory.
        :raises EngineError: if it was written by a later version.
        """
        said = self._read("state", "state")
        if said is None:
            return None
        if said.get("format") != FORMAT:
            raise EngineError(
                self.connection.url,
                f"what it has of {self.lake} is of format {said.get('format')}, and this lakesift knows {FORMAT}: "
                "update lakesift",
            )
        try:
            return State(
                LakeMark(self.lake, str(said["fingerprint"]), int(said["dim"])),
                self.table,
                tuple(EngineColumn.from_json(each) for each in said["columns"]),
                int(said["version"]),
                int(said["changes"]),
                bool(said["is_complete"]) and is_whole,
                said["snapshot"],
                said["pushed_at"],
            )
        except (ValueError, KeyError, TypeError):
            raise EngineError(
                self.connection.url,
                f"its collection {LAKES} says of {self.lake} what cannot be read; drop the lake there and push it "
                "again",
            ) from None

    def write_state(self, state: State) -> State:
        self._write(
            "state",
            "state",
            {
                "lake": self.lake.encode("utf-8", "backslashreplace").decode(),
                "format": FORMAT,
                "fingerprint": state.mark.fingerprint,
                "dim": state.mark.dim,
                "columns": [column.to_json() for column in state.columns],
                "version": state.version,
                "changes": state.changes,
                "is_complete": state.is_complete,
                "snapshot": state.snapshot,
                "pushed_at": state.pushed_at,
            },
        )
        return state

    def changed(self, state: State, *, is_breaking: bool = False, **news: Any) -> State:
        """Write it with what is new, so that services see that something is."""
        version, changes = state.version + is_breaking, state.changes + 1
        return self.write_state(replace(state, version=version, changes=changes, **news))

    def segments(self) -> frozenset[str]:
        return frozenset(name for name, _ in self._every("segment"))

    def add_segment(self, segment: str) -> None:
        self._write("segment", segment, {})

    def remove_segments(self, segments: Iterable[str]) -> None:
        self._remove("segment", segments)

    def begun(self) -> frozenset[str]:
        """Segments that were being put over rows which were there, and may be still."""
        return frozenset(name for name, _ in self._every("begun"))

    def add_begun(self, segment: str) -> None:
        self._write("begun", segment, {})

    def remove_begun(self) -> None:
        self._remove("begun", self.begun())

    def going(self) -> Positions:
        """int64, (n,): of rows that are being removed, which may be there still."""
        found = [np.empty(0, np.int64)]
        found += [np.array(said["row_ids"], np.int64) for _, said in self._every("going")]
        return np.concatenate(found)

    def add_going(self, row_ids: Positions) -> None:
        for number, at in enumerate(range(0, len(row_ids), _GOING_AT_ONCE)):
            some = row_ids[at : at + _GOING_AT_ONCE].tolist()
            self._write("going", str(number), {"row_ids": some})

    def remove_going(self) -> None:
        self._remove("going", [name for name, _ in self._every("going")])

    def claims(self) -> dict[str, Any]:
        """What each of those says who push now, or did when they were killed."""
        return dict(self._every("claim"))

    def claim(self, name: str) -> Any:
        """None: it has none of this name."""
        return self._read("claim", name)

    def write_claim(self, name: str, said: Any) -> None:
        self._write("claim", name, said)

    def remove_claims(self, names: Iterable[str]) -> None:
        self._remove("claim", names)

    def remove_all(self) -> None:
        """The state at the very end: until then the lake is known to be there."""
        for kind in ("segment", "begun", "going"):
            self._remove(kind, [name for name, _ in self._every(kind)])
        self._remove("state", ["state"])

    def recalled(self) -> list[Recalled]:
        if not has(self.connection, RECALL):
            return []
        found = [said for _, said in self._every("recall", RECALL)]
        return sorted(
            (Recalled(**said) for said in found), key=lambda each: (each.made_of, each.nearest)
        )

    def add_recalled(self, measured: Sequence[Recalled]) -> None:
        """Of two services that do so at the same instant one may not count."""
        make(self.connection, RECALL)
        known = {(each.made_of, each.nearest): each for each in self.recalled()}
        for new in measured:
            before = known.get((new.made_of, new.nearest), Recalled(new.made_of, new.nearest))
            said = {
                "made_of": new.made_of,
                "nearest": new.nearest,
                "found": before.found + new.found,
                "wanted": before.wanted + new.wanted,
                "queries": before.queries + new.queries,
            }
            self._write("recall", f"{new.made_of} {new.nearest}", said, RECALL)

    def remove_recalled(self) -> None:
        if has(self.connection, RECALL):
            names = [name for name, _ in self._every("recall", RECALL)]
            self._remove("recall", names, RECALL)

    def _key(self, kind: str, name: str) -> str:
        return f"{self.table}/{kind}/{name}"

    def _read(self, kind: str, name: str) -> Any:
        found = self.connection.read(
            "query", LAKES, filter=f'key == "{self._key(kind, name)}"', output_fields=["said"]
        )
        return json.loads(found[0]["said"]) if found else None

    def _every(self, kind: str, collection: str = LAKES) -> Iterator[tuple[str, Any]]:
        where = f'lake == "{self.table}" and kind == "{kind}"'
        fields = ["name", "said"]
        for rows in self.connection.every(collection, where, fields, _RECORDS_AT_ONCE):
            yield from ((row["name"], json.loads(row["said"])) for row in rows)

    def _write(self, kind: str, name: str, said: Any, collection: str = LAKES) -> None:
        row = {
            "key": self._key(kind, name),
            "lake": self.table,
            "kind": kind,
            "name": name,
            "said": json.dumps(said),
            "nothing": [0.0, 0.0],
        }
        self.connection.call("upsert", collection, [row])

    def _remove(self, kind: str, names: Iterable[str], collection: str = LAKES) -> None:
        keys = [self._key(kind, name) for name in names]
        for at in range(0, len(keys), _RECORDS_AT_ONCE):
            some = keys[at : at + _RECORDS_AT_ONCE]
            self.connection.call("delete", collection, ids=some)


def has(connection: Connection, collection: str) -> bool:
    return bool(connection.call("has_collection", collection))


def make(connection: Connection, collection: str) -> None:
    """Where it is not there yet: a collection of records.

    :raises EngineError: if one of this name is somebody else's.
    """
    if has(connection, collection):
        found = connection.call("describe_collection", collection)
        if not {str(field["name"]) for field in found["fields"]} >= _FIELDS:
            raise EngineError(
                connection.url,
                f"it has a collection {collection} that is none of lakesift's; name another database",
            )
        return
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=512)
    schema.add_field("lake", DataType.VARCHAR, max_length=64)
    schema.add_field("kind", DataType.VARCHAR, max_length=16)
    schema.add_field("name", DataType.VARCHAR, max_length=256)
    schema.add_field("said", DataType.VARCHAR, max_length=65_535)
    # A collection without a vector there may not be.
    schema.add_field("nothing", DataType.FLOAT_VECTOR, dim=2)
    index = MilvusClient.prepare_index_params()
    index.add_index("nothing", index_type="FLAT", metric_type="L2")
    try:
        connection.call(
            "create_collection",
            collection,
            schema=schema,
            index_params=index,
            consistency_level=STRONG,
            timeout=None,
        )
    except EngineError:
        if not has(connection, collection):  # somebody else may have made it meanwhile
            raise
    connection.call("load_collection", collection, timeout=None)
