"""Every other form, read by the tool that it is for where that installs;
else told as its reader's code reads.
"""

from __future__ import annotations

import gc
import io
import json
import os
import tarfile
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import webdataset
import yaml
from PIL import Image
from pycocotools.coco import COCO

from indexer.sources.guard import Reach
from service.formats.exporting import export
from service.formats.format_list import FORMATS
from service.formats.image_bytes import reader_of
from service.formats.item import NOT_READ, NOT_UTF8, Handover, Item
from service.formats.label_studio import LABEL_CONFIG
from service.pictures.originals import Originals
from tests.lakes import BLUE, GREEN, RED, Desk, png
from tests.service.formats.things import HANDOVER, item, names, url

ODD = b"/photos/b \xff.jpg"
TWO_OF_ONE_NAME = [
    item(1, "/photos/a/x.jpg"),
    item(2, "/photos/b/x.jpg", decision="ask", probability=None),
]


# -- COCO


def test_coco_is_read_by_pycocotools_with_row_ids_and_no_annotation(tmp_path: Path) -> None:
    given = [*TWO_OF_ONE_NAME, url(7, "https://example.org/c.jpg"), item(8, ODD)]
    report = export(given, HANDOVER, "coco", tmp_path / "kept.json")
    coco = COCO(tmp_path / "kept.json")
    assert coco.getImgIds() == [1, 2, 7]
    first, second, third = coco.loadImgs([1, 2, 7])
    assert first == {
        "id": 1,
        "file_name": "/photos/a/x.jpg",
        "width": 640,
        "height": 480,
        "decision": "keep",
        "score": 0.25,
        "probability": 0.9,
    }
    assert (second["file_name"], second["decision"]) == ("/photos/b/x.jpg", "ask")
    assert (third["file_name"], third["coco_url"]) == (
        "https://example.org/c.jpg",
        "https://example.org/c.jpg",
    )
    assert coco.getAnnIds() == []
    assert coco.loadCats(coco.getCatIds()) == [{"id": 1, "name": "hospital", "supercategory": ""}]
    assert report.skipped == [(given[3].uri, NOT_UTF8)]


def test_coco_says_which_filter_and_what_promise(tmp_path: Path) -> None:
    export(TWO_OF_ONE_NAME, HANDOVER, "coco", tmp_path / "kept.json")
    assert json.loads((tmp_path / "kept.json").read_bytes())["info"] == {
        "description": "hospital, version 3: keep",
        "filter": "hospital",
        "version": 3,
        "snapshot": 17,
        "promise": "Keeps at least 95 % of what is relevant, with 95 % confidence.",
        "decision": "keep",
    }


def test_coco_names_images_below_the_root_and_leaves_out_the_others(tmp_path: Path) -> None:
    report = export(TWO_OF_ONE_NAME, HANDOVER, "coco", tmp_path / "kept.json", root="/photos/a")
    coco = COCO(tmp_path / "kept.json")
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == ["x.jpg"]
    assert report.skipped == [("/photos/b/x.jpg", "it does not lie below /photos/a")]


def test_coco_of_nothing_is_read_too(tmp_path: Path) -> None:
    export([], HANDOVER, "coco", tmp_path / "kept.json")
    assert COCO(tmp_path / "kept.json").getImgIds() == []


# -- Label Studio


def label_interface() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic's word to Label Studio, that it is old-fashioned
        from label_studio_sdk.label_interface import LabelInterface

        return LabelInterface(LABEL_CONFIG)


def tasks_of(given: list[Item], folder: Path, root: str | None = None) -> list[dict[str, Any]]:
    export(given, HANDOVER, "label_studio", folder / "tasks.json", root=root)
    found: list[dict[str, Any]] = json.loads((folder / "tasks-00001.json").read_bytes())
    return found


def test_label_studio_takes_the_tasks_and_their_predictions(tmp_path: Path) -> None:
    interface = label_interface()
    interface.validate()
    tasks = tasks_of([*TWO_OF_ONE_NAME, item(3, decision="drop", probability=0.0)], tmp_path)
    for task in tasks:
        assert interface.validate_task({"data": task["data"]})
        (prediction,) = task["predictions"]
        assert interface.validate_prediction(prediction, return_errors=True) == []
    assert [task["predictions"][0]["result"][0]["value"] for task in tasks] == [
        {"choices": ["keep"]},
        {"choices": ["ask"]},
        {"choices": ["drop"]},
    ]
    assert [task["predictions"][0].get("score") for task in tasks] == [0.9, None, 0.0]
    assert {task["predictions"][0]["model_version"] for task in tasks} == {"hospital 3"}


