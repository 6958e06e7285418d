"""All nine exports as the page saves them, each opened by what reads it, or as that reads it; what
is left out is said, and what fails is said and not saved.
"""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
import yaml
from playwright.sync_api import Page, expect
from pycocotools.coco import COCO

from service.formats.format_list import downloads
from service.lake import Lake
from service.relevance import Filters, Target
from tests.lakes import Desk
from tests.service.formats.test_tools import label_interface, samples_of
from tests.service.page.conftest import Served, Visit, Visitor, serving
from tests.service.page.test_hand_over import REDS, part, saved
from tests.service.page.test_label import answers

SMALL = 3  # of the reds: YOLO reads no images below 10 pixels a side


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Thirty reds, rows 1 to 30, of which three are small; and thirty others."""
    desk = Desk(tmp_path_factory.mktemp("exports"))
    for number in range(30):
        size = (8, 8) if number < SMALL else (40, 30)
        desk.add(f"a/{number:03} ü.png", (255, number * 3, 0), size=size)
    for number in range(30):
        desk.add(f"b{number:03}.png", (110 - number, 0, 160 + number), size=(30, 40))
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.95))
        filter.label(answers(filter.next(60)["rows"]))
        while rows := filter.next(60, "audit")["rows"]:
            filter.label(answers(rows))
        assert not filter.apply()["refused"]
    return desk


@pytest.fixture(scope="module")
def kept(desk: Desk) -> dict[int, str]:
    """What the filter keeps: the places of images by row_id."""
    with Lake.open(desk.lake, desk.model) as lake:
        items, _ = Filters(lake).open("reds").decisions.items("keep")
        found = {item.row_id: item.place for item in items}
    assert set(found) == set(range(1, 31))
    return found


@pytest.fixture(scope="module")
def served(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    state = tmp_path_factory.mktemp("state")
    with serving(state, {"my": desk.lake}, embedder=desk.model) as served:
        yield served


@pytest.fixture
def visitor(visit: Visit, served: Served) -> Visitor:
    visitor = visit(served)
    visitor.page.goto(served.url + REDS)
    expect(part(visitor.page, "Kept").get_by_role("link")).to_have_count(9)
    return visitor


def tells(page: Page, sentences: str) -> None:
    expect(page.locator(".handed")).to_have_text(sentences)


def save(page: Page, title: str) -> tuple[str, Path]:
    return saved(page, part(page, "Kept").get_by_role("link", name=title, exact=True))


def unpacked(page: Page, title: str, place: Path) -> Path:
    """The folder that a packed export holds, as `unzip` makes it, with its links."""
    name, packed = save(page, title)
    assert name.endswith(".zip")
    subprocess.run(["unzip", "-q", packed, "-d", place], check=True)
    (folder,) = place.iterdir()
    return folder


def test_the_page_offers_all_that_can_be_saved(visitor: Visitor) -> None:
    titles = [each.title for each in downloads()]
    assert len(titles) == 9
    assert part(visitor.page, "Kept").get_by_role("link").all_inner_texts() == titles


def test_tables_and_paths(visitor: Visitor, kept: dict[int, str]) -> None:
    name, paths = save(visitor.page, "Paths")
    assert name == "reds-000003-txt.txt"
    assert paths.read_text().splitlines() == list(kept.values())
    tells(visitor.page, "reds-000003-txt.txt is saved, with 30 images.")
    with save(visitor.page, "CSV")[1].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {int(row["row_id"]): row["uri"] for row in rows} == kept
    table = pq.read_table(save(visitor.page, "Parquet")[1])
    assert dict(zip(*(table[c].to_pylist() for c in ("row_id", "uri")), strict=True)) == kept


def test_coco_is_read_by_pycocotools_and_tasks_by_label_studio(
    visitor: Visitor, kept: dict[int, str]
) -> None:
    coco = COCO(save(visitor.page, "COCO")[1])
    assert {i: coco.imgs[i]["file_name"] for i in coco.getImgIds()} == kept
    tasks = json.loads(save(visitor.page, "Label Studio")[1].read_bytes())
    interface = label_interface()
    assert all(interface.validate_task({"data": task["data"]}) for task in tasks)
    assert {task["data"]["row_id"]: task["data"]["uri"] for task in tasks} == kept


def test_cvats_manifest_and_annotations_name_the_same_frames(
    visitor: Visitor, kept: dict[int, str], tmp_path: Path
) -> None:
    folder = unpacked(visitor.page, "CVAT", tmp_path / "cvat")
    head, kind, *frames = map(json.loads, (folder / "manifest.jsonl").read_text().splitlines())
    assert (head, kind) == ({"version": "1.1"}, {"type": "images"})
    images = ElementTree.parse(folder / "annotations.xml").getroot().findall("image")
    frame_names = [frame["name"] + frame["extension"] for frame in frames]
    assert frame_names == [image.get("name") for image in images]
    assert [f"/{name}" for name in frame_names] == list(kept.values())
    assert {tag.get("label") for image in images for tag in image} == {"keep"}


def test_fiftyones_data_and_labels_have_the_same_names(
    visitor: Visitor, kept: dict[int, str], tmp_path: Path
) -> None:
    folder = unpacked(visitor.page, "FiftyOne", tmp_path / "fiftyone")
    data = json.loads((folder / "data.json").read_bytes())
    labels = json.loads((folder / "labels.json").read_bytes())["labels"]
    assert {int(name): place for name, place in data.items()} == kept
    assert data.keys() == labels.keys()
    assert {each["label"] for each in labels.values()} == {"keep"}


def test_yolos_links_lead_to_the_images_and_what_it_leaves_out_is_said(
    visitor: Visitor, kept: dict[int, str], tmp_path: Path
) -> None:
    folder = unpacked(visitor.page, "YOLO", tmp_path / "yolo")
    data = yaml.safe_load((folder / "data.yaml").read_text())
    assert data["names"] == {0: "reds"}
    listed = (folder / data["train"]).read_text().splitlines()
    assert [str((folder / name).readlink()) for name in listed] == list(kept.values())[SMALL:]
    tells(
        visitor.page,
        "reds-000003-yolo.zip is saved, with 27 images. 3 images were left out: YOLO reads no images "
        "below 10 pixels a side.",
    )
    # The next one is of all images: what was said of another file is not said of it.
    save(visitor.page, "CSV")
    tells(visitor.page, "reds-000003-csv.csv is saved, with 30 images.")


def test_webdataset_is_sent_as_it_is_made_and_read_by_webdataset(
    visitor: Visitor, kept: dict[int, str], tmp_path: Path
) -> None:
    name, tar = save(visitor.page, "WebDataset")
    assert name == "reds-000003-webdataset.tar"
    (tmp_path / name).write_bytes(tar.read_bytes())
    samples = samples_of([str(tmp_path / name)])
    assert {int(key): about["uri"] for key, _, about in samples} == kept
    assert {picture.getpixel((0, 0))[0] for _, picture, _ in samples} == {255}
    tells(
        visitor.page,
        "The browser saves it as it is made, and lists it among its downloads. An image that cannot be read by then "
        "is left out; lakesift filter export names each one.",
    )


def test_two_quick_clicks_save_a_file_once_and_two_files_each(visitor: Visitor) -> None:
    page = visitor.page
    names: list[str] = []
    page.on("download", lambda download: names.append(download.suggested_filename))
    page.evaluate(
        """() => {
          const links = [...document.querySelectorAll(".parts li:first-child a")];
          const [csv, coco] = ["CSV", "COCO"].map((name) => links.find((a) => a.textContent === name));
          for (const link of [csv, csv, coco]) link.click();
        }"""
    )
    expect(page.locator(".handed")).to_contain_text("reds-000003-coco.json is saved")
    assert names == ["reds-000003-csv.csv", "reds-000003-coco.json"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            {
                "status": 507,
                "json": {"error": {"code": "not_written", "message": "the disk is full"}},
            },
            "The disk is full.",
        ),
        (
            {"status": 200, "headers": {"Content-Length": "1000"}, "body": "half"},
            "The file broke off on its way, and nothing was saved; try again.",
        ),
    ],
    ids=["refused", "half"],
)
def test_what_fails_is_said_and_not_saved(
    visitor: Visitor, answer: dict[str, object], said: str
) -> None:
    page = visitor.page
    visitor.refusals = {507}
    page.route("**/export?*", lambda route: route.fulfill(**answer))
    names: list[str] = []
    page.on("download", lambda download: names.append(download.suggested_filename))
    part(page, "Kept").get_by_role("link", name="CSV").click()
    expect(page.locator("#notices")).to_contain_text(said)
    expect(page.locator(".handed")).to_have_text("")
    assert names == []
    page.unroute("**/export?*")
    assert save(page, "CSV")[0] == "reds-000003-csv.csv"
