"""Images in tars, zips and tables, handed over in every format and taken back as labels."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import tarfile
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.errors import BadRequest, LakeLocked, NotWritten
from service.formats.exporting import ExportReport, export
from service.formats.extracted_name import ExtractedName
from service.formats.format_list import FORMATS, extracting, names
from service.formats.item import IS_PART, Item
from service.formats.place import alone_at
from service.formats.read_labels import read_labels
from service.relevance.labels.label_imports import labels_of
from service.relevance.labels.row_names import RowNames
from tests.indexer.sources.containers.test_tar import tar_of
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk, live_rows, png, write
from tests.service.formats.test_tools import items_of, read_original
from tests.service.formats.things import HANDOVER, Stopped, stopping_after

SIZE = (16, 12)  # Ultralytics reads none below 10 px
IMAGES = {
    "val/000.tar#member=7.png": png(BLUE, SIZE),
    "train/000.tar#member=7.png": png(RED, SIZE),
    "stored.zip#member=x/a.png": png(GREEN, SIZE),
    "deflated.zip#member=a": png(YELLOW, SIZE),
    "set.parquet#member=image&row=0/1": png((9, 9, 9), SIZE),
    "loose.png": png((200, 9, 9), SIZE),
}
EXTRACTS = names(extracting())


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Two tars of one name, a zip of each kind, a table whose row 0 is empty, and a photo."""
    desk = Desk(tmp_path_factory.mktemp("members"))
    bytes_of = IMAGES.__getitem__
    for folder in ("train", "val"):
        tar = tar_of({"7.png": bytes_of(f"{folder}/000.tar#member=7.png"), "7.txt": b"seven"})
        write(desk.photos / folder / "000.tar", tar)
    for name, member, how in (
        ("stored.zip", "x/a.png", zipfile.ZIP_STORED),
        ("deflated.zip", "a", zipfile.ZIP_DEFLATED),
    ):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", how) as archive:
            archive.writestr(member, bytes_of(f"{name}#member={member}"))
        write(desk.photos / name, buffer.getvalue())
    image = {"bytes": bytes_of("set.parquet#member=image&row=0/1"), "path": "p.png"}
    pq.write_table(pa.table({"image": [None, image]}), desk.photos / "set.parquet")
    write(desk.photos / "loose.png", bytes_of("loose.png"))
    desk.index()
    return desk


@pytest.fixture
def given(desk: Desk) -> list[Item]:
    return items_of(desk)


def mark(desk: Desk, container: str) -> str:
    return hashlib.sha256(f"{desk.photos}/{container}".encode()).hexdigest()[:8]


def extracted_names(desk: Desk) -> dict[str, str]:
    """What each member is called as a file -> its row's place below the photos."""
    return {
        f"000.tar-{mark(desk, 'train/000.tar')}/7.png": "train/000.tar#member=7.png",
        f"000.tar-{mark(desk, 'val/000.tar')}/7.png": "val/000.tar#member=7.png",
        f"stored.zip-{mark(desk, 'stored.zip')}/x/a.png": "stored.zip#member=x/a.png",
        f"deflated.zip-{mark(desk, 'deflated.zip')}/a.png": "deflated.zip#member=a",
        f"set.parquet-{mark(desk, 'set.parquet')}/image-0-1.png": "set.parquet#member=image&row=0/1",
    }


def handed(
    given: list[Item], format: str, folder: Path, extract: Path | None = None, **more: Any
) -> ExportReport:
    reader: Callable[[Item], bytes] = read_original
    out = folder / f"out.{format}"
    return export(given, HANDOVER, format, out, None, reader, extract=extract, **more)


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_the_desk_has_a_row_of_each_kind(desk: Desk) -> None:
    assert {uri.removeprefix(f"{desk.photos}/") for uri in live_rows(desk.lake)} == set(IMAGES)


# -- without --extract


