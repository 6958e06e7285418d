"""The tables of a nuScenes set, joined in DuckDB: they are read in pieces and kept in a file of the
system's folder for temporary files, so that memory does not grow with the set.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import duckdb

from indexer.errors import SourceError
from indexer.sources.local import os_reason
from indexer.sources.names import uri_of

_MEMORY_LIMIT = "512MB"
_ROWS_AT_ONCE = 5_000
_TOKEN = {"token": "VARCHAR"}
_POSE = {"translation": "DOUBLE[]", "rotation": "DOUBLE[]"}
# Those that each set has, and what is read of them.
NEEDED: dict[str, dict[str, str]] = {
    "sensor": {**_TOKEN, "channel": "VARCHAR", "modality": "VARCHAR"},
    "calibrated_sensor": {
        **_TOKEN, **_POSE, "sensor_token": "VARCHAR", "camera_intrinsic": "DOUBLE[][]",
    },
    "ego_pose": {**_TOKEN, **_POSE},
    "log": {**_TOKEN, "logfile": "VARCHAR", "vehicle": "VARCHAR", "location": "VARCHAR"},
    "scene": {**_TOKEN, "name": "VARCHAR", "description": "VARCHAR", "log_token": "VARCHAR"},
    "sample": {**_TOKEN, "scene_token": "VARCHAR"},
    "sample_data": {
        **_TOKEN,
        **{f"{name}_token": "VARCHAR" for name in ("sample", "ego_pose", "calibrated_sensor")},
        "filename": "VARCHAR",
        "timestamp": "BIGINT",
        "is_key_frame": "BOOLEAN",
        "width": "BIGINT",
        "height": "BIGINT",
    },
}  # fmt: skip
# Those of the boxes, which sets without labels lack.
OF_BOXES: dict[str, dict[str, str]] = {
    "category": {**_TOKEN, "name": "VARCHAR"},
    "instance": {**_TOKEN, "category_token": "VARCHAR"},
    "sample_annotation": {
        **_TOKEN, **_POSE, "size": "DOUBLE[]", "sample_token": "VARCHAR", "instance_token": "VARCHAR",
    },
}  # fmt: skip
_CAMERAS = """
    CREATE TABLE camera AS SELECT c.*, s.channel
    FROM calibrated_sensor c JOIN sensor s ON s.token = c.sensor_token WHERE s.modality = 'camera'
"""
_IMAGES = """
    SELECT d.sample_token, d.token AS sample_data_token, d.filename, d.timestamp, d.is_key_frame,
        d.width, d.height, c.channel AS camera, c.translation AS camera_at,
        c.rotation AS camera_turned, c.camera_intrinsic, p.translation AS ego_at,
        p.rotation AS ego_turned, e.name AS scene, e.description AS scene_description,
        g.location, g.vehicle, g.logfile
    FROM sample_data d JOIN camera c ON c.token = d.calibrated_sensor_token
    LEFT JOIN ego_pose p ON p.token = d.ego_pose_token
    LEFT JOIN sample s ON s.token = d.sample_token
    LEFT JOIN scene e ON e.token = s.scene_token
    LEFT JOIN log g ON g.token = e.log_token
    ORDER BY d.sample_token, d.filename
"""
_BOXES = """
    SELECT a.sample_token, c.name, a.translation, a.size, a.rotation
    FROM sample_annotation a LEFT JOIN instance i ON i.token = a.instance_token
    LEFT JOIN category c ON c.token = i.category_token
    ORDER BY a.sample_token, a.token
"""
_NAMELESS = """
    SELECT count(*) FROM sample_annotation a
    ANTI JOIN (SELECT i.token FROM instance i JOIN category c ON c.token = i.category_token) known
    ON known.token = a.instance_token
"""
_NO_SENSOR = """
    SELECT count(*) FROM sample_data d
    ANTI JOIN (SELECT c.token FROM calibrated_sensor c JOIN sensor s ON s.token = c.sensor_token) k
    ON k.token = d.calibrated_sensor_token
