"""CVAT's XML, for images and for video, and Datumaro's JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import SourceError
from indexer.sources import Listing
from indexer.sources.opening import open_source
from tests.indexer.sources.labelled.listed import labels, listed, photos
from tests.lakes import write


def xml(path: Path, *inner: str, meta: str = "") -> Path:
    text = f"<annotations><version>1.1</version><meta>{meta}</meta>{''.join(inner)}</annotations>"
    return write(path, f'<?xml version="1.0" encoding="utf-8"?>\n{text}'.encode())


def image(name: str, *marks: str, **more: str) -> str:
    sides = {"width": "40", "height": "30", **more}
    written = " ".join(f'{key}="{value}"' for key, value in sides.items())
    return f'<image id="0" name="{name}" {written}>{"".join(marks)}</image>'


def box(label: str, left: float, top: float, right: float, bottom: float, more: str = "") -> str:
    corners = f'xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}"'
    return f'<box label="{label}" source="manual" occluded="0" {corners} {more}></box>'


# (mark, whether it is a thing, its place)
MARKS = [
    (box("x", 1.5, 2.0, 10.2, 12.0), True, "1,2,10,10"),
    # about its centre (20, 15), by a quarter
    (box("x", 10.0, 13.0, 30.0, 17.0, 'rotation="90.0"'), True, "18,5,4,20"),
    ('<polygon label="x" points="0.00,0.00;5.50,0.00;5.50,9.00"></polygon>', True, "0,0,6,9"),
    ('<ellipse label="x" cx="20" cy="15" rx="10" ry="5" rotation="90"/>', True, "15,5,10,20"),
    ('<mask label="x" rle="1, 2" left="3" top="4" width="5" height="6"></mask>', True, "3,4,5,6"),
    ('<skeleton label="x"><points label="nose" points="1,1"/></skeleton>', True, None),
    ('<box label="x" xtl="1" ytl="nan" xbr="2" ybr="3"/>', True, None),
    ('<box label="x" xtl="50" ytl="1" xbr="60" ybr="3"/>', True, None),
    ('<points label="x" points="1,1;2,2"></points>', False, None),
    ('<polyline label="x" points="1,1;2,2"></polyline>', False, None),
    ('<tag label="x" source="manual"></tag>', False, None),
]


@pytest.mark.parametrize(("mark", "is_thing", "place"), MARKS)
def test_marks_are_labels_and_things_have_places(
    tmp_path: Path, mark: str, is_thing: bool, place: str | None
) -> None:
    photos(tmp_path, "images/a.png")
    path = xml(tmp_path / "annotations.xml", image("a.png", mark))
    found = listed(path, tmp_path, crops=True)
    crops = {f"images/a.png#xywh={place}": (["x"], None)} if place else {}
    assert labels(found) == {"images/a.png": (["x"], int(is_thing)), **crops}
    lost = is_thing and place is None
    assert [
        told.endswith("has no place on its image, and cannot be cut out") for told in found.told
    ] == ([True] if lost else [])


def test_images_of_a_task_and_what_is_wrong_in_it(tmp_path: Path) -> None:
    photos(tmp_path, "images/set/a.png", "images/b.png", "images/c.png")
    path = xml(
        tmp_path / "annotations.xml",
        image("set/a.png", box("dog", 1, 1, 9, 9), box("cat", 1, 1, 9, 9), subset="Train"),
        # of a project's task whose labels have a group of their own
        image("b.png", '<tag label=""/>', "<sphere label='x'/>", subset="default"),
        image("c.png", box("dog", 1, 1, 2, 2)),
        image("c.png", box("cat", 1, 1, 2, 2)),
        image("gone.png"),
        '<image id="9"></image>',
    )
    found = listed(path, tmp_path)
    assert labels(found) == {
        "images/set/a.png": (["cat", "dog"], 2),
        "images/b.png": ([], 0),
        "images/c.png": (None, None),
        "images/gone.png": ([], 0),
    }
    assert found.missing == ["images/gone.png"]
    assert {name: said.get("split") for name, said in found.said.items()} == {
        **dict.fromkeys(found.said),
        "images/set/a.png": "train",
    }
    assert found.told == [
        "a mark has no label, and is passed over",
        "a name is of two images, so what is said of either is not known",
        "a sphere is no mark that is known, and is passed over",
        "an image has no name, and is passed over",
    ]


def test_tracks_say_what_is_on_each_frame(tmp_path: Path) -> None:
    photos(tmp_path, *(f"images/frame_{number:06d}.PNG" for number in range(4)))
    meta = (
        "<task><size>6</size><mode>interpolation</mode><original_size>"
        "<width>40</width><height>30</height></original_size></task>"
    )
    marks = "".join(
        box("", 1, 1, 9, 9 + frame, f'frame="{frame}" outside="{int(frame == 2)}" keyframe="1"')
        for frame in range(3)
    )
    shape = box("", 30, 20, 50, 50, 'frame="1" outside="0"')
    path = xml(
        tmp_path / "annotations.xml",
        f'<track id="0" label="dog" source="manual">{marks}</track>',
        f'<track id="1" label="cat">{shape}</track>',
        meta=meta,
    )
    found = listed(path, tmp_path, crops=True)
    assert labels(found) == {
        "images/frame_000000.PNG": (["dog"], 1),
        "images/frame_000000.PNG#xywh=1,1,8,8": (["dog"], None),
        "images/frame_000001.PNG": (["cat", "dog"], 2),
        "images/frame_000001.PNG#xywh=1,1,8,9": (["dog"], None),
        "images/frame_000001.PNG#xywh=30,20,10,10": (["cat"], None),
        "images/frame_000002.PNG": ([], 0),
        "images/frame_000003.PNG": ([], 0),
    }
    assert (found.told, found.missing) == ([], [])
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    with pytest.raises(SourceError, match=r"none of the video's frames lies beside it"):
        listed(path, tmp_path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<annotation></annotation>", "it begins with <annotation>, not with <annotations>"),
        (b"<annotations><image", "its XML is broken"),
        (b"", "its XML is broken"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', "it declares a document type"),
    ],
)
def test_what_is_no_xml_of_cvat_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    path = write(tmp_path / "annotations.xml", data)
    with pytest.raises(SourceError, match=reason):
        list(open_source(str(path)).files(Listing()))
    with pytest.raises(SourceError, match=r"this is not an \.xml, as cvat wants"):
        open_source(str(tmp_path), layout="cvat")


# as `datumaro` 1.13 writes them, but for the names
ITEMS = [
    {
        "id": "sub/a",
        "annotations": [
            {"id": 1, "type": "bbox", "group": 1, "label_id": 0, "bbox": [1.0, 2.0, 30.0, 20.0]},
            {"id": 0, "type": "label", "group": 0, "label_id": 1},
        ],
        "image": {"path": "sub_a.png", "size": [30, 40]},
    },
    {
        "id": "b",
        "annotations": [
            # a mask and the box around it are one thing
            {"type": "mask", "group": 3, "label_id": 0, "rle": {"counts": "94", "size": [3, 4]}},
            {"type": "bbox", "group": 3, "label_id": 0, "bbox": [3.0, 0.0, 1.0, 3.0]},
            {"type": "points", "group": 0, "label_id": 1, "points": [1.0, 2.0]},
            {"type": "polygon", "group": 0, "label_id": 1, "points": [0, 0, 5.5, 0, 5, 9]},
            {"type": "mask", "group": 4, "label_id": 1, "attributes": {"is_crowd": True}},
            {"type": "bbox", "group": 0, "label_id": 7, "bbox": [1, 1, 1, 1]},
        ],
        "image": {"path": None, "size": [30, 40]},
    },
    {"id": "c", "annotations": [], "image": {"path": "c.png"}},
]


def datumaro(path: Path, items: list[Any]) -> Path:
    names = [{"name": "dog", "parent": "", "attributes": []}, {"name": "cat"}]
    document = {"infos": {}, "categories": {"label": {"labels": names}}, "items": items}
    return write(path, json.dumps(document).encode())


def test_items_of_datumaro_are_images(tmp_path: Path) -> None:
    photos(tmp_path, "images/val/sub_a.png", "images/val/b.jpg", "images/val/c.png")
    path = datumaro(tmp_path / "annotations/val.json", ITEMS)
    found = listed(path, tmp_path / "images/val", crops=True)
    assert labels(found) == {
        "sub_a.png": (["cat", "dog"], 1),
        "sub_a.png#xywh=1,2,30,20": (["dog"], None),
        "b.jpg": (["cat", "dog"], 2),
        "b.jpg#xywh=3,0,1,3": (["dog"], None),
        "b.jpg#xywh=0,0,6,9": (["cat"], None),
        "c.png": ([], 0),
    }
    assert {said["split"] for said in found.said.values()} == {"val"}
    assert found.told == ["an annotation has no label that is there, and is passed over"]
    with pytest.raises(SourceError, match=r"it has no list of images, as a COCO file has"):
        listed(path, tmp_path, "coco")
