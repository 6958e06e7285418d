"""Tables of images as `pylance`, `deltalake` and `pyiceberg` write them themselves."""

from __future__ import annotations

import json
import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa

from tests.lakes import BLUE, GREEN, RED, YELLOW, png

COLOURS = [RED, GREEN, BLUE, YELLOW]
VECTORS = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.707, 0.707, 0]]
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def image(number: int) -> bytes:
    """A picture of its own for each number."""
    return png(COLOURS[number % 4], (4 + number, 4))


def rows(numbers: Iterable[int], **more: Any) -> pa.Table:
    """A row for each number: its image, the number, and whether it is even."""
    numbers = list(numbers)
    columns = {
        "image": pa.array([image(n) for n in numbers], pa.binary()),
        "n": pa.array(numbers, pa.int64()),
        "side": ["even" if n % 2 == 0 else "odd" for n in numbers],
        "uri": [f"https://x.example/{n}" for n in numbers],
    }
    return pa.table({**columns, **more})


class Made(ABC):
    """A table that a test makes and changes. Each `append` writes a data file of its own."""

    kind: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def append(self, table: pa.Table) -> None: ...

    @abstractmethod
    def delete(self, where: str) -> None: ...

    @abstractmethod
    def compact(self) -> None:
        """All data files become one."""

    @abstractmethod
    def restore(self, steps: int) -> None:
        """The version so many steps before the current one is the current one again."""

    @abstractmethod
    def vacuum(self) -> None:
        """What no current version needs leaves the disk."""

    @abstractmethod
    def add_column(self) -> None:
        """A column `later`, null in all rows."""

    def break_log(self) -> None:
        log = {"lance": "_versions", "delta": "_delta_log", "iceberg": "metadata"}[self.kind]
        for path in (self.folder / log).iterdir():
            path.write_bytes(b"\0 no log of a table")


class LanceTable(Made):
    kind = "lance"

    @property
    def dataset(self) -> Any:
        import lance

        return lance.dataset(str(self.folder))

    def append(self, table: pa.Table) -> None:
        import lance

        mode = "append" if self.folder.exists() else "create"
        lance.write_dataset(table, str(self.folder), mode=mode)

    def delete(self, where: str) -> None:
        self.dataset.delete(where)

    def compact(self) -> None:
        self.dataset.optimize.compact_files()

    def restore(self, steps: int) -> None:
        dataset = self.dataset
        dataset = dataset.checkout_version(dataset.version - steps)
        dataset.restore()

    def vacuum(self) -> None:
        from datetime import timedelta

        self.dataset.cleanup_old_versions(timedelta(0), delete_unverified=True)

    def add_column(self) -> None:
        self.dataset.add_columns(pa.field("later", pa.int64()))


class DeltaTable(Made):
    kind = "delta"

    @property
    def table(self) -> Any:
        from deltalake import DeltaTable as Opened

        return Opened(str(self.folder))

    def append(self, table: pa.Table, partition_by: str | None = None) -> None:
        from deltalake import write_deltalake

        write_deltalake(str(self.folder), table, mode="append", partition_by=partition_by)

    def delete(self, where: str) -> None:
        self.table.delete(where)

    def compact(self) -> None:
        self.table.optimize.compact()

    def restore(self, steps: int) -> None:
        table = self.table
        table.restore(table.version() - steps)

    def vacuum(self) -> None:
        self.table.vacuum(0, dry_run=False, enforce_retention_duration=False)

    def add_column(self) -> None:
        from deltalake import Field
        from deltalake.schema import PrimitiveType

        self.table.alter.add_columns([Field("later", PrimitiveType("long"))])

    def commit(self, *actions: Mapping[str, Any]) -> None:
        """One more entry of the log, as another writer makes it."""
        log = self.folder / "_delta_log"
        number = len(list(log.glob("*.json")))
        text = "".join(f"{json.dumps(action)}\n" for action in actions)
        (log / f"{number:020}.json").write_text(text)

    def actions(self, name: str) -> list[dict[str, Any]]:
        """All of one name, oldest first."""
        files = sorted((self.folder / "_delta_log").glob("*.json"))
        entries = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return [entry[name] for entry in entries if name in entry]

    def delete_by_vector(self, add: Mapping[str, Any], positions: Iterable[int]) -> None:
        """As Spark deletes where deletion vectors are on: the data file stays as it is.

        Source: https://github.com/delta-io/delta/blob/master/PROTOCOL.md#deletion-vector-format
        """
        from pyroaring import BitMap64

        bitmap = BitMap64(positions)
        data = struct.pack("<I", 1_681_511_377) + bitmap.serialize()
        vector = {
            "storageType": "i",
            "pathOrInlineDv": _z85(data),
            "sizeInBytes": len(data),
            "cardinality": len(bitmap),
        }
        kept = {name: add[name] for name in ("path", "partitionValues", "size")}
        if before := add.get("deletionVector"):
            kept["deletionVector"] = before
        removed = {"deletionTimestamp": 1, "dataChange": True, "extendedFileMetadata": True}
        self.commit({"remove": {**kept, **removed}}, {"add": {**add, "deletionVector": vector}})