def test_the_validator_does_refuse_what_is_wrong() -> None:
    wrong = {
        "result": [
            {
                "from_name": "decision",
                "to_name": "image",
                "type": "choices",
                "value": {"choices": ["x"]},
            }
        ]
    }
    assert label_interface().validate_prediction(wrong, return_errors=True) != []


def test_label_studio_finds_local_files_below_its_root_and_urls_as_they_are(tmp_path: Path) -> None:
    given = [item(1, "/data/photos/ü & 50%#+.jpg"), url(2, "https://example.org/c.jpg?v=1")]
    tasks = tasks_of(given, tmp_path, "/data")
    # Label Studio serves DOCUMENT_ROOT joined with the decoded value of `d`
    assert tasks[0]["data"]["image"] == "/data/local-files/?d=photos/%C3%BC%20%26%2050%25%23%2B.jpg"
    assert tasks[1]["data"]["image"] == "https://example.org/c.jpg?v=1"


def test_label_studio_has_everything_known_among_the_data(tmp_path: Path) -> None:
    (task,) = tasks_of(
        [item(5, label="yes", labeller="ann", columns={"caption": "a bed", "image": "mine"})],
        tmp_path,
    )
    assert task["data"] == {
        "caption": "a bed",
        "row_id": 5,
        "uri": "/photos/5.jpg",
        "width_px": 640,
        "height_px": 480,
        "decision": "keep",
        "score": 0.25,
        "probability": 0.9,
        "label": "yes",
        "labeller": "ann",
        "filter": "hospital",
        "version": 3,
        "snapshot": 17,
        "promise": "Keeps at least 95 % of what is relevant, with 95 % confidence.",
        "image": "/data/local-files/?d=photos/5.jpg",
        "own_image": "mine",
    }


def test_the_note_has_the_interface_that_the_tasks_need() -> None:
    shown = FORMATS["label_studio"].note.partition("interface: ")[2]
    assert ElementTree.canonicalize(shown, strip_text=True) == ElementTree.canonicalize(
        LABEL_CONFIG, strip_text=True
    )


# -- CVAT: its server reads these; `cvat-sdk` has no reader of either


def test_cvats_manifest_has_two_lines_of_header_and_one_a_frame(tmp_path: Path) -> None:
    """As ImageManifestManager reads it:
    name and extension make the path below the manifest's folder.
    """
    export(
        [*TWO_OF_ONE_NAME, item(3, "/photos/no suffix")],
        HANDOVER,
        "cvat",
        tmp_path / "kept",
        root="/photos",
    )
    lines = (tmp_path / "kept-00001" / "manifest.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"version": "1.1"},
        {"type": "images"},
        {"name": "a/x", "extension": ".jpg", "width": 640, "height": 480},
        {"name": "b/x", "extension": ".jpg", "width": 640, "height": 480},
        {"name": "no suffix", "extension": "", "width": 640, "height": 480},
    ]


def test_cvats_xml_has_a_frame_an_image_and_the_decision_as_a_tag(tmp_path: Path) -> None:
    given = [
        *TWO_OF_ONE_NAME,
        item(3, "/photos/\"<&>'ü.jpg", label="yes"),
        item(4, "/photos/bell\a.jpg"),
    ]
    report = export(given, HANDOVER, "cvat", tmp_path / "kept", root="/photos")
    root = ElementTree.parse(tmp_path / "kept-00001" / "annotations.xml").getroot()
    assert (root.tag, root.findtext("version")) == ("annotations", "1.1")
    assert root.findtext("meta/task/mode") == "annotation"
    assert [name.text for name in root.iterfind("meta/task/labels/label/name")] == [
        "keep",
        "drop",
        "ask",
    ]
    assert [dict(image.attrib) for image in root.iter("image")] == [
        {"id": "0", "name": "a/x.jpg", "width": "640", "height": "480"},
        {"id": "1", "name": "b/x.jpg", "width": "640", "height": "480"},
        {"id": "2", "name": "\"<&>'ü.jpg", "width": "640", "height": "480"},
    ]
    assert [(tag.get("label"), tag.get("source")) for tag in root.iter("tag")] == [
        ("keep", "auto"),
        ("ask", "auto"),
        ("keep", "manual"),
    ]
    assert report.skipped == [
        ("/photos/bell\a.jpg", "its path has a control character in it, which XML cannot hold")
    ]