@pytest.mark.parametrize("format", EXTRACTS)
def test_formats_of_whole_files_leave_members_out_and_name_the_flag(
    format: str, given: list[Item], tmp_path: Path
) -> None:
    report = handed(given, format, tmp_path, root=None if format == "coco" else "/")
    if format == "coco":  # which has room for any name
        assert (report.items, report.skipped) == (6, [])
        return
    assert (report.items, len(report.skipped)) == (1, 5)
    assert {reason for _, reason in report.skipped} == {IS_PART}
    assert "--extract FOLDER" in IS_PART


def test_webdataset_copies_the_bytes_of_every_kind_undecoded(
    desk: Desk, given: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("an image was decoded")

    monkeypatch.setattr("PIL.Image.open", refuse)
    report = handed(given, "webdataset", tmp_path)
    assert (report.items, report.skipped) == (6, [])
    found: dict[str, bytes] = {}
    with tarfile.open(report.files[0]) as tar:
        for item in given:
            image = tar.extractfile(f"{item.row_id:012d}.png")
            about = tar.extractfile(f"{item.row_id:012d}.json")
            assert image is not None and about is not None
            found[json.load(about)["uri"].removeprefix(f"{desk.photos}/")] = image.read()
    assert found == IMAGES


@pytest.mark.parametrize("format", ["csv", "parquet", "txt", "coco"])
def test_places_that_are_named_come_back_as_labels(
    format: str, desk: Desk, given: list[Item], tmp_path: Path
) -> None:
    report = handed(given, format, tmp_path)
    assert (report.items, report.skipped) == (6, [])
    path = Path(report.files[0])
    if format == "parquet":
        uris = pq.read_table(path)["uri"].to_pylist()
    elif format == "txt":
        uris = path.read_text().splitlines()
    elif format == "coco":
        uris = [image["file_name"] for image in json.loads(path.read_bytes())["images"]]
    else:
        uris = [line.split(",")[1] for line in path.read_text().splitlines()[1:]]
        uris = [uri.strip('"') for uri in uris]
    assert uris == [item.uri for item in given]
    table = tmp_path / "labels.csv"
    table.write_text("uri,label\n" + "".join(f'"{uri}",yes\n' for uri in uris))
    assert rows_of(desk, table, "csv") == {item.row_id: "yes" for item in given}


def rows_of(desk: Desk, path: Path, format: str, **how: Any) -> dict[int, str]:
    """Row -> label, of a file that came back; a problem fails."""
    incoming = read_labels(path, format, **how)
    ids = {uri: row["row_id"] for uri, row in live_rows(desk.lake).items()}
    rows, row_ids = RowNames(ids), set(ids.values())
    labels, problems = labels_of(
        incoming.labels, rows.find, row_ids.__contains__, find_plain=rows.find_plain
    )
    assert [*incoming.problems, *problems] == []
    return {label.row_id: label.label for label in labels}


# -- with --extract


@pytest.mark.parametrize("format", EXTRACTS)
def test_members_are_written_out_and_named_there(
    format: str, desk: Desk, given: list[Item], tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    report = handed(given, format, tmp_path, kept)
    assert (report.items, report.skipped, report.extracted) == (6, [], 5)
    wanted = extracted_names(desk)
    assert files(kept) == {name: IMAGES[place] for name, place in wanted.items()}
    paths = [str(kept / name) for name in wanted] + [f"{desk.photos}/loose.png"]
    assert sorted(named_in(Path(report.files[0]), format)) == sorted(paths)
    assert not [*tmp_path.glob("*.lock")]


def named_in(made: Path, format: str) -> list[str]:
    """The paths that an export names."""
    if format == "yolo":
        return [str(path.readlink()) for path in (made / "images").iterdir()]
    if format == "fiftyone":
        return [*json.loads((made / "data.json").read_bytes()).values()]
    if format == "coco":
        return [image["file_name"] for image in json.loads(made.read_bytes())["images"]]
    if format == "cvat":
        root = ElementTree.parse(made / "annotations.xml").getroot()
        return [f"/{image.get('name')}" for image in root.iter("image")]
    tasks = json.loads(made.read_bytes())
    return [task["data"]["image"].replace("/data/local-files/?d=", "/") for task in tasks]


@pytest.mark.parametrize("format", ["coco", "cvat", "label_studio"])
@pytest.mark.parametrize("below_kept", [False, True])
def test_labels_for_extracted_files_find_their_rows(
    format: str, below_kept: bool, desk: Desk, given: list[Item], tmp_path: Path
) -> None:
    """Row 1 is dropped, the others are kept; of two tars of one name each label finds its own."""
    members = [item for item in given if item.is_part]
    kept = tmp_path / "kept"
    root = str(kept) if below_kept else None
    report = handed(members, format, tmp_path, kept, root=root)
    dropped, path = members[0].row_id, Path(report.files[0])
    back = answered(path, format, members.index(members[0]), tmp_path)
    yes = {"yes": ["bed"], "empty_is_no": True} if format == "coco" else {}
    assert rows_of(desk, back, format, root=root, **yes) == {
        item.row_id: "no" if item.row_id == dropped else "yes" for item in members
    }


def answered(made: Path, format: str, dropped: int, folder: Path) -> Path:
    """The export as its tool gives it back, with the image of this number dropped."""
    back = folder / "back"
    if format == "cvat":
        tree = ElementTree.parse(made / "annotations.xml")
        for number, tag in enumerate(tree.getroot().iter("tag")):
            tag.set("source", "manual")
            tag.set("label", "drop" if number == dropped else "keep")
        tree.write(back)
        return back
    document = json.loads(made.read_bytes())
    if format == "coco":
        document.pop("info")  # as tools leave it out, with our ids
        document["categories"] = [{"id": 5, "name": "bed"}]
        document["annotations"] = [
            {"id": number, "image_id": image["id"], "category_id": 5}
            for number, image in enumerate(document["images"])
            if number != dropped
        ]
    else:
        for number, task in enumerate(document):
            choice = {"choices": ["drop" if number == dropped else "keep"]}
            task["data"] = {"image": task["data"]["image"]}  # as some projects keep no more
            task["annotations"] = [
                {"completed_by": 1, "result": [{"type": "choices", "value": choice}]}
            ]
    back.write_text(json.dumps(document))
    return back


def test_a_second_run_reads_no_archive_and_writes_nothing(
    given: list[Item], tmp_path: Path
) -> None:
    def refuse(item: Item) -> bytes:
        raise AssertionError("an archive was read")

    first = handed(given, "yolo", tmp_path, tmp_path / "kept")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = export(
        given, HANDOVER, "yolo", tmp_path / "out.yolo", None, refuse, extract=tmp_path / "kept"
    )
    assert again == replace(first, already=1, extracted=0)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    # another export to the same folder finds them there, too
    other = export(given, HANDOVER, "coco", tmp_path / "c", None, refuse, extract=tmp_path / "kept")
    assert (other.items, other.extracted) == (6, 0)


def test_a_file_that_went_missing_is_written_again(given: list[Item], tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    first = handed(given, "yolo", tmp_path, kept)
    whole = files(kept)
    (kept / min(whole)).unlink()
    again = handed(given, "yolo", tmp_path, kept)
    assert (again.already, again.extracted, again.items) == (1, 1, first.items)
    assert files(kept) == whole


def test_a_stopped_run_goes_on_with_what_is_missing(given: list[Item], tmp_path: Path) -> None:
    kept, out = tmp_path / "kept", tmp_path / "out.coco"
    members = [item for item in given if item.is_part]
    with pytest.raises(Stopped):
        export(stopping_after(members, 2), HANDOVER, "coco", out, None, read_original, extract=kept)
    assert not out.exists()
    assert len(files(kept)) == 2
    report = handed(members, "coco", tmp_path, kept)
    assert (report.items, report.extracted) == (5, 3)


def test_other_bytes_are_never_written_over(desk: Desk, given: list[Item], tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    first, second, *_ = extracted_names(desk)
    write(kept / first, b"somebody's")
    (kept / second).parent.mkdir()
    Path(kept / second).symlink_to(tmp_path / "elsewhere")
    report = handed(given, "coco", tmp_path, kept)
    assert report.items == 4
    assert sorted(reason for _, reason in report.skipped) == sorted(
        f"{kept / name} has other bytes; choose another folder to extract to, or move it away"
        for name in (first, second)
    )
    assert (kept / first).read_bytes() == b"somebody's"
    assert not (tmp_path / "elsewhere").exists()
    (kept / first).unlink()
    (kept / second).unlink()
    assert handed(given, "coco", tmp_path, kept).items == 6


def test_no_link_below_the_folder_is_followed(
    desk: Desk, given: list[Item], tmp_path: Path
) -> None:
    kept, elsewhere = tmp_path / "kept", tmp_path / "elsewhere"
    kept.mkdir()
    elsewhere.mkdir()
    name = next(iter(extracted_names(desk))).partition("/")[0]
    (kept / name).symlink_to(elsewhere)
    report = handed(given, "coco", tmp_path, kept)
    (reason,) = [reason for _, reason in report.skipped]
    assert reason.startswith(f"{kept / name} is no folder; ")
    assert [*elsewhere.iterdir()] == []


def test_an_archive_that_changed_is_left_out_with_its_reason(
    desk: Desk, given: list[Item], tmp_path: Path
) -> None:
    def gone(item: Item) -> bytes:
        if "train" in item.uri:
            return read_original(replace(item, columns={**item.columns, "sha256": "0" * 64}))
        return read_original(item)

    report = export(given, HANDOVER, "coco", tmp_path / "c", None, gone, extract=tmp_path / "kept")
    place = f"{desk.photos}/train/000.tar#member=7.png"
    assert report.skipped == [(place, "it has changed since it was indexed")]
    assert len(files(tmp_path / "kept")) == 4


@pytest.mark.parametrize("format", sorted(set(FORMATS) - set(EXTRACTS)))
def test_formats_that_name_no_whole_files_refuse_to_extract(
    format: str, given: list[Item], tmp_path: Path
) -> None:
    with pytest.raises(BadRequest) as caught:
        handed(given, format, tmp_path, tmp_path / "kept")
    assert str(caught.value) == (
        f"extract: {format} does not name whole files; coco, yolo, label_studio, cvat and fiftyone do"
    )
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_cannot_be_meant_is_refused_before_anything_is_written(
    given: list[Item], tmp_path: Path
) -> None:
    with pytest.raises(
        BadRequest, match=r"^extract: .* is what the export makes; choose one beside"
    ):
        handed(given, "yolo", tmp_path, tmp_path / "out.yolo" / "images")
    with pytest.raises(BadRequest, match=r"^extract: .* does not lie below the root /photos"):
        handed(given, "cvat", tmp_path, tmp_path / "kept", root="/photos")
    with pytest.raises(NotWritten, match=r"there is no folder .*/a; make it first"):
        handed(given, "coco", tmp_path, tmp_path / "a" / "b")
    with alone_at(tmp_path / "kept", "a test"), pytest.raises(LakeLocked):
        handed(given, "coco", tmp_path, tmp_path / "kept")
    assert [*tmp_path.iterdir()] == []


def test_a_full_disk_ends_the_export_with_a_sentence_and_it_goes_on_later(
    given: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("service.formats.extracting.write_file", full)
        with pytest.raises(NotWritten) as caught:
            handed(given, "coco", tmp_path, tmp_path / "kept")
    assert "/kept/" in str(caught.value)
    assert str(caught.value).endswith(
        " cannot be written: no space left on device; what is whole is kept, and the same command "
        "goes on from there"
    )
    assert handed(given, "coco", tmp_path, tmp_path / "kept").extracted == 5


def test_a_file_in_the_folders_place_is_told(given: list[Item], tmp_path: Path) -> None:
    write(tmp_path / "kept", b"a file")
    with pytest.raises(NotWritten, match=r"/kept cannot be written: file exists$"):
        handed(given, "coco", tmp_path, tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == b"a file"


def test_an_export_of_an_earlier_version_goes_on_and_another_folder_is_another_export(
    given: list[Item], tmp_path: Path
) -> None:
    handed(given, "coco", tmp_path)
    state = tmp_path / "out.coco.lakesift.json"
    document = json.loads(state.read_text())
    del document["extract"]
    state.write_text(json.dumps(document))
    assert handed(given, "coco", tmp_path).already == 1
    with pytest.raises(BadRequest, match=r"\(extract none and not .*/kept\)"):
        handed(given, "coco", tmp_path, tmp_path / "kept")
    assert handed(given, "coco", tmp_path, tmp_path / "kept", overwrite=True).extracted == 5


# -- names


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("member=x/7.jpg", "x/7.jpg"),
        ("member=7", "7.png"),
        ("member=7.cls", "7.cls.png"),
        ("member=Ü ñ#1.JPG", "Ü ñ#1.JPG"),
        ("row=4", "image-4.png"),
        ("member=image&row=2/4", "image-2-4.png"),
    ],
)
def test_a_parts_name_is_its_own_where_that_can_be(part: str, name: str) -> None:
    made = ExtractedName.of(f"/d/a.tar#{part}")
    assert made is not None
    folder, _, rest = made.file(".png").partition("/")
    assert (folder, rest) == (f"a.tar-{hashlib.sha256(b'/d/a.tar').hexdigest()[:8]}", name)


@pytest.mark.parametrize(
    "member",
    ["../../etc/a.jpg", "/etc/a.jpg", "a/../b.jpg", "./a.jpg", "a//b.jpg", "a\\b.jpg", "..", "",
     "a\0b.jpg", "line\nend.jpg", "x" * 300 + ".jpg", "ü" * 200 + ".jpg", "y/" + "x" * 300, "/"],
)  # fmt: skip
def test_no_member_leaves_the_folder_or_becomes_another(member: str) -> None:
    made = ExtractedName.of(f"/d/a.tar#member={member}")
    assert made is not None
    parts = made.file(".png").split("/")
    assert len(parts) >= 2
    for part in parts:
        assert part not in ("", ".", "..")
        assert part.isprintable() and "\\" not in part
        assert len(part.encode()) < 230
    marked = hashlib.sha256(member.encode()).hexdigest()[:8]
    assert marked in parts[-1]


def test_a_whole_file_has_no_such_name() -> None:
    assert ExtractedName.of("/d/a#1.jpg") is None


def test_names_of_extracted_files_below_any_folder_mean_their_row() -> None:
    places = ["/d/a.tar#member=x/7.jpg", "/e/a.tar#member=x/7.jpg", "/d/t.parquet#row=0/3"]
    rows = RowNames({place: number for number, place in enumerate(places, 1)})
    made = [name for place in places if (name := ExtractedName.of(place))]
    for number, name in enumerate(made, 1):
        file = name.file(".png")
        assert rows.find(file) == number
        assert rows.find(f"/anywhere/{file}") == number
        assert rows.find(f"s3://bucket/kept/{file}") == number
        assert rows.find(f"C:\\kept\\{file}".replace("/", "\\")) == number
        assert rows.find(file.replace("/", "0/", 1)) is None
    # by the file's name alone, where one row has it
    assert rows.find_plain("image-0-3.png") == 3
    assert rows.find_plain("image-0-4.png") is None
    with pytest.raises(BadRequest, match="it may be any of 2 images"):
        rows.find_plain("7.jpg")
