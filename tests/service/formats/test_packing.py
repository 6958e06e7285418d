from __future__ import annotations

import io
import os
import stat
import zipfile
from pathlib import Path

from service.formats.packing import zip_folder


def test_a_folder_is_packed_with_its_links_and_the_same_bytes_again(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    (folder / "data.yaml").write_text("names: []\n")
    photo = tmp_path / "photo ä.jpg"
    photo.write_bytes(b"of the lake")
    (folder / "images" / "1.jpg").symlink_to(photo)
    packed, again = io.BytesIO(), io.BytesIO()
    zip_folder(folder, packed, "reds-yolo")
    os.utime(folder / "data.yaml", (1, 1))
    zip_folder(folder, again, "reds-yolo")
    assert packed.getvalue() == again.getvalue()
    with zipfile.ZipFile(packed) as read:
        modes = {entry.filename: entry.external_attr >> 16 for entry in read.infolist()}
        assert set(modes) == {
            "reds-yolo/data.yaml",
            "reds-yolo/images/",
            "reds-yolo/images/1.jpg",
            "reds-yolo/labels/",
        }
        assert stat.S_ISLNK(modes["reds-yolo/images/1.jpg"])
        assert read.read("reds-yolo/images/1.jpg") == os.fsencode(photo)
        assert read.read("reds-yolo/data.yaml") == b"names: []\n"
        assert read.testzip() is None
    assert b"of the lake" not in packed.getvalue()


def test_a_large_file_is_packed_piece_by_piece(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    data = os.urandom(3_000_001)
    (folder / "labels.json").write_bytes(data)
    with (tmp_path / "f.zip").open("wb") as file:
        zip_folder(folder, file, "f")
    with zipfile.ZipFile(tmp_path / "f.zip") as packed:
        assert packed.read("f/labels.json") == data