class IcebergTable(Made):
    kind = "iceberg"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._catalog: Any = None

    @property
    def table(self) -> Any:
        from pyiceberg.catalog.memory import InMemoryCatalog

        if self._catalog is None:
            self._catalog = InMemoryCatalog("test", warehouse=str(self.folder.parent))
            self._catalog.create_namespace("ns")
        return self._catalog.load_table("ns.t")

    def append(self, table: pa.Table) -> None:
        if self._catalog is None:
            from pyiceberg.catalog.memory import InMemoryCatalog

            self._catalog = InMemoryCatalog("test", warehouse=str(self.folder.parent))
            self._catalog.create_namespace("ns")
            self._catalog.create_table("ns.t", table.schema, location=str(self.folder))
        self.table.append(table)

    def delete(self, where: str) -> None:
        self.table.delete(where)

    def compact(self) -> None:
        table = self.table
        table.overwrite(table.scan().to_arrow())

    def restore(self, steps: int) -> None:
        table = self.table
        snapshot = table.metadata.snapshot_log[-1 - steps].snapshot_id
        table.manage_snapshots().set_current_snapshot(snapshot_id=snapshot).commit()

    def vacuum(self) -> None:
        table = self.table
        current = {task.file.file_path for task in table.scan().plan_files()}
        for path in (self.folder / "data").rglob("*.parquet"):
            if not any(each.endswith(path.name) for each in current):
                path.unlink()

    def add_column(self) -> None:
        from pyiceberg.types import LongType

        with self.table.update_schema() as update:
            update.add_column("later", LongType())

    @property
    def data_files(self) -> list[str]:
        """As the table names them, by name."""
        return sorted(task.file.file_path for task in self.table.scan().plan_files())

    def add_deletes(self, content: str, deletes: Path, count: int) -> None:
        """One more snapshot with a file of deletes, as Spark and Flink commit it, which pyiceberg
        itself does not.

        :param content: of `pyiceberg.manifest.DataFileContent`.
        :param count: of the rows that are deleted.
        """
        from pyiceberg.io.pyarrow import PyArrowFileIO
        from pyiceberg.manifest import (
            DataFile,
            DataFileContent,
            FileFormat,
            ManifestContent,
            ManifestEntry,
            ManifestEntryStatus,
            ManifestWriterV2,
            write_manifest_list,
        )
        from pyiceberg.typedef import Record

        class Deletes(ManifestWriterV2):
            def content(self) -> ManifestContent:
                return ManifestContent.DELETES

            @property
            def _meta(self) -> dict[str, str]:
                return {**super()._meta, "content": "deletes"}

        table, io, folder = self.table, PyArrowFileIO(), self.folder / "metadata"
        newest = max(folder.glob("*.metadata.json"))
        metadata = json.loads(newest.read_text())
        [*_, before] = [
            each
            for each in metadata["snapshots"]
            if each["snapshot-id"] == metadata["current-snapshot-id"]
        ]
        number, own_id = metadata["last-sequence-number"] + 1, before["snapshot-id"] + 1
        file = DataFile.from_args(
            content=DataFileContent[content],
            file_path=str(deletes),
            file_format=FileFormat[{"parquet": "PARQUET", "puffin": "PUFFIN"}[deletes.suffix[1:]]],
            partition=Record(),
            record_count=count,
            file_size_in_bytes=deletes.stat().st_size,
            equality_ids=[2] if content == "EQUALITY_DELETES" else None,
        )
        output = io.new_output(str(folder / f"{own_id}-m0.avro"))
        with Deletes(table.spec(), table.schema(), output, own_id, "deflate") as writer:
            entry = ManifestEntry.from_args(
                status=ManifestEntryStatus.ADDED, snapshot_id=own_id, data_file=file
            )
            writer.add_entry(entry)
        manifests = [*_snapshot(table, before["snapshot-id"], self, io), writer.to_manifest_file()]
        listed = io.new_output(str(folder / f"snap-{own_id}.avro"))
        with write_manifest_list(
            2, listed, own_id, before["snapshot-id"], number, "deflate"
        ) as lists:
            lists.add_manifests(manifests)
        own = {
            **before,
            "snapshot-id": own_id,
            "parent-snapshot-id": before["snapshot-id"],
            "sequence-number": number,
            "manifest-list": listed.location,
            "summary": {"operation": "delete"},
        }
        metadata["snapshots"].append(own)
        metadata["refs"]["main"]["snapshot-id"] = metadata["current-snapshot-id"] = own_id
        metadata["last-sequence-number"] = number
        next_number = int(newest.name.partition("-")[0]) + 1
        (folder / f"{next_number:05}-{uuid4()}.metadata.json").write_text(json.dumps(metadata))