"""


class Tables:
    """The tables of one set, read and joined. `has_boxes`: somebody looked for things."""

    def __init__(self, folder: bytes, database: duckdb.DuckDBPyConnection) -> None:
        self._folder, self._db = folder, database
        for name, columns in NEEDED.items():
            self._read(name, columns)
        here = [name for name in OF_BOXES if os.path.exists(_path(folder, name))]  # noqa: PTH110
        for name in here:
            self._read(name, OF_BOXES[name])
        self._db.execute(_CAMERAS)
        self.has_boxes = (
            len(here) == len(OF_BOXES) and self._count("SELECT count(*) FROM instance") > 0
        )

    @classmethod
    @contextmanager
    def opened(cls, folder: bytes) -> Iterator[Self]:
        """
        :param folder: of the JSON files.
        :raises SourceError: if a table is not there, is damaged, or names a thing twice, or there
            is no room for them; also while they are read.
        """
        with tempfile.TemporaryDirectory(prefix="lakesift-nuscenes-") as name, _told(folder, name):
            database = duckdb.connect(str(Path(name) / "tables.duckdb"))
            try:
                # JSON is read by what comes with DuckDB: it fetches nothing
                database.execute("SET autoinstall_known_extensions = false")
                database.execute(f"SET memory_limit = '{_MEMORY_LIMIT}'")
                database.execute("SET temp_directory = $1", [str(Path(name) / "spill")])
                yield cls(folder, database)
            finally:
                database.close()

    def images(self) -> Iterator[dict[str, Any]]:
        """A row for each picture of a camera, by sample."""
        return self._each(_IMAGES)

    def boxes(self) -> Iterator[dict[str, Any]]:
        """A row for each box, by sample; its name is None where its category is not known."""
        return self._each(_BOXES) if self.has_boxes else iter(())

    def faults(self) -> Iterator[str]:
        """What of the tables leads nowhere, a sentence each."""
        if missing := self._count(_NO_SENSOR):
            yield f"{missing:,} of its sample_data name no sensor that is there, and are passed over"
        if self.has_boxes and (nameless := self._count(_NAMELESS)):
            yield (
                f"{nameless:,} of its annotations have no category, so what is on the pictures of their "
                "samples is not known"
            )

    def _read(self, name: str, columns: dict[str, str]) -> None:
        path = _path(self._folder, name)
        uri = uri_of(path)[0]
        _check_end(path, uri)
        wanted = ", ".join(f"{column}: '{kind}'" for column, kind in columns.items())
        try:
            self._db.execute(
                f"CREATE TABLE {name} AS SELECT * FROM "
                f"read_json($1, format = 'array', columns = {{{wanted}}})",
                [os.fsdecode(path)],
            )
        except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
            reason = " ".join(str(error).replace(f' in file "{os.fsdecode(path)}"', "").split())
            reason = reason.removeprefix("Invalid Input Error: ").partition(" Try setting")[0]
            raise SourceError(
                uri, f"it is damaged, or no table of nuScenes ({reason[:200]})"
            ) from error
        if self._count(f"SELECT count(*) FROM {name} WHERE token IS NULL"):
            raise SourceError(uri, "a row of it has no token")
        for key in ("token", "filename") if name == "sample_data" else ("token",):
            twice = f"SELECT {key} FROM {name} GROUP BY {key} HAVING count(*) > 1 LIMIT 1"
            for [value] in self._db.execute(twice).fetchall():
                raise SourceError(uri, f"two of its rows have the {key} {value}")

    def _count(self, query: str) -> int:
        [[number]] = self._db.execute(query).fetchall()
        return int(number)

    def _each(self, query: str) -> Iterator[dict[str, Any]]:
        found = self._db.cursor().execute(query)
        names = [column[0] for column in found.description or ()]
        while rows := found.fetchmany(_ROWS_AT_ONCE):
            for row in rows:
                yield dict(zip(names, row, strict=True))


def are_tables(folder: bytes) -> bool:
    """Whether the tables that each set has lie in a folder."""
    return all(os.path.isfile(_path(folder, name)) for name in NEEDED)  # noqa: PTH113


def _path(folder: bytes, name: str) -> bytes:
    return os.path.join(folder, f"{name}.json".encode())  # noqa: PTH118 - pathlib knows no bytes


def _check_end(path: bytes, uri: str) -> None:
    """DuckDB takes a table that was cut behind a comma for a whole one.

    :raises SourceError: if the table does not end as one does.
    """
    try:
        with open(path, "rb") as opened:  # noqa: PTH123
            opened.seek(max(0, os.fstat(opened.fileno()).st_size - 64))
            end = opened.read().rstrip()
    except OSError as error:
        raise SourceError(uri, f"it cannot be read: {os_reason(error)}") from error
    if not end.endswith(b"]"):
        raise SourceError(uri, "it is cut short: it does not end with ]")


@contextmanager
def _told(folder: bytes, temporary: str) -> Iterator[None]:
    try:
        yield
    except (
        duckdb.IOException,
        duckdb.TransactionException,
        duckdb.OutOfMemoryException,
        duckdb.FatalException,
    ) as error:
        reason = str(error).strip().splitlines()[0].partition("Error: ")[2] or str(error)
        raise SourceError(
            uri_of(folder)[0],
            f"its tables cannot be joined in {temporary} ({reason}); give more room by TMPDIR",
        ) from error