def test_cvats_frames_are_numbered_anew_in_each_task(tmp_path: Path) -> None:
    export(TWO_OF_ONE_NAME, HANDOVER, "cvat", tmp_path / "kept", 1)
    root = ElementTree.parse(tmp_path / "kept-00002" / "annotations.xml").getroot()
    assert [(image.get("id"), image.get("name")) for image in root.iter("image")] == [
        ("0", "photos/b/x.jpg")
    ]


def test_a_filters_promise_cannot_break_the_xml(tmp_path: Path) -> None:
    export([], Handover("a<b>&", 1, 2, "<x>", "keep"), "cvat", tmp_path / "kept")
    root = ElementTree.parse(tmp_path / "kept-00001" / "annotations.xml").getroot()
    assert root.findtext("meta/task/name") == "a<b>& 1: keep"


# -- FiftyOne: its importer, with MongoDB's driver, costs 600 MB; it was tried by hand


def test_fiftyones_data_and_labels_have_the_same_names(tmp_path: Path) -> None:
    """As FiftyOneImageClassificationDatasetImporter reads them."""
    given = [*TWO_OF_ONE_NAME, url(3, "s3://shop/c.jpg"), item(4, label="no")]
    report = export(given, HANDOVER, "fiftyone", tmp_path / "kept")
    data = json.loads((tmp_path / "kept" / "data.json").read_bytes())
    labels = json.loads((tmp_path / "kept" / "labels.json").read_bytes())
    assert data == {"1": "/photos/a/x.jpg", "2": "/photos/b/x.jpg", "4": "/photos/4.jpg"}
    about = {"score": 0.25, "filter": "hospital", "version": 3, "snapshot": 17}
    assert labels == {
        "classes": None,
        "labels": {
            "1": {"label": "keep", "confidence": 0.9, "attributes": {"row_id": 1, **about}},
            "2": {"label": "ask", "attributes": {"row_id": 2, **about}},
            "4": {
                "label": "keep",
                "confidence": 0.9,
                "attributes": {"row_id": 4, **about, "human_label": "no"},
            },
        },
    }
    reason = "it is not on this machine's disks, and this format names files there"
    assert report.skipped == [("s3://shop/c.jpg", reason)]


# -- YOLO: Ultralytics' trainer is AGPL and brings torch; its YOLODataset read an export by hand


def test_yolos_images_are_links_whose_labels_go_beside_them(tmp_path: Path) -> None:
    """As Ultralytics finds them: ./ is the list's folder;
    the last /images/ becomes /labels/, the suffix .txt.
    """
    given = [*TWO_OF_ONE_NAME, item(3, ODD, columns={"format": "png"})]
    report = export(given, HANDOVER, "yolo", tmp_path / "kept")
    assert (report.items, report.skipped) == (3, [])
    folder = tmp_path / "kept"
    listed = (folder / "images.txt").read_text().splitlines()
    assert listed == [
        "./images/000000000001.jpg",
        "./images/000000000002.jpg",
        "./images/000000000003.png",
    ]
    assert [os.readlink(os.fsencode(folder / name)) for name in listed] == [  # noqa: PTH115 - bytes
        b"/photos/a/x.jpg",
        b"/photos/b/x.jpg",
        ODD,
    ]
    assert names(folder / "labels") == []


def test_what_ultralytics_passes_over_without_a_word_is_left_out_and_told(tmp_path: Path) -> None:
    given = [
        item(1),
        item(2, "/photos/2.gif", columns={"format": "gif"}),
        item(3, width_px=9),
        item(4, "/photos/4.raw", columns={"format": None}),
        item(5, "/photos/5", columns={"format": "heif"}, width_px=10, height_px=10),
    ]
    report = export(given, HANDOVER, "yolo", tmp_path / "kept")
    assert report.skipped == [
        ("/photos/2.gif", "YOLO reads no .gif files; convert it first"),
        ("/photos/3.jpg", "YOLO reads no images below 10 pixels a side"),
        ("/photos/4.raw", "YOLO reads no .raw files; convert it first"),
    ]
    assert names(tmp_path / "kept" / "images") == ["000000000001.jpg", "000000000005.heic"]
    assert len((tmp_path / "kept" / "images.txt").read_text().splitlines()) == 2


@pytest.mark.parametrize("format", ["coco", "cvat", "yolo"])
def test_formats_that_say_a_size_leave_out_an_image_that_nobody_read(
    tmp_path: Path, format: str
) -> None:
    given = [
        item(row_id, columns={"uri": f"/photos/{row_id}.jpg", "format": None}, width_px=width_px)
        for row_id, width_px in ((1, 640), (2, 0))
    ]
    report = export(given, HANDOVER, format, tmp_path / "kept")
    assert (report.items, report.skipped) == (1, [("/photos/2.jpg", NOT_READ)])