def puffin(vectors: Mapping[str, Iterable[int]]) -> bytes:
    """A file of deletion vectors, by data file.

    Source: https://iceberg.apache.org/puffin-spec/
    """
    from pyroaring import BitMap64

    data, blobs = b"PFA1", []
    for path, positions in vectors.items():
        vector = b"\xd1\xd3\x39\x64" + BitMap64(positions).serialize()
        blob = struct.pack(">I", len(vector)) + vector + struct.pack(">I", zlib.crc32(vector))
        blobs.append(
            {
                "type": "deletion-vector-v1",
                "fields": [],
                "snapshot-id": -1,
                "sequence-number": -1,
                "offset": len(data),
                "length": len(blob),
                "properties": {"referenced-data-file": path, "cardinality": "1"},
            }
        )
        data += blob
    footer = json.dumps({"blobs": blobs}).encode()
    return data + b"PFA1" + footer + struct.pack("<II", len(footer), 0) + b"PFA1"


def _snapshot(table: Any, number: int, made: IcebergTable, io: Any) -> list[Any]:
    from pyiceberg.table.snapshots import Snapshot

    newest = max((made.folder / "metadata").glob("*.metadata.json"))
    for each in json.loads(newest.read_text())["snapshots"]:
        if each["snapshot-id"] == number:
            return list(Snapshot.model_validate(each).manifests(io))
    raise AssertionError(f"there is no snapshot {number}")


KINDS: dict[str, type[Made]] = {kind.kind: kind for kind in (LanceTable, DeltaTable, IcebergTable)}
_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def _z85(data: bytes) -> str:
    """Source: https://rfc.zeromq.org/spec/32/"""
    text = ""
    data += b"\0" * (-len(data) % 4)
    for place in range(0, len(data), 4):
        number, word = int.from_bytes(data[place : place + 4], "big"), ""
        for _ in range(5):
            number, digit = divmod(number, 85)
            word = _Z85[digit] + word
        text += word
    return text
