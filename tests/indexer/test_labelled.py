"""Labelled sets as sources: COCO, YOLO, Pascal VOC, folders of classes, through a lake's life."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from indexer.disk.manifest import SourceEntry
from indexer.errors import SourceError
from indexer.report import SyncReport
from indexer.sources.guard import Reach
from service.lake import Lake
from service.pictures.originals import IndexedImage, Originals
from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, GREEN, LONG_AGO_S, RED, YELLOW, Desk, no_model, png, write

COLOURS = [RED, GREEN, BLUE, YELLOW]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, ColourEmbedder())


def photo(number: int) -> bytes:
    """40 px wide, 30 px high and more, a picture of its own for each number."""
    return png(COLOURS[number % 4], (40, 30 + number))


def as_layout(desk: Desk, source: Path, layout: str) -> SyncReport:
    return desk.sync(add=[SourceEntry(str(source), None, layout)])


def said(desk: Desk) -> dict[str, Any]:
    """Path below the photos' folder -> labels and number of boxes."""
    return {n: (r.get("labels"), r.get("box_count")) for n, r in desk.rows().items()}


def where(desk: Desk, text: str) -> list[int]:
    with Lake.open(desk.lake) as lake:
        return [row.row_id for row in lake.browse(text)]


# COCO

CATEGORIES = [{"id": 1, "name": "dog"}, {"id": 3, "name": "cat"}]


def coco(
    path: Path, images: list[Any], annotations: list[Any], categories: Any = CATEGORIES
) -> Path:
    document = {"images": images, "annotations": annotations, "categories": categories}
    return write(path, json.dumps(document).encode())


def named(number: int, name: str) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": 40, "height": 30}


