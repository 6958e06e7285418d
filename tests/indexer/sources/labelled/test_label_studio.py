"""Label Studio's exports: by its own converter, and by hand what people's projects have."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import SourceError
from indexer.sources import Listing
from indexer.sources.opening import open_source
from tests.indexer.sources.labelled.listed import labels, listed, photos
from tests.lakes import write

CONFIG = """<View><Image name="img" value="$image"/>
<RectangleLabels name="box" toName="img"><Label value="dog"/><Label value="cat"/></RectangleLabels>
<PolygonLabels name="outline" toName="img"><Label value="dog"/><Label value="cat"/></PolygonLabels>
<Choices name="scene" toName="img"><Choice value="indoor"/><Choice value="outdoor"/></Choices>
</View>"""
BOX = {"x": 10, "y": 20, "width": 50, "height": 40, "rotation": 0}
OUTLINE = {"points": [[0, 0], [50, 0], [50, 50]], "closed": True}


def box(name: str | None = "dog", **more: Any) -> dict[str, Any]:
    value = {**BOX, **more} | ({"rectanglelabels": [name]} if name else {})
    return region("rectanglelabels" if name else "rectangle", value)


def region(kind: str, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    size = {"original_width": 40, "original_height": 30, "image_rotation": 0}
    return {"type": kind, "to_name": "img", "from_name": "box", "value": value, **size, **more}


def choice(*names: Any, kind: str = "choices") -> dict[str, Any]:
    return {"type": kind, "from_name": "scene", "to_name": "img", "value": {kind: list(names)}}


def by(*result: dict[str, Any], **more: Any) -> dict[str, Any]:
    numbered = [{"id": str(number), **each} for number, each in enumerate(result)]
    times = {"created_at": "2026-11-30", "updated_at": "2026-11-30", "lead_time": 1}
    return {"id": 1, "completed_by": 1, "result": numbered, **times, **more}


def task(image: Any, *annotations: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {"id": 1, "data": {"image": image, **data}, "annotations": list(annotations)}


def export(root: Path, *tasks: Any, name: str = "export.json") -> Path:
    return write(root / name, json.dumps(tasks).encode())


def test_boxes_outlines_and_choices_are_labels(tmp_path: Path) -> None:
    photos(tmp_path, "a.png", "b.png", "c.png", "d.png")
    outline = region("polygonlabels", {**OUTLINE, "polygonlabels": ["cat"]})
    point = region("keypointlabels", {"x": 1, "y": 1, "width": 1, "keypointlabels": ["nose"]})
    remark = {**choice("a remark", kind="textarea"), "type": "textarea"}
    taxonomy = choice(["animal", "bird"], kind="taxonomy")
    path = export(
        tmp_path,
        task("a.png", by(box(), outline, choice("indoor"), point, remark, taxonomy)),
        # somebody looked, and there is nothing on it; nobody did; somebody passed it over
        task("b.png", by()),
        task("c.png"),
        task("d.png", by(box(), was_cancelled=True)),
    )
    found = listed(path, tmp_path)
    assert labels(found) == {
        "a.png": (["animal", "bird", "cat", "dog", "indoor", "nose"], 2),
        "b.png": ([], 0),
        "c.png": (None, None),
        "d.png": (None, None),
    }
    assert (found.told, found.missing) == ([], [])


def test_a_region_of_several_entries_is_one_thing(tmp_path: Path) -> None:
    photos(tmp_path, "a.png")
    entries = [
        {**box(None), "id": "r1"},
        {**region("labels", {**BOX, "labels": ["dog"]}), "id": "r1"},
        # what is asked of one region alone
        {**region("choices", {**BOX, "choices": ["hurt"]}), "id": "r1"},
        {**box(None), "id": "r2"},
        {**region("rectanglelabels", {**BOX, "x": 20, "rectanglelabels": ["cat", "kitten"]})},
    ]
    path = export(tmp_path, {"data": {"image": "a.png"}, "annotations": [{"result": entries}]})
    every = ["cat", "dog", "hurt", "kitten"]
    assert labels(listed(path, tmp_path)) == {"a.png": (every, 3)}
    found = listed(path, tmp_path, crops=True)
    assert {name: said.get("labels") for name, said in found.said.items()} == {
        "a.png": every,
        "a.png#xywh=4,6,20,12": ["dog", "hurt"],
        "a.png#xywh=8,6,20,12": ["cat", "kitten"],
    }


@pytest.mark.parametrize(
    ("value", "place"),
    [
        # 10 % of 40 px, 20 % of 30 px, 50 % and 40 % of them
        (BOX, "4,6,20,12"),
        # turned by a quarter clockwise about its corner (30, 6): 12 px to the left, 20 px down
        ({**BOX, "x": 75, "rotation": 90}, "18,6,12,20"),
        ({**BOX, "x": 75, "rotation": -270}, "18,6,12,20"),
        # about (20, 6), 8 x 8 px by 45 degrees: 5.66 px to both sides, 11.31 px down
        ({**BOX, "x": 50, "width": 20, "height": 80 / 3, "rotation": 45}, "14,6,12,12"),
        # written with as many digits as a double has, 13 of 40 px and 10 of 30 px
        ({**BOX, "x": 32.49999999999999, "y": 33.33333333333333}, "13,10,20,12"),
        # what lies off the image is cut off
        ({**BOX, "x": 75, "width": 50}, "30,6,10,12"),
        (OUTLINE, "0,0,20,15"),
        ({"x": 50, "y": 50, "radiusX": 25, "radiusY": 10, "rotation": 0}, "10,12,20,6"),
        ({"x": 50, "y": 50, "radiusX": 25, "radiusY": 10, "rotation": 90}, "17,5,6,20"),
    ],
)
def test_a_place_in_percents_is_the_pixels_it_touches(
    tmp_path: Path, value: dict[str, Any], place: str
) -> None:
    photos(tmp_path, "a.png")
    named = region("rectanglelabels", {**value, "rectanglelabels": ["dog"]})
    path = export(tmp_path, task("a.png", by(named)))
    found = listed(path, tmp_path, crops=True)
    assert list(found.said) == ["a.png", f"a.png#xywh={place}"]
    assert found.told == []
    # of an image whose size is not said the size is looked up, and of what is turned the place is
    # not known without it
    for unsized in ("original_width", "original_height"):
        del named[unsized]
    turned = value.get("rotation", 0) % 360 != 0
    path = export(tmp_path, task("a.png", by(named)))
    found = listed(path, tmp_path, crops=True)
    assert list(found.said) == ["a.png", *([] if turned else [f"a.png#xywh={place}"])]
    assert len(found.told) == turned


@pytest.mark.parametrize(
    "mark",
    [
        region("brushlabels", {"format": "rle", "rle": [0, 1], "brushlabels": ["dog"]}),
        region("rectanglelabels", {**BOX, "rectanglelabels": ["dog"]}, image_rotation=90),
        region("rectanglelabels", {**BOX, "x": None, "rectanglelabels": ["dog"]}),
        region("rectanglelabels", {**BOX, "x": 200, "rectanglelabels": ["dog"]}),
        region("polygonlabels", {"points": [], "polygonlabels": ["dog"]}),
    ],
)
def test_a_place_that_is_not_understood_is_told_and_counts(
    tmp_path: Path, mark: dict[str, Any]
) -> None:
    photos(tmp_path, "a.png")
    path = export(tmp_path, task("a.png", by(mark)))
    found = listed(path, tmp_path, crops=True)
    assert labels(found) == {"a.png": (["dog"], 1)}
    assert found.told == [
        "a region has no place that is understood on its image, and cannot be cut out"
    ]


def test_of_several_people_what_they_agree_on_is_known(tmp_path: Path) -> None:
    names = [f"{letter}.png" for letter in "abcdef"]
    photos(tmp_path, *names)
    nearby = box(x=11)
    path = export(
        tmp_path,
        task("a.png", by(box()), by(box())),
        # the same things, drawn a little differently
        task("b.png", by(box()), by(nearby)),
        task("c.png", by(box()), by(box(), nearby)),
        task("d.png", by(box()), by(box("cat"))),
        task("e.png", by(box()), by(box("cat"), ground_truth=True)),
        # two tasks of one image are two people
        task("f.png", by(box())),
        task("f.png", by()),
    )
    found = listed(path, tmp_path, crops=True)
    assert labels(found) == {
        "a.png": (["dog"], 1),
        "a.png#xywh=4,6,20,12": (["dog"], None),
        "b.png": (["dog"], 1),
        "c.png": (["dog"], None),
        "d.png": (None, None),
        "e.png": (["cat"], 1),
        "e.png#xywh=4,6,20,12": (["cat"], None),
        "f.png": (None, None),
    }
    disputed = {name for name, said in found.said.items() if said.get("labels_disputed")}
    assert disputed == {"c.png", "d.png", "f.png"}
    assert [told.partition(",")[0] for told in found.told] == [
        "people drew the boxes of an image differently",
        "people say different things of an image",
    ]
    assert found.told[1].endswith("(3 times)")


@pytest.mark.parametrize(
    ("address", "image_at"),
    [
        ("/data/local-files/?d=set/a%20b.png", "deep/set/a b.png"),
        # below the server's own root, which is a folder above the export
        ("/data/local-files/?d=photos/a.png", "photos/a.png"),
        # below a root that is elsewhere by now
        ("/data/local-files/?d=home/ann/set/a.png", "deep/set/a.png"),
        ("/data/upload/3/0a1b2c3d-a.png", "deep/a.png"),
        ("/data/upload/3/0a1b2c3d-a.png", "deep/images/0a1b2c3d-a.png"),
        ("/data/upload/3/0a1b2c3d-a.png", "deep/upload/3/0a1b2c3d-a.png"),
        ("images\\a.png", "deep/images/a.png"),
        ("C:\\Users\\ann\\set\\a.png", "deep/set/a.png"),
    ],
)
def test_images_are_found_by_the_addresses_of_its_server(
    tmp_path: Path, address: str, image_at: str
) -> None:
    photos(tmp_path, image_at)
    path = export(tmp_path / "deep", task(address, by(box())))
    found = listed(path, tmp_path)
    assert labels(found) == {image_at: (["dog"], 1)}
    assert found.missing == []
    # its COCO export names images so, too
    coco = {
        "images": [{"id": 0, "file_name": address, "width": None, "height": None}],
        "categories": [{"id": 0, "name": "dog"}],
        "annotations": [{"image_id": 0, "category_id": 0, "bbox": [4.0, 6.0, 20.0, 12.0]}],
    }
    path = write(tmp_path / "deep/result.json", json.dumps(coco).encode())
    assert labels(listed(path, tmp_path)) == {image_at: (["dog"], 1)}


def test_addresses_in_stores_are_the_images_themselves(tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/of-tasks/a.png", b"a picture")
    inner = base64.urlsafe_b64encode(b"memory://of-tasks/b.png").decode().rstrip("=")
    path = export(
        tmp_path,
        task("memory://of-tasks/a.png", by(box())),
        task(f"/tasks/7/resolve/?fileuri={inner}", by(box("cat"))),
    )
    found = listed(path, tmp_path)
    assert labels(found) == {
        "memory://of-tasks/a.png": (["dog"], 1),
        "memory://of-tasks/b.png": (["cat"], 1),
    }
    assert found.missing == ["memory://of-tasks/b.png"]
    assert set(open_source(str(path)).sites(5)) == {str(path), "memory://of-tasks"}
    memory.rm("/of-tasks", recursive=True)


def test_two_files_that_were_uploaded_under_one_name_are_not_mixed_up(tmp_path: Path) -> None:
    photos(tmp_path, "a.png")
    path = export(
        tmp_path,
        task("/data/upload/3/0a1b2c3d-a.png", by(box())),
        task("/data/upload/3/ffffffff-a.png", by(box("cat"))),
    )
    found = listed(path, tmp_path)
    assert labels(found) == {"a.png": (None, None)}
    assert "two images were uploaded under one name" in found.told[0]


def test_the_image_is_found_among_the_data_or_not_at_all(tmp_path: Path) -> None:
    photos(tmp_path, "a.png", "b.png")
    result = by(box())
    path = export(
        tmp_path,
        {"data": {"img": "a.png", "page": "https://photos.example/a", "n": 7}, "annotations": []},
        {"data": {"left": "a.png", "right": "b.png"}, "annotations": [result]},
        {"data": {"text": "a remark"}, "annotations": [result]},
        {"data": {"image": "data:image/png;base64,AAAA"}, "annotations": [result]},
        {"data": 7},
        7,
    )
    found = listed(path, tmp_path)
    assert labels(found) == {"a.png": (None, None)}
    assert found.told == [
        "a task is not built as one, and is passed over (2 times)",
        "a task names no image that is understood, and is passed over (3 times)",
    ]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"tasks": []}, "it is no set of COCO, Label Studio or Datumaro"),
        ([{"text": "x"}], "none of it is a task of Label Studio with an image"),
        ([1, 2], "none of it is a task of Label Studio with an image"),
    ],
)
def test_what_is_none_of_its_exports_is_refused(tmp_path: Path, document: Any, reason: str) -> None:
    path = write(tmp_path / "export.json", json.dumps(document).encode())
    with pytest.raises(SourceError, match=reason):
        list(open_source(str(path)).files(Listing()))
    with pytest.raises(SourceError, match=r"this is not a \.json, as label-studio wants"):
        open_source(str(tmp_path), layout="label-studio")


def test_what_its_own_converter_writes_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from label_studio_sdk.converter import Converter

    photos(tmp_path, "set/a.png", "set/b.png")
    monkeypatch.setenv("LOCAL_FILES_DOCUMENT_ROOT", str(tmp_path))
    monkeypatch.setenv("LOCAL_FILES_SERVING_ENABLED", "true")
    outline = region("polygonlabels", {**OUTLINE, "polygonlabels": ["cat"]}, from_name="outline")
    tasks = [
        task("/data/local-files/?d=set/a.png", by(box(), outline)),
        task("/data/local-files/?d=set/b.png", by(box("cat"))),
    ]
    path = export(tmp_path, *tasks, name="tasks.json")
    converter = Converter(CONFIG, str(tmp_path))
    for number, kind in enumerate(("JSON", "JSON_MIN", "COCO", "VOC", "YOLO", "YOLO_OBB")):
        converter.convert(str(path), str(tmp_path / kind), kind, is_dir=False)
        # outlines are none of VOC's
        things = (["dog"], 1) if kind == "VOC" else (["cat", "dog"], 2)
        expected = {"set/a.png": things, "set/b.png": (["cat"], 1)}
        if number < 3:
            assert labels(listed(tmp_path / kind / "result.json", tmp_path)) == expected, kind
            continue
        inner = tmp_path / kind
        photos(inner / "images", "a.png", "b.png")
        found = listed(inner, inner / "images", "voc" if kind == "VOC" else "yolo", crops=True)
        whole = {name: said for name, said in labels(found).items() if "#" not in name}
        assert whole == {name.removeprefix("set/"): said for name, said in expected.items()}, kind
        if kind != "VOC":
            places = {name: said for name, said in labels(found).items() if "#" in name}
            assert places == {
                "a.png#xywh=4,6,20,12": (["dog"], None),
                "a.png#xywh=0,0,20,15": (["cat"], None),
                "b.png#xywh=4,6,20,12": (["cat"], None),
            }


def test_plain_answers_of_its_short_export_are_not_taken_for_classes(tmp_path: Path) -> None:
    from label_studio_sdk.converter import Converter

    photos(tmp_path, "a.png", "b.png")
    path = export(
        tmp_path,
        task("a.png", by(choice("indoor"), box()), site="north"),
        task("b.png", by(box()), site="south"),
        name="tasks.json",
    )
    Converter(CONFIG, str(tmp_path)).convert(
        str(path), str(tmp_path / "min"), "JSON_MIN", is_dir=False
    )
    found = listed((tmp_path / "min/result.json").rename(tmp_path / "min.json"), tmp_path)
    # "indoor" may be a remark as well
    assert labels(found) == {"a.png": (None, 1), "b.png": (["dog"], 1)}
    assert found.told == [
        "an answer is a plain text, which may be a choice or a remark, so the labels are not known; "
        "export as JSON instead of JSON-MIN"
    ]
