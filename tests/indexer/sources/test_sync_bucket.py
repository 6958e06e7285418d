"""A bucket's life in a lake: indexed, changed,
moved, deleted and gone, against a real S3 server.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk, live_rows, png

Bucket = tuple[str, Any]


def ids(desk: Desk, prefix: str) -> dict[str, tuple[int, list[float]]]:
    return {
        uri.removeprefix(prefix): (row["row_id"], row["vector"])
        for uri, row in live_rows(desk.lake).items()
    }


def test_sync_follows_a_bucket(tmp_path: Path, bucket: Bucket) -> None:
    name, fs = bucket
    desk, prefix = Desk(tmp_path, ColourEmbedder()), f"s3://{name}/photos/"
    for key, data in (("a.png", png(RED)), ("b.png", png(GREEN)), ("sub/c.png", png(BLUE))):
        fs.pipe(f"{name}/photos/{key}", data)
    fs.pipe(f"{name}/photos/a.txt", b"a red square")
    fs.pipe(f"{name}/photos/broken.png", b"no image")

    report = desk.index(prefix)
    assert (report.new, report.skipped, report.problems) == (3, 1, [])
    assert ids(desk, prefix) == {
        "a.png": (1, [1, 0, 0]),
        "b.png": (2, [0, 1, 0]),
        "sub/c.png": (3, [0, 0, 1]),
    }
    row = live_rows(desk.lake)[f"{prefix}a.png"]
    assert (row["caption"], row["size_bytes"]) == ("a red square", len(png(RED)))
    assert row["etag"]

    desk.idle_sync()
    before = desk.manifest
    report = desk.idle_sync()
    assert (report.unchanged, report.skipped) == (3, 1)

    fs.pipe(f"{name}/photos/b.png", png(YELLOW))  # changed, in the same size
    fs.mv(f"{name}/photos/sub/c.png", f"{name}/photos/moved.png")
    fs.pipe(f"{name}/photos/broken.png", png((9, 9, 200)))
    report = desk.sync()
    assert (report.changed, report.moved, report.new, report.gone, report.skipped) == (
        1,
        1,
        1,
        0,
        0,
    )
    found = ids(desk, prefix)
    assert (found["a.png"], found["moved.png"]) == ((1, [1, 0, 0]), (3, [0, 0, 1]))
    assert found["b.png"] == (4, [0.707, 0.707, 0])
    assert found["broken.png"][0] == 5
    assert desk.manifest.snapshot > before.snapshot

    fs.rm(f"{name}/photos/a.png")
    report = desk.idle_sync()
    assert (report.gone, report.rows) == (1, 3)

    for key in ("b.png", "moved.png", "broken.png"):
        fs.rm(f"{name}/photos/{key}")
    report = desk.idle_sync()
    assert report.rows == 3
    assert len(report.problems) == 1
    assert report.problems[0].endswith(
        "its 3 rows were kept (if they should go, use --allow-empty)"
    )
    assert desk.idle_sync(allow_empty=True).rows == 0


def test_a_bucket_and_a_folder_share_a_lake(tmp_path: Path, bucket: Bucket) -> None:
    name, fs = bucket
    desk = Desk(tmp_path)
    desk.add("a.png", RED)
    fs.pipe(f"{name}/a.png", png(RED))
    desk.index(desk.photos, f"s3://{name}")
    (desk.photos / "a.png").unlink()
    desk.add("b.png", GREEN)
    fs.pipe(f"{name}/c.png", png(BLUE))
    report = desk.index(f"s3://{name}")
    assert (report.new, report.gone) == (1, 0)
    report = desk.sync()
    assert (report.new, report.gone, report.rows) == (1, 1, 3)