def mark(image: Any, category: Any, bbox: Any = (1, 2, 3, 4), **more: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": bbox and list(bbox), **more}


def test_images_of_a_coco_file_get_the_names_of_their_categories(desk: Desk) -> None:
    for number in range(4):
        write(desk.photos / f"images/{number}.png", photo(number))
    write(desk.photos / "images/not-in-the-set.png", photo(9))
    path = coco(
        desk.photos / "coco.json",
        [named(number, f"{number}.png") for number in range(4)],
        [mark(0, 3), mark(0, 1), mark(0, 1), mark(1, 1), mark(2, 3, None), mark(2, 1, iscrowd=1)],
    )
    report = desk.index(path)
    assert (report.new, report.skipped, report.problems, report.notes) == (4, 0, [], [])
    assert said(desk) == {
        "images/0.png": (["cat", "dog"], 3),
        "images/1.png": (["dog"], 1),
        "images/2.png": (["cat", "dog"], 0),
        "images/3.png": ([], 0),
    }
    ids = desk.ids()
    assert where(desk, "'dog' IN labels AND box_count < 3") == sorted(
        [ids["images/1.png"], ids["images/2.png"]]
    )
    assert where(desk, "'cat' NOT IN labels") == sorted([ids["images/1.png"], ids["images/3.png"]])
    assert desk.idle_sync().unchanged == 4


def test_other_annotations_are_other_columns_of_the_same_row(desk: Desk) -> None:
    write(desk.photos / "a.png", photo(0))
    write(desk.photos / "b.png", photo(1))
    images = [named(1, "a.png"), named(2, "b.png")]
    path = coco(desk.photos / "coco.json", images, [mark(1, 1), mark(2, 1)])
    desk.index(path)
    ids = desk.ids()
    coco(path, images, [mark(1, 1), mark(2, 3)])
    report = desk.idle_sync()
    assert (report.unchanged, report.new, report.gone) == (2, 0, 0)
    assert said(desk) == {"a.png": (["dog"], 1), "b.png": (["cat"], 1)}
    assert desk.ids() == ids
    coco(path, images[:1], [mark(1, 1)])
    assert desk.idle_sync().gone == 1
    assert desk.ids() == {"a.png": ids["a.png"]}


@pytest.mark.parametrize(
    ("json_at", "name", "image_at"),
    [
        ("annotations/instances_val2017.json", "7.png", "val2017/7.png"),
        ("annotations/instances_val2017.json", "7.png", "images/val2017/7.png"),
        ("annotations/instances_default.json", "7.png", "images/7.png"),
        ("train/_annotations.coco.json", "7.png", "train/7.png"),
        ("labels.json", "7.png", "data/7.png"),
        ("coco.json", "images\\a\\7.png", "images/a/7.png"),
        ("coco.json", "C:\\Users\\x\\set\\images\\7.png", "images/7.png"),
        ("coco.json", "D:/set/7.png", "images/7.png"),
        ("coco.json", "./images//7.png", "images/7.png"),
        ("coco.json", "a\\7.png", "a\\7.png"),
    ],
)
def test_images_are_found_where_tools_put_them(
    desk: Desk, json_at: str, name: str, image_at: str
) -> None:
    write(desk.photos / image_at, photo(7))
    desk.index(coco(desk.photos / json_at, [named(7, name)], [mark(7, 1)]))
    assert said(desk) == {image_at: (["dog"], 1)}


def test_what_is_wrong_in_a_coco_file_is_told_and_the_rest_is_read(desk: Desk) -> None:
    for name in ("a", "b", "c", "d"):
        write(desk.photos / f"{name}.png", photo(ord(name)))
    images = [
        named(1, "a.png"),
        # one id of two images: which of them was annotated is not known
        named(2, "b.png"),
        named(2, "c.png"),
        # one image twice: as merged files have it
        {**named(4, "d.png"), "id": 4.0},
        named(5, "d.png"),
        named(5, "d.png"),
        named(6, "missing.png"),
        {"id": 7},
        "no image",
    ]
    annotations = [
        mark(1, 1, [float("nan"), 0, 5, 5]),
        mark(1, 1, [50, 2, 9, 9]),
        mark(2, 1),
        mark("4", 1),
        mark(4, 1),
        mark(5, 3),
        mark(1, 99),
        mark(1, 8),
        17,
    ]
    categories = [*CATEGORIES, {"id": 8, "name": "x"}, {"id": 8, "name": "y"}, {"id": 9}]
    path = coco(desk.photos / "coco.json", images, annotations, categories)
    report = desk.index(path)
    assert said(desk) == {
        "a.png": (["dog"], 2),
        "b.png": (None, None),
        "c.png": (None, None),
        "d.png": (["cat", "dog"], 2),
    }
    assert list(desk.skipped()) == ["missing.png"]
    assert sorted(note.removeprefix(f"{path}: ") for note in report.notes) == [
        "a category has no id or no name, and is passed over",
        "an annotation is not built as one, and is passed over",
        "an annotation is of a category that is not there, and is passed over (2 times)",
        "an annotation is of an image that is not there, and is passed over",
        "an id is of two categories, and its annotations are passed over",
        "an id is of two images, so what is said of either is not known",
        "an image has no file_name, and is passed over (2 times)",
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{", "it is no JSON"),
        (b"[]", "there are no image files in it"),
        (b"{}", "it is no set of COCO, Label Studio or Datumaro"),
        (b'{"images": [], "annotations": {}}', "it has no list of annotations"),
        (b'{"images": [], "annotations": [], "categories": []}', "there are no image files in it"),
    ],
)
def test_what_is_no_coco_file_is_refused(desk: Desk, data: bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        desk.index(write(desk.photos / "coco.json", data))


def test_a_coco_file_that_is_damaged_later_deletes_nothing(desk: Desk) -> None:
    write(desk.photos / "a.png", photo(0))
    path = coco(desk.photos / "coco.json", [named(1, "a.png")], [mark(1, 1)])
    desk.index(path)
    write(path, b"{")
    report = desk.idle_sync()
    [problem] = report.problems
    assert problem.startswith(f"{path}: it is no JSON")
    assert said(desk) == {"a.png": (["dog"], 1)}


def test_an_image_that_another_source_lists_without_a_word_gets_its_labels(desk: Desk) -> None:
    for name in ("a", "b", "c"):
        write(desk.photos / f"{name}.png", photo(ord(name)))
    write(desk.photos / "b.txt", b"a caption")
    desk.index()
    ids = desk.ids()
    path = desk.root / "coco.json"
    images = [named(1, f"{desk.photos}/a.png"), named(2, f"{desk.photos}/b.png")]
    coco(path, images, [mark(1, 1), mark(2, 1)])
    for report in (desk.idle_sync(add=[SourceEntry(str(path))]), desk.idle_sync()):
        assert (report.new, report.gone) == (0, 0)
        # of two that say something the first has the word
        assert said(desk) == {"a.png": (["dog"], 1), "b.png": (None, None), "c.png": (None, None)}
        assert desk.rows()["b.png"]["caption"] == "a caption"
        assert desk.ids() == ids
    coco(path, images[1:], [])
    assert desk.idle_sync().gone == 0
    assert said(desk)["a.png"] == (None, None)
    assert desk.ids() == ids


# YOLO


def yolo(folder: Path, text: str) -> Path:
    return write(folder / "data.yaml", text.encode())


def test_images_of_a_yolo_set_get_the_names_of_their_classes(desk: Desk) -> None:
    for number, split in enumerate(("train", "train", "val")):
        write(desk.photos / f"images/{split}/{number}.png", photo(number))
    write(desk.photos / "labels/train/0.txt", b"1 0.5 0.5 0.2 0.2\n0 0.1 0.1 0.1 0.1\n1 0 0 1 1\n")
    write(desk.photos / "labels/val/2.txt", b"0 0.1 0.1 0.2 0.1 0.2 0.2\r\n\r\n")
    path = yolo(
        desk.photos,
        "path: .\ntrain: images/train\nval: [images/val]\ntest:\nnames:\n  0: no\n  1: 007\n",
    )
    report = desk.index(path)
    assert (report.new, report.problems, report.notes) == (3, [], [])
    assert said(desk) == {
        "images/train/0.png": (["007", "no"], 3),
        "images/train/1.png": ([], 0),
        "images/val/2.png": (["no"], 1),
    }
    assert {name: row["split"] for name, row in desk.rows().items()} == {
        "images/train/0.png": "train",
        "images/train/1.png": "train",
        "images/val/2.png": "val",
    }
    assert desk.idle_sync().unchanged == 3
    write(desk.photos / "labels/train/1.txt", b"1 .5 .5 1 1")
    assert desk.idle_sync().unchanged == 3
    assert said(desk)["images/train/1.png"] == (["007"], 1)
    Path(desk.photos / "labels/train/0.txt").unlink()
    desk.idle_sync()
    assert said(desk)["images/train/0.png"] == ([], 0)


def test_a_yolo_set_as_exported_names_folders_of_elsewhere(desk: Desk) -> None:
    write(desk.photos / "train/images/a.png", photo(0))
    write(desk.photos / "train/labels/a.txt", b"0 .5 .5 1 1")
    write(desk.photos / "flat/b.png", photo(1))
    write(desk.photos / "flat/b.txt", b"1 .5 .5 1 1")
    text = "train: ../train/images\nval: ../valid/images\ntest: flat\nnames: [dog, cat]\nnc: 2\n"
    path = yolo(desk.photos, text)
    report = desk.index(path)
    assert report.notes == [f"{path}: there is no '../valid/images', its val"]
    caught = yolo(desk.photos, text.replace("../train", "D:\\set\\train"))
    assert desk.index(caught).notes == [f"{path}: there is no '../valid/images', its val"]
    assert said(desk) == {"train/images/a.png": (["dog"], 1), "flat/b.png": (["cat"], 1)}
    assert {row["caption"] for row in desk.rows().values()} == {None}


def test_a_yolo_split_may_be_a_list_of_images(desk: Desk) -> None:
    write(desk.photos / "images/a.png", photo(0))
    write(desk.photos / "labels/a.txt", b"0 .5 .5 1 1")
    lines = b"../images/a.png\r\nimages\\a.png\nC:\\set\\images\\a.png\n\n./images/gone.png\n"
    write(desk.photos / "lists/train.txt", lines)
    report = desk.index(yolo(desk.photos, "train: C:\\set\\lists\\train.txt\nnames: [dog]\n"))
    assert said(desk) == {"images/a.png": (["dog"], 1)}
    assert report.skipped == 1


def test_lines_that_are_no_boxes_are_passed_over_and_told_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    write(desk.photos / "images/a.png", photo(0))
    bad = b"x 1 1 1 1\n0 .5 .5\n0.5 1 1 1 1\n-1 0 0 1 1\nnan 0 0 1 1\n1e400 0 0 1 1\n\xff 0 0 1 1\n"
    write(desk.photos / "labels/a.txt", bad + b"5 .5 .5 1 1\n0 .5 .5 1 1\n")
    desk.index(yolo(desk.photos, "train: images\nnames: [dog]\n"))
    assert said(desk) == {"images/a.png": (["5", "dog"], 2)}
    [told] = [record.getMessage() for record in caplog.records]
    assert told.endswith("'x 1 1 1 1' is no box; no more of these are told")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "it is no YAML"),
        ("- a", "it names no train, val or test"),
        ("train: images\n", "it has no list of names"),
        ("train: images\nnames: dog\n", "it has no list of names"),
        ("train: images\nnames: {a: b}\n", "its names are no list"),
        ("train: nowhere\nnames: [dog]\n", "none of its train, val, test is a folder"),
        ("train: &a [*a]\nnames: [dog]\n", "it is no YAML"),
    ],
)
def test_what_is_no_yolo_set_is_refused(desk: Desk, text: str, reason: str) -> None:
    write(desk.photos / "images/a.png", photo(0))
    with pytest.raises(SourceError, match=reason):
        desk.index(yolo(desk.photos, text))


