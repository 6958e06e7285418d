"""Hands over what was decided: paths for a pipe, or a table with scores."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from indexer.errors import BadRequest, LakeError

FORMATS = ("txt", "csv", "parquet")


def write(table: pa.Table, form: str, out: Path | None, stdout: BinaryIO) -> None:
    """Write a ledger's rows.

    :param table: with the columns of `ledger`; form: txt (a plain path or URL a line), csv or parquet.
    :param out: a new file; None: stdout.
    :raises BadRequest: if the form is unknown, or parquet is wanted on stdout.
    :raises LakeError: if there is such a file already, or it cannot be written; then no half of it stays.
    """
    if form not in FORMATS:
        raise BadRequest("format", f"{form!r} is none of {', '.join(FORMATS)}")
    if out is None:
        if form == "parquet":
            raise BadRequest("out", "parquet needs a file; csv and txt can go to stdout")
        stdout.write(_encoded(table, form))
        stdout.flush()
        return
    try:
        file = out.open("xb")
    except FileExistsError:
        raise LakeError(f"{out} is there already; name a new file, or take that one away") from None
    except OSError as error:
        raise LakeError(f"{out} cannot be written ({error.strerror})") from None
    try:
        with file:
            file.write(_encoded(table, form))
    except BaseException as error:
        out.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise LakeError(f"{out} cannot be written ({error.strerror}); nothing of it was kept") from None
        raise


def _encoded(table: pa.Table, form: str) -> bytes:
    return {"txt": _txt, "csv": _csv, "parquet": _parquet}[form](table)


def _txt(table: pa.Table) -> bytes:
    paths = zip(table["path_bytes"].to_pylist(), table["uri"].to_pylist(), strict=True)
    return b"".join((path or os.fsencode(uri)) + b"\n" for path, uri in paths)


def _csv(table: pa.Table) -> bytes:
    text = io.StringIO()
    table = table.drop_columns(["path_bytes"])
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    rows: list[dict[str, Any]] = table.to_pylist()
    writer.writerows([["" if value is None else value for value in row.values()] for row in rows])
    return text.getvalue().encode()


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()
