"""Labelled sets in a bucket, through a lake's life."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from indexer.disk.manifest import SourceEntry
from indexer.errors import SourceError
from indexer.sources.bytes_of import BytesOf
from tests.fakes import ColourEmbedder
from tests.lakes import GREEN, RED, Desk, live_rows, live_rows_by_address, png

Bucket = tuple[str, Any]
CORNERS = "<xmin>2</xmin><ymin>3</ymin><xmax>11</xmax><ymax>12</ymax>"


def coco(label: str) -> bytes:
    names = ["images/a.png", "images/b.png"]
    document = {
        "images": [{"id": n, "file_name": name, "width": 40} for n, name in enumerate(names)],
        "categories": [{"id": 1, "name": label}],
        "annotations": [{"image_id": 0, "category_id": 1, "bbox": [1, 2, 10, 10]}],
    }
    return json.dumps(document).encode()


def tasks(label: str) -> bytes:
    value = {"x": 2.5, "y": 6.66667, "width": 25, "height": 33.3333, "rectanglelabels": [label]}
    mark = {"type": "rectanglelabels", "original_width": 40, "original_height": 30, "value": value}
    images = ["s3://{bucket}/set/images/a.png", "/data/local-files/?d=set/images/b.png"]
    results = [[mark], []]
    return json.dumps(
        [
            {"data": {"image": image}, "annotations": [{"result": result}]}
            for image, result in zip(images, results, strict=True)
        ]
    ).encode()


def cvat(label: str) -> bytes:
    corners = 'xtl="1" ytl="2" xbr="11" ybr="12"'
    return (
        f'<annotations><image name="a.png" width="40" height="30"><box label="{label}" {corners}/>'
        '</image><image name="b.png" width="40" height="30"/></annotations>'
    ).encode()


def voc(label: str) -> bytes:
    inner = f"<object><name>{label}</name><bndbox>{CORNERS}</bndbox></object>"
    return f"<annotation>{inner}</annotation>".encode()


YAML = b"path: /home/ann/set\nval: images\nnames: [dog, cat]\n"
LINE = "{number} 0.15 0.233333 0.25 0.333333"
# name -> source, layout, files that say "dog", the one that says "cat" instead; whether an image
# without a word of it was looked at
SETS: dict[str, tuple[str, str | None, dict[str, bytes], tuple[str, bytes], bool]] = {
    "coco": ("set/coco.json", None, {"coco.json": coco("dog")}, ("coco.json", coco("cat")), True),
    "coco folder": (
        "set/",
        "coco",
        {"annotations/x.json": coco("dog").replace(b"images/", b"")},
        ("annotations/x.json", coco("cat").replace(b"images/", b"")),
        True,
    ),
    "tasks": ("set/ls.json", None, {"ls.json": tasks("dog")}, ("ls.json", tasks("cat")), True),
    "cvat": ("set/x.xml", None, {"x.xml": cvat("dog")}, ("x.xml", cvat("cat")), True),
    "yolo": (
        "set/data.yaml",
        None,
        {"data.yaml": YAML, "labels/a.txt": LINE.format(number=0).encode()},
        ("labels/a.txt", LINE.format(number=1).encode()),
        True,
    ),
    "voc": (
        "set",
        "voc",
        {"Annotations/a.xml": voc("dog")},
        ("Annotations/a.xml", voc("cat")),
        False,
    ),
}


@pytest.mark.parametrize("kind", SETS)
def test_a_set_in_a_bucket_is_read_and_followed(tmp_path: Path, bucket: Bucket, kind: str) -> None:
    name, fs = bucket
    source, layout, files, (changed, data), is_looked_at = SETS[kind]
    for key, content in {
        **files,
        "images/a.png": png(RED, (40, 30)),
        "images/b.png": png(GREEN, (40, 30)),
    }.items():
        fs.pipe(f"{name}/set/{key}", content.replace(b"{bucket}", name.encode()))
    desk = Desk(tmp_path, ColourEmbedder())
    prefix = f"s3://{name}/set/images/"
    report = desk.sync(add=[SourceEntry(f"s3://{name}/{source}", None, layout, crops=True)])
    assert (report.new, report.skipped, report.problems, report.notes) == (3, 0, [], [])

    def said() -> dict[str, Any]:
        rows = live_rows(desk.lake).items()
        return {u.removeprefix(prefix): (r.get("labels"), r.get("box_count")) for u, r in rows}

    of_b: tuple[Any, Any] = ([], 0) if is_looked_at else (None, None)
    crop = "a.png#xywh=1,2,10,10"
    assert said() == {"a.png": (["dog"], 1), crop: (["dog"], None), "b.png": of_b}
    ids = {uri: row["row_id"] for uri, row in live_rows(desk.lake).items()}
    [address] = [a for a in live_rows_by_address(desk.lake) if a.region]
    assert BytesOf().read(address, 10_000).startswith(b"\x89PNG")
    desk.idle_sync()
    assert desk.idle_sync().unchanged == 3

    # labels alone changed: no image is embedded
    fs.pipe(f"{name}/set/{changed}", data.replace(b"{bucket}", name.encode()))
    report = desk.idle_sync()
    assert (report.unchanged, report.new, report.gone) == (3, 0, 0)
    assert said() == {"a.png": (["cat"], 1), crop: (["cat"], None), "b.png": of_b}
    assert {uri: row["row_id"] for uri, row in live_rows(desk.lake).items()} == ids

    # a damaged set, or one that is gone, deletes nothing
    if kind not in ("yolo", "voc"):
        fs.pipe(f"{name}/set/{changed}", b"{")
        [problem] = desk.idle_sync().problems
        assert problem.endswith("its 3 rows were kept (if they should go, use --allow-empty)")
        fs.rm(f"{name}/set/{changed}")
        assert len(desk.idle_sync().problems) == 1
        assert len(said()) == 3


def test_sets_that_need_folders_are_refused_on_a_web_server(tmp_path: Path) -> None:
    desk = Desk(tmp_path, ColourEmbedder())
    for source, layout in (
        ("https://photos.example/set", "voc"),
        ("https://photos.example/set/", "coco"),
        ("https://photos.example/data.yaml", None),
    ):
        with pytest.raises(SourceError, match="a web server does not list its folders"):
            desk.sync(add=[SourceEntry(source, None, layout)])


def test_a_set_that_is_not_there_is_told(tmp_path: Path, bucket: Bucket) -> None:
    desk = Desk(tmp_path, ColourEmbedder())
    name, fs = bucket
    fs.pipe(f"{name}/set/a.png", png(RED))
    for source, layout, reason in (
        (f"s3://{name}/set/coco.json", None, "it cannot be read: it is not there"),
        (f"s3://{name}/set", "coco", r"there is no \.json of COCO"),
        (f"s3://{name}/set/data.yaml", None, "it cannot be read"),
        (f"s3://{name}/set/a.png", "yolo", "it has no data.yaml"),
        (f"s3://{name}/nowhere", "voc", "there are no image files in it|nothing is there"),
        ("s3://no-such-bucket-of-ours/coco.json", None, "cannot be (read|listed)"),
    ):
        with pytest.raises(SourceError, match=reason):
            desk.sync(add=[SourceEntry(source, None, layout)])