# Pascal VOC


def voc(*objects: tuple[str, str]) -> bytes:
    inner = "".join(
        f"<object><name>{name}</name><bndbox>{box}</bndbox></object>" for name, box in objects
    )
    size = "<size><width>40</width><height>30</height></size>"
    return f"<annotation><filename>x.jpg</filename>{size}{inner}</annotation>".encode()


BOX = "<xmin>1</xmin><ymin>2.0</ymin><xmax>10</xmax><ymax>11</ymax>"


def test_a_folder_of_annotations_and_images_is_voc(desk: Desk) -> None:
    for number in range(4):
        write(desk.photos / f"JPEGImages/{number}.png", photo(number))
    write(desk.photos / "SegmentationClass/0.png", photo(8))
    write(desk.photos / "Annotations/0.xml", voc(("dog", BOX), ("cat", BOX), ("dog", "")))
    write(desk.photos / "Annotations/1.xml", voc())
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><annotation>&a;</annotation>'
    write(desk.photos / "Annotations/2.xml", bomb)
    report = desk.index()
    assert (report.new, report.problems) == (4, [])
    assert said(desk) == {
        "JPEGImages/0.png": (["cat", "dog"], 3),
        "JPEGImages/1.png": ([], 0),
        "JPEGImages/2.png": (None, None),
        "JPEGImages/3.png": (None, None),
    }
    assert desk.idle_sync().unchanged == 4
    write(desk.photos / "Annotations/3.xml", voc(("bird", BOX)))
    desk.idle_sync()
    assert said(desk)["JPEGImages/3.png"] == (["bird"], 1)


