"""The bytes of a row's image as they were indexed, or the reason why they cannot be had."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer.address import Address
from indexer.errors import ImageGone, ImageUnreachable
from indexer.sources.guard import Reach, remember_sites
from service.pictures.originals import IndexedImage, Originals
from tests.bad_images import as_nobody
from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, GREEN, RED, Desk, live_rows, png, write


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.add("a.png", RED)
    desk.add(os.fsdecode(b"b \xff.png"), GREEN)
    desk.index()
    return desk


def image_of(desk: Desk, name: str = "a.png") -> IndexedImage:
    return IndexedImage.of(desk.rows()[name], Reach(["/"]))


def gone(image: IndexedImage) -> str:
    with pytest.raises(ImageGone) as caught:
        Originals().read(image)
    assert str(caught.value) == f"{image.uri}: {caught.value.reason}; run `lakesift sync`"
    return caught.value.reason


def unreachable(image: IndexedImage) -> str:
    with pytest.raises(ImageUnreachable) as caught:
        Originals().read(image)
    assert (
        str(caught.value)
        == f"{image.uri} cannot be read now: {caught.value.reason}; see to it and try again"
    )
    return caught.value.reason


def test_the_bytes_are_those_that_were_indexed(desk: Desk) -> None:
    assert Originals().read(image_of(desk)) == png(RED)
    assert Originals().read(image_of(desk, "b %FF.png")) == png(GREEN)


def test_a_deleted_file_is_gone(desk: Desk) -> None:
    (desk.photos / "a.png").unlink()
    assert gone(image_of(desk)) == "it is not there any more"


def test_a_deleted_folder_is_gone_too(desk: Desk) -> None:
    image = image_of(desk)
    desk.photos.rename(desk.root / "elsewhere")
    desk.photos.write_text("a file where the folder was")
    assert gone(image) == "it is not there any more"


def test_a_file_of_another_size_has_changed(desk: Desk) -> None:
    desk.add("a.png", RED, size=(9, 9))
    assert gone(image_of(desk)) == "it has changed since it was indexed"


@pytest.mark.parametrize("later_s", [0, 60])
def test_a_file_of_the_same_size_and_even_time_has_changed(desk: Desk, later_s: int) -> None:
    path = desk.photos / "a.png"
    write(path, png(BLUE), path.stat().st_mtime + later_s)
    assert path.stat().st_size == image_of(desk).size_bytes
    assert gone(image_of(desk)) == "it has changed since it was indexed"


def test_a_file_that_was_only_touched_or_copied_back_is_as_good(desk: Desk) -> None:
    write(desk.photos / "a.png", png(RED), 1_700_000_000)
    assert Originals().read(image_of(desk)) == png(RED)


def test_a_truncated_file_has_changed(desk: Desk) -> None:
    os.truncate(desk.photos / "a.png", 30)
    assert gone(image_of(desk)) == "it has changed since it was indexed"
    os.truncate(desk.photos / "a.png", 0)
    assert gone(image_of(desk)) == "it has changed since it was indexed"


def test_what_is_no_file_is_never_opened(desk: Desk) -> None:
    path = desk.photos / "a.png"
    path.unlink()
    path.mkdir()
    assert gone(image_of(desk)) == "a folder is in its place"
    path.rmdir()
    os.mkfifo(path)  # opened, it would wait for a writer
    assert gone(image_of(desk)) == "a pipe (FIFO) is in its place"
    path.unlink()
    path.symlink_to("/dev/zero")
    assert gone(image_of(desk)) == "a device is in its place"


def test_a_link_to_something_else_of_the_same_size_gives_nothing_away(desk: Desk) -> None:
    image = image_of(desk)
    secret = desk.root / "secret"
    secret.write_bytes(bytes(image.size_bytes))
    (desk.photos / "a.png").unlink()
    (desk.photos / "a.png").symlink_to(secret)
    assert gone(image) == "it has changed since it was indexed"
    (desk.photos / "a.png").unlink()
    (desk.photos / "a.png").symlink_to("a.png")
    assert unreachable(image) == "too many levels of symbolic links"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_a_file_that_may_not_be_read_is_unreachable(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    desk = Desk(tmp_path)
    path = desk.add("a.png", RED)
    desk.index()
    image = image_of(desk)
    path.chmod(0)
    with as_nobody():
        assert unreachable(image) == "permission denied"
    desk.photos.chmod(0)
    with as_nobody():
        assert unreachable(image) == "permission denied"


def test_an_object_of_a_bucket(tmp_path: Path, bucket: tuple[str, Any]) -> None:
    name, fs = bucket
    desk, url = Desk(tmp_path, ColourEmbedder()), f"s3://{name}/a.png"
    fs.pipe(f"{name}/a.png", png(RED))
    desk.index(f"s3://{name}")
    image = IndexedImage.of(live_rows(desk.lake)[url], Reach([f"s3://{name}"]))
    originals = Originals()
    assert originals.read(image) == png(RED)
    # a store that did not tell the size
    assert originals.read(replace(image, size_bytes=0)) == png(RED)
    for changed in (png(BLUE), png(RED, (9, 9)), b"", b"short"):
        fs.pipe(f"{name}/a.png", changed)
        assert gone(image) == "it has changed since it was indexed"
    fs.rm(f"{name}/a.png")
    assert gone(image) == "it is not there any more"


@pytest.mark.usefixtures("nothing_named")
def test_a_store_out_of_reach_is_unreachable(desk: Desk) -> None:
    image = replace(image_of(desk), address=Address("nostore://bucket/a.png"))
    remember_sites(["nostore://bucket"])
    assert unreachable(image).startswith(
        "this address cannot be opened: Protocol not known: nostore"
    )
    image = replace(image, address=Address("http://127.0.0.1:1/a.png"))
    remember_sites(["http://127.0.0.1:1"])
    assert "127.0.0.1:1" in unreachable(image)