def test_yolos_data_are_yaml_with_one_class(tmp_path: Path) -> None:
    odd = Handover("yes: #no", 3, 17, "Two\nlines: {", "keep")
    export(TWO_OF_ONE_NAME, odd, "yolo", tmp_path / "kept")
    text = (tmp_path / "kept" / "data.yaml").read_text()
    assert yaml.safe_load(text) == {
        "train": "images.txt",
        "val": "images.txt",
        "names": {0: "yes: #no"},
    }
    assert text.startswith("# yes: #no, version 3, snapshot 17: keep\n# Two lines: {\n")


# -- WebDataset


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Two photos of one name, and one whose name is not UTF-8."""
    desk = Desk(tmp_path)
    desk.add("a/x.png", RED)
    desk.add("b/x.png", GREEN)
    desk.add(os.fsdecode(b"c \xff"), BLUE)
    desk.index()
    return desk


def items_of(desk: Desk) -> list[Item]:
    rows = sorted(desk.rows().values(), key=lambda row: int(row["row_id"]))
    return [
        Item.of({name: row[name] for name in row if name != "vector"}, "keep", 0.25, 0.9)
        for row in rows
    ]


read_original = reader_of(Originals(), Reach(["/"]))


def test_an_items_path_is_the_rows_own_bytes(desk: Desk) -> None:
    ids = desk.ids()
    paths = {one.row_id: one.path for one in items_of(desk)}
    assert paths[ids["c %FF"]] == os.fsencode(desk.photos) + b"/c \xff"
    assert paths[ids["a/x.png"]] == os.fsencode(desk.photos / "a/x.png")


def samples_of(tars: list[str]) -> list[Any]:
    """(key, picture, what is known), as a trainer gets them."""
    dataset = webdataset.WebDataset(tars, shardshuffle=False, empty_check=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # WebDataset leaves its tars open
        samples = list(dataset.decode("pil").to_tuple("__key__", "png", "json"))
        del dataset
        gc.collect()
    return samples


def test_webdataset_reads_the_images_that_were_indexed(desk: Desk, tmp_path: Path) -> None:
    report = export(items_of(desk), HANDOVER, "webdataset", tmp_path / "kept.tar", 2, read_original)
    assert names(tmp_path) == ["kept-00001.tar", "kept-00002.tar", "my.lake", "photos"]
    samples = samples_of(report.files)
    ids = desk.ids()
    colours = {
        f"{ids['a/x.png']:012d}": RED,
        f"{ids['b/x.png']:012d}": GREEN,
        f"{ids['c %FF']:012d}": BLUE,
    }
    assert {key: image.getpixel((0, 0)) for key, image, _ in samples} == colours
    about = {key: document for key, _, document in samples}[f"{ids['c %FF']:012d}"]
    assert about["uri"] == f"{desk.photos}/c %FF"
    assert (about["row_id"], about["decision"], about["filter"], about["version"]) == (
        ids["c %FF"],
        "keep",
        "hospital",
        3,
    )
    assert about["columns"]["format"] == "png"


def test_webdataset_leaves_out_what_has_changed_since(desk: Desk, tmp_path: Path) -> None:
    given = items_of(desk)
    (desk.photos / "a/x.png").write_bytes(png(BLUE))  # as many bytes as before
    (desk.photos / "b/x.png").unlink()
    report = export(given, HANDOVER, "webdataset", tmp_path / "kept.tar", None, read_original)
    assert sorted(report.skipped) == [
        (f"{desk.photos}/a/x.png", "it has changed since it was indexed"),
        (f"{desk.photos}/b/x.png", "it is not there any more"),
    ]
    with tarfile.open(report.files[0]) as tar:
        key = f"{desk.ids()['c %FF']:012d}"
        assert tar.getnames() == [f"{key}.png", f"{key}.json"]
        member = tar.extractfile(f"{key}.png")
        assert member is not None
        assert Image.open(io.BytesIO(member.read())).convert("RGB").getpixel((0, 0)) == BLUE


def test_a_tar_says_nothing_of_who_made_it_or_when(tmp_path: Path) -> None:
    export([item(1)], HANDOVER, "webdataset", tmp_path / "kept.tar", None, lambda one: b"jpeg")
    with tarfile.open(tmp_path / "kept-00001.tar") as tar:
        for member in tar:
            assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (
                0,
                0,
                0,
                "",
                "",
            )
            assert member.mode == 0o644