def test_said_to_be_voc_an_xml_may_lie_beside_its_image(desk: Desk) -> None:
    write(desk.photos / "x/a.png", photo(0))
    write(desk.photos / "x/a.xml", voc(("dog", BOX)))
    as_layout(desk, desk.photos, "voc")
    assert said(desk) == {"x/a.png": (["dog"], 1)}
    assert desk.idle_sync().unchanged == 1


def test_said_to_be_a_folder_it_is_one(desk: Desk) -> None:
    write(desk.photos / "JPEGImages/a.png", photo(0))
    write(desk.photos / "Annotations/a.xml", voc(("dog", BOX)))
    as_layout(desk, desk.photos, "folder")
    assert said(desk) == {"JPEGImages/a.png": (None, None)}


# folders of classes


def test_folders_of_classes_are_read_so_where_it_is_said(desk: Desk) -> None:
    names = ["n01/a.png", "n01/x/b.png", "n02/c.png", "d.png", "train/e.png", "val/n01/f.png"]
    for number, name in enumerate(names):
        write(desk.photos / name, photo(number))
    desk.index()
    ids = desk.ids()
    assert set(said(desk).values()) == {(None, None)}
    report = as_layout(desk, desk.photos, "classes")
    assert (report.new, report.unchanged) == (0, 6)
    labels = {
        "n01/a.png": ["n01"],
        "n01/x/b.png": ["n01"],
        "n02/c.png": ["n02"],
        "d.png": None,
        "train/e.png": ["train"],
        "val/n01/f.png": ["n01"],
    }
    assert {name: row["labels"] for name, row in desk.rows().items()} == labels
    assert desk.rows()["val/n01/f.png"]["split"] == "val"
    assert desk.ids() == ids
    # what was said once is remembered, by `sync` and where the folder is given again
    for report in (desk.idle_sync(), desk.index()):
        assert report.unchanged == 6
    assert {name: row["labels"] for name, row in desk.rows().items()} == labels
    (desk.photos / "n03").mkdir()
    Path(desk.photos / "n02/c.png").rename(desk.photos / "n03/c.png")
    desk.idle_sync()
    assert desk.rows()["n03/c.png"]["labels"] == ["n03"]
    assert desk.ids()["n03/c.png"] == ids["n02/c.png"]


