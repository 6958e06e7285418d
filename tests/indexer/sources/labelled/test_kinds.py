"""COCO and YOLO as they are found in the wild: outlines, masks, skeletons, several files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from indexer.errors import SourceError
from indexer.sources import Listing
from indexer.sources.labelled.shapes import around_mask
from indexer.sources.opening import open_source
from tests.indexer.sources.labelled.listed import labels, listed, photos
from tests.lakes import RED, png, write

# COCO


def coco(path: Path, images: list[str], *annotations: dict[str, Any], **more: Any) -> Path:
    document = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(images)],
        "annotations": list(annotations),
        "categories": [
            {"id": 1, "name": "dog", "supercategory": "animal"},
            {"id": 2, "name": "cat", "supercategory": "animal"},
        ],
        **more,
    }
    return write(path, json.dumps({k: v for k, v in document.items() if v is not None}).encode())


def mark(image: int, category: int = 1, bbox: Any = (1, 2, 3, 4), **more: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": bbox, **more}


def test_bounds_of_masks_are_those_of_pycocotools() -> None:
    random = np.random.default_rng(7)
    for number in range(40):
        height, width = random.integers(1, 30, 2)
        pixels = np.zeros((height, width), np.uint8, order="F")
        if number:
            top, left = random.integers(0, height), random.integers(0, width)
            pixels[top : top + number, left : left + 3] = random.integers(0, 2)
            pixels[top, left] = 1
        packed = coco_mask.encode(pixels)
        left, top, wide, high = coco_mask.toBbox(packed)
        expected = None if not number else (left, top, left + wide, top + high)
        size = [int(side) for side in packed["size"]]
        assert around_mask({"size": size, "counts": packed["counts"].decode()}) == expected
        runs: list[int] = []
        before = 0
        for pixel in [*pixels.flatten(order="F").tolist(), 2]:
            if pixel != before or not runs:
                runs += [0] if runs or not pixel else [0, 0]
            before = pixel
            runs[-1] += 1
        assert around_mask({"size": size, "counts": runs[:-1]}) == expected


@pytest.mark.parametrize(
    "mask",
    [
        None,
        {"size": [3], "counts": []},
        {"size": [3, 4]},
        {"size": [3, 4], "counts": [1, -1]},
        {"size": [3, 4], "counts": [13]},
        {"size": [3, 4], "counts": "\x01"},
        {"size": [3, 4], "counts": "oooooooooooo"},
        {"size": [3, 4], "counts": "o"},
        {"size": [True, 4], "counts": [1]},
    ],
)
def test_what_is_no_mask_is_refused(mask: Any) -> None:
    with pytest.raises(ValueError, match="a mask has"):
        around_mask(mask)


def test_things_without_a_box_have_that_of_their_outline_or_mask(tmp_path: Path) -> None:
    photos(tmp_path, "a.png")
    path = coco(
        tmp_path / "coco.json",
        ["a.png"],
        mark(0, 1, None, segmentation=[[1, 2, 5.5, 2, 5, 9], [20, 20, 22, 20, 22, 25]]),
        mark(0, 2, [], segmentation={"size": [30, 40], "counts": [62, 5, 1133]}),
        mark(0, 2, None, segmentation={"size": [30, 40], "counts": [5]}, iscrowd=1),
        mark(0, 2, None, segmentation=[["x"]]),
        mark(0, 2, None, segmentation=[]),
    )
    found = listed(path, tmp_path, crops=True)
    assert labels(found) == {
        "a.png": (["cat", "dog"], 3),
        "a.png#xywh=1,2,21,23": (["dog"], None),
        # the third column from its third pixel on
        "a.png#xywh=2,2,1,5": (["cat"], None),
    }
    assert found.told == ["a box has no place on its image, and cannot be cut out"]


def test_a_panoptic_file_and_captions_are_coco_too(tmp_path: Path) -> None:
    photos(tmp_path, "a.png", "b.png")
    segments = [
        {"id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0},
        {"id": 2, "category_id": 2, "bbox": [1, 2, 30, 4], "iscrowd": 1},
    ]
    path = coco(
        tmp_path / "panoptic.json",
        ["a.png", "b.png"],
        {"image_id": 0, "file_name": "a_mask.png", "segments_info": segments},
    )
    assert labels(listed(path, tmp_path)) == {"a.png": (["cat", "dog"], 1), "b.png": ([], 0)}
    path = coco(
        tmp_path / "captions.json",
        ["a.png", "b.png"],
        {"image_id": 0, "caption": "A dog. "},
        {"image_id": 0, "caption": "A cat."},
        categories=None,
    )
    assert listed(path, tmp_path).said == {"a.png": {"caption": "A dog.\nA cat."}, "b.png": {}}
    path = coco(tmp_path / "captions.json", ["a.png", "b.png"], categories=[])
    assert listed(path, tmp_path).said == {"a.png": {}, "b.png": {}}


def test_a_folder_of_coco_is_all_of_its_files(tmp_path: Path) -> None:
    photos(tmp_path, "val2017/a.png", "train2017/b.png", "train2017/c.png")
    inner = tmp_path / "annotations"
    coco(inner / "instances_val2017.json", ["a.png"], mark(0))
    coco(inner / "instances_train2017.json", ["b.png", "c.png"], mark(0, 2), mark(0, 2))
    coco(
        inner / "captions_val2017.json",
        ["a.png"],
        {"image_id": 0, "caption": "A dog."},
        categories=None,
    )
    coco(inner / "person_keypoints_val2017.json", ["a.png"], mark(0))
    found = listed(tmp_path, tmp_path, "coco")
    assert found.said == {
        "val2017/a.png": {"labels": ["dog"], "box_count": 1, "split": "val", "caption": "A dog."},
        "train2017/b.png": {"labels": ["cat"], "box_count": 2, "split": "train"},
        "train2017/c.png": {"labels": [], "box_count": 0, "split": "train"},
    }
    assert found.told == [
        "it may say of things again what instances_*.json do, and is left out; give it by itself"
    ]
    # a damaged one ends it all: half a set would read as deletions
    write(inner / "instances_val2017.json", b"{")
    with pytest.raises(SourceError, match=r"instances_val2017\.json: it is no JSON"):
        listed(tmp_path, tmp_path, "coco")


def test_what_two_files_of_a_folder_say_of_one_place_counts_once(tmp_path: Path) -> None:
    photos(tmp_path, "images/a.png")
    boxes = [(1, 1, 5, 5), (2, 2, 5, 5), (2, 2, 5, 5), (9, 9, 5, 5)]
    coco(tmp_path / "dogs.json", ["a.png"], *(mark(0, 1, list(box)) for box in boxes[:3]))
    coco(tmp_path / "more.json", ["./a.png"], mark(0, 2, [1, 1, 5, 5]), mark(0, 1, [9, 9, 5, 5]),
         mark(0, 1, [1, 1, 5, 5]))  # fmt: skip
    found = listed(tmp_path, tmp_path, "coco", crops=True)
    assert labels(found) == {
        "images/a.png": (["cat", "dog"], 5),
        "images/a.png#xywh=1,1,5,5": (["cat", "dog"], None),
        "images/a.png#xywh=2,2,5,5": (["dog"], None),
        "images/a.png#xywh=9,9,5,5": (["dog"], None),
    }


def test_a_folder_has_no_images_of_elsewhere(tmp_path: Path) -> None:
    photos(tmp_path, "set/a.png", "b.png")
    coco(tmp_path / "set/train/_annotations.coco.json", ["../a.png", "../../b.png"], mark(0))
    found = listed(tmp_path / "set", tmp_path, "coco")
    assert labels(found) == {"set/a.png": (["dog"], 1)}
    assert found.told == [
        "an image lies outside of the folder, and is left out; give this file by itself"
    ]


# YOLO


def yolo(root: Path, text: str, **lines: str) -> Path:
    for name, line in lines.items():
        write(root / f"labels/{name}.txt", line.encode())
    return write(root / "data.yaml", text.encode())


@pytest.mark.parametrize(
    ("line", "more", "place"),
    [
        # a box about (20, 15) of 10 x 6 px
        ("1 0.5 0.5 0.25 0.2", "", "15,12,10,6"),
        # and how sure a model was of it
        ("1 0.5 0.5 0.25 0.2 0.93", "", "15,12,10,6"),
        # written with six digits: 13.33332 px to 26.66668 px are 13 to 27
        ("1 0.500000 0.500000 0.333334 0.333333", "", "13,10,14,10"),
        # an outline, and a turned box of four corners
        ("1 0.1 0.1 0.3 0.1 0.3 0.5", "", "4,3,8,12"),
        ("1 0.5 0.1 0.7 0.3 0.5 0.5 0.3 0.3", "", "12,3,16,12"),
        # a skeleton of two points behind a box, with and without how well they are seen
        ("1 0.5 0.5 0.25 0.2 0.1 0.1 2 0.9 0.9 2", "kpt_shape: [2, 3]\n", "15,12,10,6"),
        ("1 0.5 0.5 0.25 0.2 0.1 0.1 0.9 0.9", "kpt_shape: [2, 2]\n", "15,12,10,6"),
        # what lies off the image is cut off
        ("1 0 0 0.5 0.2", "", "0,0,10,3"),
    ],
)
def test_lines_of_yolo_are_boxes_outlines_and_skeletons(
    tmp_path: Path, line: str, more: str, place: str
) -> None:
    photos(tmp_path, "images/a.png")
    path = yolo(tmp_path, f"train: images\n{more}names: [dog, cat]\n", a=line)
    found = listed(path, tmp_path, crops=True)
    assert labels(found) == {
        "images/a.png": (["cat"], 1),
        f"images/a.png#xywh={place}": (["cat"], None),
    }


def test_a_line_that_is_neither_box_nor_outline_counts_and_has_no_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos(tmp_path, "images/a.png")
    path = yolo(tmp_path, "train: images\nnames: [dog]\n", a="0 .1 .1 .2 .2 .3 .3 .4")
    assert labels(listed(path, tmp_path, crops=True)) == {"images/a.png": (["dog"], 1)}
    assert "neither a box nor an outline" in caplog.text


def test_boxes_are_of_the_upright_picture(tmp_path: Path) -> None:
    from PIL import Image

    tmp_path.joinpath("images").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # 40 x 30 px in the file, 30 x 40 px as it is seen
    Image.new("RGB", (40, 30)).save(tmp_path / "images/a.jpg", exif=exif)
    write(tmp_path / "images/b.png", b"no picture")
    path = yolo(tmp_path, "train: images\nnames: [dog]\n", a="0 .5 .5 1 .5", b="0 .5 .5 1 1")
    assert labels(listed(path, tmp_path, crops=True)) == {
        "images/a.jpg": (["dog"], 1),
        "images/a.jpg#xywh=0,10,30,20": (["dog"], None),
        "images/b.png": (["dog"], 1),
    }


def test_a_split_is_a_list_below_a_path_that_is_elsewhere(tmp_path: Path) -> None:
    photos(tmp_path, "images/train/a.png", "images/val/b.png")
    write(tmp_path / "labels/train/a.txt", b"0 .5 .5 1 1")
    write(tmp_path / "train.txt", b"./images/train/a.png\n")
    write(tmp_path / "val.txt", b"images/val/b.png\n")
    for root in (".", "../datasets/coco8", "/home/ann/set"):
        path = yolo(tmp_path, f"path: {root}\ntrain: train.txt\nval: val.txt\nnames: {{0: dog}}\n")
        found = listed(path, tmp_path)
        assert labels(found) == {"images/train/a.png": (["dog"], 1), "images/val/b.png": ([], 0)}
        assert [said["split"] for said in found.said.values()] == ["train", "val"]


def test_darknets_own_description_is_read(tmp_path: Path) -> None:
    photos(tmp_path, "obj_train_data/sub/a.png", "obj_val_data/b.png")
    write(tmp_path / "obj_train_data/sub/a.txt", b"1 .5 .5 1 1")
    text = "classes = 2\ntrain = data/train.txt\nvalid = data/val.txt\nnames = data/obj.names\n"
    path = write(tmp_path / "obj.data", f"{text}backup = backup/\n".encode())
    write(tmp_path / "train.txt", b"data/obj_train_data/sub/a.png\r\n")
    write(tmp_path / "val.txt", b"data/obj_val_data/b.png\n")
    write(tmp_path / "obj.names", b"dog\r\ncat\r\n")
    for source, layout in ((path, None), (tmp_path, "yolo")):
        found = listed(source, tmp_path, layout)
        assert found.said == {
            "obj_train_data/sub/a.png": {"labels": ["cat"], "box_count": 1, "split": "train"},
            "obj_val_data/b.png": {"labels": [], "box_count": 0, "split": "val"},
        }


def test_a_folder_of_yolo_has_one_description(tmp_path: Path) -> None:
    for names, reason in (
        ([], "it has no data.yaml, obj.data or classes.txt"),
        (["a.yaml", "b.yml"], "it has a.yaml, b.yml; give the one that is meant"),
    ):
        for name in names:
            write(tmp_path / name, b"train: images\nnames: [dog]\n")
        with pytest.raises(SourceError, match=reason):
            list(open_source(str(tmp_path), layout="yolo").files(Listing()))
    # supervision writes the names alone
    inner = tmp_path / "names"
    photos(inner, "images/a.png")
    assert listed(yolo(inner, "names: [dog]\nnc: 1\n", a="0 .5 .5 1 1"), inner).said == {
        "images/a.png": {"labels": ["dog"], "box_count": 1}
    }
    # labelImg writes the classes beside the images
    inner = tmp_path / "flat"
    write(inner / "a.png", png(RED, (40, 30)))
    write(inner / "a.txt", b"0 .5 .5 1 1")
    write(inner / "classes.txt", b"dog\n")
    assert labels(listed(inner, inner, "yolo")) == {"a.png": (["dog"], 1)}
