"""Files whose names do not say that they hold images: the user says so, once."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any

import pytest

from indexer.disk.manifest import SourceEntry
from indexer.errors import SourceError
from indexer.preview import preview
from indexer.report import SyncReport
from indexer.sources.guard import Reach
from indexer.sources.opening import LAYOUTS, open_source
from service.cli.indexing import _LAYOUTS
from service.pictures.originals import IndexedImage, Originals
from tests.fakes import ColourEmbedder
from tests.indexer.recordings import bag_of, mcap_of, photo, ros2_bag_of
from tests.indexer.sources.containers.test_tar import tar_of
from tests.indexer.test_tables_and_zips import hugging_face, image, zipped
from tests.indexer.videos import film
from tests.lakes import BLUE, GREEN, RED, Desk, live_rows, png, write

ONE = tar_of({"a.png": png(RED), "a.txt": b"a red square"})


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, ColourEmbedder())


def index(desk: Desk, kind: str, source: Path | str | None = None) -> SyncReport:
    return desk.sync(add=[SourceEntry(str(source or desk.photos), layout=kind)])


def shown(desk: Desk) -> list[bytes]:
    """Of every row, as who shows a lake reads it: from the address alone."""
    originals = Originals()
    return [
        originals.read(IndexedImage.of(row, Reach([row["source"]])))
        for _, row in sorted(live_rows(desk.lake).items())
    ]


@pytest.mark.parametrize(
    "kind", ["tar", "tar.gz", "zip", "zip behind a program", "mcap", "bag", "db3", "parquet"]
)
def test_one_file_is_what_the_user_says(desk: Desk, tmp_path: Path, kind: str) -> None:
    hugging_face(tmp_path / "t.parquet", 1, row_group_size=1)
    sent = [photo(0, png(RED))]
    data = {
        "tar": ONE,
        "tar.gz": gzip.compress(ONE),
        "zip": zipped({"a.png": png(RED)}, 8),
        "zip behind a program": b"MZ" + bytes(98) + zipped({"a.png": png(RED)}, 8),
        "mcap": mcap_of(sent),
        "bag": bag_of(tmp_path / "a.bag", sent).read_bytes(),
        "db3": ros2_bag_of(tmp_path / "ros2", sent).read_bytes(),
        "parquet": (tmp_path / "t.parquet").read_bytes(),
    }[kind]
    path = write(desk.photos / "part-00000.bin", data)
    with pytest.raises(SourceError, match="this is no image and no list of files"):
        desk.index(path)
    report = index(desk, kind.partition(" ")[0], path)
    assert (report.new, report.problems, report.notes) == (1, [], [])
    [expected] = [image(0)] if kind == "parquet" else [png(RED)]
    assert shown(desk) == [expected]
    assert desk.idle_sync().unchanged == 1


def test_a_folder_of_parts_beside_photos_tables_and_other_kinds(desk: Desk) -> None:
    write(desk.photos / "part-00000", ONE)
    write(desk.photos / "part-00001.bin", tar_of({"b.png": png(GREEN)}))
    write(desk.photos / "loose.png", png(BLUE))
    write(desk.photos / "c.zip", zipped({"d.png": png(BLUE, (5, 4))}))
    write(desk.photos / "read.me.txt", b"text")
    write(desk.photos / ".hidden", b"nothing")
    report = index(desk, "tar")
    assert (report.new, report.problems, report.notes) == (4, [], [])
    assert sorted(desk.ids()) == [
        "c.zip#member=d.png",
        "loose.png",
        "part-00000#member=a.png",
        "part-00001.bin#member=b.png",
    ]
    assert desk.rows()["part-00000#member=a.png"]["caption"] == "a red square"
    assert desk.idle_sync().unchanged == 4
    # the source given again without the word keeps it
    assert desk.index().unchanged == 4
    write(desk.photos / "part-00002", b"no tar")
    report = desk.idle_sync()
    assert report.problems == [
        f"{desk.photos}/part-00002: it is no tar (truncated header); the images that it had are kept"
    ]
    assert report.rows == 4
    (desk.photos / "part-00002").unlink()
    shutil.move(desk.photos / "part-00001.bin", desk.photos / "0.tar")
    report = desk.idle_sync()
    assert (report.moved, report.new, report.gone, report.problems) == (1, 0, 0, [])


def test_a_glob_a_list_and_a_bucket(desk: Desk, bucket: tuple[str, Any]) -> None:
    name, fs = bucket
    for number, colour in enumerate((RED, GREEN)):
        data = tar_of({"a.png": png(colour, (4 + number, 4))})
        write(desk.photos / f"{number}.part", data)
        fs.pipe(f"{name}/parts/{number}.part", data)
    assert index(desk, "tar", f"{desk.photos}/?.part").new == 2
    listed = write(desk.root / "list.txt", f"{desk.photos}/0.part\n".encode())
    assert index(desk, "tar", f"@{listed}").new == 0
    report = index(desk, "tar", f"s3://{name}/parts/")
    assert (report.new, report.rows, report.problems) == (2, 4, [])
    assert desk.idle_sync().unchanged == 4


def test_what_a_name_says_is_not_said_otherwise(desk: Desk) -> None:
    for name, what in (("a.zip", "a zip"), ("a.jpg", "an image")):
        path = write(desk.photos / name, ONE)
        with pytest.raises(SourceError, match=f"its name says that it is {what}; leave out --as"):
            index(desk, "tar", path)
    with pytest.raises(SourceError, match="its boxes cannot be rows of their own"):
        open_source(str(desk.photos), layout="tar", crops=True)
    with pytest.raises(SourceError, match="there is no such file or folder"):
        open_source(str(desk.photos / "nothing"), layout="tar")
    assert _LAYOUTS == LAYOUTS


def test_a_preview_knows_it_too(desk: Desk) -> None:
    path = write(desk.photos / "part-00000.bin", ONE)
    add = [SourceEntry(str(path), layout="tar")]
    assert preview(None, lambda _: desk.model, add=add).to_index == 1


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_a_video_of_another_name(desk: Desk, tmp_path: Path, name: str) -> None:
    made = film(tmp_path / name, [("red", 2)])
    path = write(desk.photos / "clip.bin", made.read_bytes())
    with pytest.raises(SourceError, match="this is no image and no list of files"):
        desk.index(path)
    report = index(desk, "video", path)
    assert (report.new, report.problems, report.notes) == (2, [], [])
    assert len(shown(desk)) == 2
    assert desk.idle_sync().unchanged == 2