def test_a_layout_that_does_not_fit_is_refused(desk: Desk) -> None:
    image = write(desk.photos / "a.png", photo(0))
    for source, layout, reason in (
        (image, "classes", "this is not a folder, as classes wants"),
        (desk.photos, "coco", "there is no .json of COCO"),
        (desk.photos, "yolo", "it has no data.yaml, obj.data or classes.txt"),
        (
            desk.photos,
            "tfds",
            "known are folder, classes, voc, coco, yolo, label-studio, cvat, datumaro",
        ),
        (desk.photos / "*.png", "classes", "there is nothing of this name"),
    ):
        with pytest.raises(SourceError, match=reason):
            as_layout(desk, source, layout)


# beside other columns


def test_the_users_table_has_the_last_word_and_sidecars_ride_along(desk: Desk) -> None:
    write(desk.photos / "dog/a.png", photo(0))
    write(desk.photos / "dog/a.txt", b"a caption")
    write(desk.photos / "dog/b.png", photo(1))
    table = write(desk.root / "t.csv", b"path,labels,site\ndog/a.png,wolf,north\n", LONG_AGO_S)
    desk.sync(add=[SourceEntry(str(desk.photos), str(table), "classes")])
    rows = desk.rows()
    assert [rows[n]["labels"] for n in ("dog/a.png", "dog/b.png")] == [["wolf"], ["dog"]]
    assert (rows["dog/a.png"]["caption"], rows["dog/a.png"]["site"]) == ("a caption", "north")


def test_a_column_that_was_text_before_becomes_lists(desk: Desk) -> None:
    write(desk.root / "plain/a.png", photo(0))
    table = write(desk.root / "t.csv", b"path,labels\na.png,wolf\n", LONG_AGO_S)
    desk.index(desk.root / "plain", columns=table)
    write(desk.photos / "dog/b.png", photo(1))
    as_layout(desk, desk.photos, "classes")
    assert [row["labels"] for row in desk.rows().values()] == [["wolf"], ["dog"]]
    assert where(desk, "'wolf' IN labels") == [1]
    assert where(desk, "'dog' IN labels") == [2]


# boxes as rows of their own


def halves(path: Path) -> None:
    """40 x 30 px, red on its left half and green on its right."""
    picture = Image.new("RGB", (40, 30), RED)
    picture.paste(GREEN, (20, 0, 40, 30))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))


def with_crops(desk: Desk, source: Path) -> SyncReport:
    return desk.sync(add=[SourceEntry(str(source), crops=True)])


def test_each_box_is_a_row_beside_that_of_its_image(desk: Desk) -> None:
    halves(desk.photos / "a.png")
    boxes = [
        mark(1, 1, (0, 0, 20, 30)),
        mark(1, 3, (20.5, 1.5, 100, 100)),
        mark(1, 1, (20.5, 1.5, 100, 100)),  # two things at one place are one row
        mark(1, 1, (-5, -5, 2, 2)),  # off the picture
    ]
    path = coco(desk.photos / "coco.json", [named(1, "a.png")], boxes)
    report = with_crops(desk, path)
    assert (report.new, report.skipped) == (3, 0)
    assert report.notes == [f"{path}: a box has no place on its image, and cannot be cut out"]
    left, right = "a.png#xywh=0,0,20,30", "a.png#xywh=20,1,20,29"
    assert said(desk) == {
        "a.png": (["cat", "dog"], 4),
        left: (["dog"], None),
        right: (["cat", "dog"], None),
    }
    rows = desk.rows()
    assert [rows[name]["vector"] for name in (left, right)] == [[1, 0, 0], [0, 1, 0]]
    assert [(rows[n]["width_px"], rows[n]["height_px"]) for n in (left, right)] == [
        (20, 30),
        (20, 29),
    ]
    assert rows[left]["region_px"] == "0,0,20,30"
    ids = desk.ids()
    assert desk.idle_sync().unchanged == 3
    # given again without the word, it stays so
    assert desk.sync(add=[SourceEntry(str(path))], load=no_model).unchanged == 3
    assert desk.ids() == ids

    # a box that is drawn anew is another image, the others keep their rows
    coco(path, [named(1, "a.png")], [boxes[0], mark(1, 3, (30, 10, 5, 5))])
    report = desk.sync()
    assert (report.new, report.gone, report.unchanged) == (1, 1, 2)
    assert desk.ids() == {"a.png": ids["a.png"], left: ids[left], "a.png#xywh=30,10,5,5": 4}
    assert said(desk)["a.png"] == (["cat", "dog"], 2)


def test_boxes_move_with_their_image_and_are_shown(desk: Desk) -> None:
    halves(desk.photos / "JPEGImages/a.png")
    # corners in any order, and a part of the thing before its own box, as VOC's own files have it
    corners = "<xmax>1</xmax><ymax>30</ymax><xmin>20.0</xmin><ymin>1</ymin>"
    part = f"<part><name>head</name><bndbox>{BOX}</bndbox></part>"
    xml = voc(("dog", corners), ("dog", BOX.replace("1<", "0<")))
    write(desk.photos / "Annotations/a.xml", xml.replace(b"<bndbox>", part.encode() + b"<bndbox>"))
    assert with_crops(desk, desk.photos).new == 3
    before = {n.rpartition("#")[2]: number for n, number in desk.ids().items()}
    Path(desk.photos / "JPEGImages/a.png").rename(desk.photos / "JPEGImages/b.png")
    Path(desk.photos / "Annotations/a.xml").rename(desk.photos / "Annotations/b.xml")
    report = desk.idle_sync()
    assert (report.moved, report.new, report.gone) == (3, 0, 0)
    rows = desk.rows()
    assert {n.rpartition("#")[2]: row["row_id"] for n, row in rows.items()} == {
        **{n: number for n, number in before.items() if "xywh" in n},
        "/JPEGImages/b.png".lstrip("/"): before["JPEGImages/a.png"],
    }
    row = rows["JPEGImages/b.png#xywh=0,0,20,30"]
    data = Originals().read(IndexedImage.of(row, Reach([row["source"]])))
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size, image.getcolors()) == ("PNG", (20, 30), [(600, RED)])


def test_crops_of_what_has_no_boxes_are_refused(desk: Desk) -> None:
    image = write(desk.photos / "images/a.png", photo(0))
    for source, layout in ((image, None), (desk.photos, None), (desk.photos, "classes")):
        with pytest.raises(SourceError, match="its boxes cannot be rows of their own"):
            desk.sync(add=[SourceEntry(str(source), None, layout, crops=True)])
