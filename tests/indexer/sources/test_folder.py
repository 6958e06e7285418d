from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.address import Address
from indexer.disk.manifest import Manifest
from indexer.errors import SourceError, UnreadableImage
from indexer.sources import ImageFile, Listing, sorted_names
from indexer.sources.folder import FolderSource
from indexer.sources.globs import Glob
from indexer.sources.opening import open_source
from tests.indexer.sources.conftest import bytes_of


def make(root: Path, *names: str, content: str = "12345") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


def listed(root: Path | str) -> dict[str, ImageFile]:
    """By path below root."""
    listing = Listing()
    files = list(open_source(str(root)).files(listing))
    assert listing.files == len(files)
    assert listing.unlisted == []
    return {file.uri.removeprefix(f"{root}/"): file for file in files}


def test_everything_is_listed_but_what_is_plainly_no_image(tmp_path: Path) -> None:
    images = (
        "a.jpg",
        "B.JPEG",
        "IMG_001",
        "photo.jpeg.1",
        "scan.dat",
        "sub/deep/er/c.heic",
        "odd.jpg~",
        "x.unheard",
    )
    others = (
        "a.txt",
        "a.json",
        ".DS_Store",
        "Thumbs.db",
        "film.AVI",
        "all.7z",
        "rows.arrow",
        "weights.safetensors",
        "._a.jpg",
        ".git/d.jpg",
        "__MACOSX/e.jpg",
        "@eaDir/f.jpg",
        "run.py",
        "map.pdf",
    )
    make(tmp_path, *images, *others)
    assert set(listed(tmp_path)) == set(images)


def test_an_entry_tells_what_the_file_system_tells(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(0, 1_700_000_000_123_456_789))
    assert listed(tmp_path)["a.jpg"] == ImageFile(
        Address(f"{tmp_path}/a.jpg"),
        size_bytes=5,
        modified_us=1_700_000_000_123_456,
        etag=None,
        columns_etag=None,
        sidecars=(),
    )


def test_times_before_the_epoch_round_down(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(0, -1))
    assert listed(tmp_path)["a.jpg"].modified_us == -1


@pytest.mark.parametrize(
    "name",
    [
        "new\nline.jpg",
        'it\'s "q".jpg',
        "-rf.jpg",
        " a b .jpg",
        "100%25.jpg",
        "ü日本.jpg",
        "back\\slash.jpg",
    ],
)
def test_odd_names_stay_as_they_are(tmp_path: Path, name: str) -> None:
    make(tmp_path, name)
    [file] = listed(tmp_path).values()
    assert (file.uri, file.address.path_bytes) == (f"{tmp_path}/{name}", None)
    assert bytes_of(file, 5) == b"12345"


def test_names_that_are_not_utf8_are_escaped_and_keep_their_bytes(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/\xe9t\xe9"
    os.mkdir(folder)  # noqa: PTH102 - pathlib knows no bytes
    for name, content in (
        (b"\xff%.jpg", b"image"),
        (b"\xff%.txt", b"a caption"),
        (b"\xff%.jpg.json", b'{"n": 1}'),
    ):
        with open(folder + b"/" + name, "wb") as file:  # noqa: PTH123
            file.write(content)
    source = open_source(str(tmp_path))
    [image] = source.files(Listing())
    assert image.uri == f"{tmp_path}/%E9t%E9/%FF%.jpg"
    assert image.address.path_bytes == folder + b"/\xff%.jpg"
    assert image.sidecars == (f"{tmp_path}/%E9t%E9/%FF%.txt", f"{tmp_path}/%E9t%E9/%FF%.jpg.json")
    assert bytes_of(image, 5) == b"image"
    assert source.columns(image) == {"caption": "a caption", "n": 1}


def test_a_root_that_is_not_utf8_opens_again_by_its_uri(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/\xe9"
    os.mkdir(folder)  # noqa: PTH102
    with open(folder + b"/a.jpg", "wb"):  # noqa: PTH123
        pass
    source = open_source(os.fsdecode(folder))
    assert source.uri == f"{tmp_path}/%E9"
    for text in (
        source.uri,
        f"{source.uri}/*.jpg",
        open_source(os.fsdecode(folder) + "/*.jpg").uri,
    ):
        [file] = open_source(text).files(Listing())
        assert (file.uri, file.address.path_bytes) == (f"{tmp_path}/%E9/a.jpg", folder + b"/a.jpg")


def test_the_root_is_made_absolute_but_no_link_is_resolved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "real/a.jpg")
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for text in ("link", "./link/", "real/../link", "~/link", f"file://{tmp_path}/link"):
        source = open_source(text)
        assert source.uri == f"{tmp_path}/link"
        assert [file.uri for file in source.files(Listing())] == [f"{tmp_path}/link/a.jpg"]


def test_what_is_no_plain_file_is_listed_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        files = listed(tmp_path)
        assert set(files) == {"pipe.jpg", "gone.jpg", "loop.jpg", "socket"}
        for name in ("gone.jpg", "loop.jpg"):
            assert (files[name].size_bytes, files[name].modified_us) == (0, None)
        reasons = {}
        for name, file in files.items():
            with pytest.raises(UnreadableImage) as caught:
                bytes_of(file, 100)
            reasons[name] = caught.value.reason
    assert reasons == {
        "pipe.jpg": "a pipe (FIFO), not a file",
        "gone.jpg": "a symbolic link to something that is not there",
        "loop.jpg": "a loop of symbolic links",
        "socket": "a socket, not a file",
    }


def test_a_larger_file_is_not_read(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    with pytest.raises(UnreadableImage, match=r"a\.jpg: 5e-06 MB, over the cap of 4e-06 MB"):
        bytes_of(listed(tmp_path)["a.jpg"], 4)


def test_a_link_to_a_file_has_its_targets_size(tmp_path: Path) -> None:
    make(tmp_path, "in/a.jpg", content="123456789")
    (tmp_path / "in/b.jpg").symlink_to("a.jpg")
    assert {name: file.size_bytes for name, file in listed(tmp_path / "in").items()} == {
        "a.jpg": 9,
        "b.jpg": 9,
    }


def test_linked_folders_are_followed_once_and_real_paths_win(tmp_path: Path) -> None:
    root = tmp_path / "root"
    make(tmp_path, "root/z/a.jpg", "outside/b.jpg", "outside/deep/c.jpg")
    (root / "a_link_to_z").symlink_to("z")
    (root / "z/up").symlink_to("..")
    (root / "m2").symlink_to(tmp_path / "outside")
    (root / "m1").symlink_to(tmp_path / "outside")
    (tmp_path / "outside/deep/back").symlink_to(root)
    assert set(listed(root)) == {"z/a.jpg", "m1/b.jpg", "m1/deep/c.jpg"}


def test_a_folder_deeper_than_python_recurses_is_walked(tmp_path: Path) -> None:
    depth = 1200
    top = tmp_path / "top"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    try:
        # relative to a descriptor: the whole path would be too long to make at once
        for _ in range(depth):
            os.mkdir("d", dir_fd=here)
            deeper = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = deeper
        os.close(os.open("a.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    finally:
        os.close(here)
    try:
        assert list(listed(top)) == ["d/" * depth + "a.jpg"]
    finally:  # not left to pytest, whose own cleaning recurses
        subprocess.run(["rm", "-rf", str(top)], check=True)


MANIFEST = Manifest("builtin", {"name": "builtin"}, 2).to_json()


def test_a_lake_is_never_looked_into_which_is_told_and_is_no_source(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "my.lake/segments/x/b.jpg", "my.lake/c.jpg", "not/d.jpg")
    for folder in ("my.lake", "not"):
        (tmp_path / folder / "manifest.json").write_bytes(MANIFEST)
    assert set(listed(tmp_path)) == {"a.jpg", "not/d.jpg"}
    listing = Listing()
    list(open_source(str(tmp_path)).files(listing))
    assert listing.left_out == [(f"{tmp_path}/my.lake", "it is a lake, and was not looked into")]
    with pytest.raises(
        SourceError, match=r"my\.lake: this folder is a lake, not a source of images"
    ):
        listed(tmp_path / "my.lake")


@pytest.mark.parametrize(
    "manifest",
    [
        b'{"name": "my set", "files": 3}',
        b"[1, 2]",
        b"",
        b"not JSON",
        b"[" * 100_000,
        b'{"format": 1, "files": ["a.jpg"], "segments": [], "checksum": "x"}',
    ],
)
def test_a_data_set_with_names_of_ours_is_no_lake(tmp_path: Path, manifest: bytes) -> None:
    make(tmp_path, "set/segments/a.jpg", "set/manifests/1.jpg", "set/cover.jpg")
    make(tmp_path, "set/manifests/000001.json", content="{}")
    (tmp_path / "set/manifest.json").write_bytes(manifest)
    expected = {"segments/a.jpg", "manifests/1.jpg", "cover.jpg"}
    assert set(listed(tmp_path / "set")) == expected
    assert set(listed(tmp_path)) == {f"set/{name}" for name in expected}


def test_a_pipe_of_a_manifests_name_holds_nothing_up(tmp_path: Path) -> None:
    make(tmp_path, "segments/a.jpg")
    os.mkfifo(tmp_path / "manifest.json")
    assert set(listed(tmp_path)) == {"segments/a.jpg"}


def test_a_damaged_lake_and_one_just_being_made_are_lakes(tmp_path: Path) -> None:
    make(tmp_path, "cut/segments/a.jpg", "copy/segments/a.jpg", "new/segments/a.jpg", "b.jpg")
    (tmp_path / "cut/manifest.json").write_bytes(MANIFEST[:100])
    (tmp_path / "copy/manifest.json").write_bytes(b"")
    (tmp_path / "copy/manifests").mkdir()
    (tmp_path / "copy/manifests/000007.json").write_bytes(b"damaged")
    (tmp_path / "copy/manifests/000006.json").write_bytes(MANIFEST)
    for name in ("manifests", "tombstones", "skipped", "staging"):
        (tmp_path / "new" / name).mkdir()
    assert set(listed(tmp_path)) == {"b.jpg"}


def test_an_empty_folder_lists_nothing_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    assert listed(tmp_path) == {}
    source = FolderSource(os.fsencode(tmp_path / "gone"))
    with pytest.raises(SourceError) as caught:
        list(source.files(Listing()))
    reason = (
        "this folder cannot be listed: no such file or directory; check the path and its rights"
    )
    assert str(caught.value) == f"{tmp_path}/gone: {reason}"


def test_a_folder_that_vanishes_while_listing_reads_as_deleted(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "b/2.jpg")
    listing = Listing()
    files = open_source(str(tmp_path)).files(listing)
    assert next(files).uri == f"{tmp_path}/a/1.jpg"
    (tmp_path / "b/2.jpg").unlink()
    (tmp_path / "b").rmdir()
    assert list(files) == []
    assert listing.unlisted == []


def test_a_root_that_vanishes_while_listing_is_an_error(tmp_path: Path) -> None:
    make(tmp_path, "r/a/1.jpg", "r/b/2.jpg")
    files = open_source(str(tmp_path / "r")).files(Listing())
    next(files)
    (tmp_path / "r").rename(tmp_path / "elsewhere")
    with pytest.raises(
        SourceError, match="this folder cannot be listed: no such file or directory"
    ):
        list(files)


def test_a_folder_that_may_not_be_entered_is_told(tmp_path: Path) -> None:
    """In a process of its own, which gives up being root before it lists."""
    make(tmp_path, "open/a.jpg", "shut/b.jpg", "names_only/c.jpg", "names_only/sub/d.jpg")
    (tmp_path / "shut").chmod(0)
    (tmp_path / "names_only").chmod(0o444)
    program = (
        "import os, sys\n"
        "from indexer.sources import Listing\n"
        "from indexer.sources.folder import FolderSource\n"
        "os.chdir(sys.argv[1])\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "listing = Listing()\n"
        "for file in FolderSource(b'.').files(listing): print(file.uri)\n"
        "for prefix, reason in sorted(listing.unlisted): print(prefix, '|', reason)\n"
    )
    # Listed as ".", the current folder: nobody may walk down to pytest's own folders by their full
    # path.
    tmp_path.chmod(0o755)
    answer = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.stderr == ""
    assert answer.stdout.splitlines() == [
        "./open/a.jpg",
        "./names_only/ | permission denied",
        "./names_only/sub/ | permission denied",
        "./shut/ | permission denied",
    ]


def test_globs_match_files_below_their_folder(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "x/b.jpg", "x/y/c.jpg", "x/y/d.png", "z/e.JPG", "x/.h/f.jpg", "x/b.txt")

    def matches(pattern: str) -> set[str]:
        return {
            file.uri.removeprefix(f"{tmp_path}/")
            for file in open_source(f"{tmp_path}/{pattern}").files(Listing())
        }

    assert matches("*.jpg") == {"a.jpg"}
    assert matches("**/*.jpg") == {"a.jpg", "x/b.jpg", "x/y/c.jpg"}
    assert matches("x/**") == {"x/b.jpg", "x/y/c.jpg", "x/y/d.png"}
    assert matches("?/*.jpg") == {"x/b.jpg"}
    assert matches("[yz]/*.[jJ][pP][gG]") == {"z/e.JPG"}
    assert matches("*/y/*") == {"x/y/c.jpg", "x/y/d.png"}
    assert matches("x/**/y/*.png") == {"x/y/d.png"}
    assert matches("**/*.webp") == set()


def test_a_glob_keeps_its_sidecars_and_its_uri(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "x/b.jpg", "x/b.txt")
    monkeypatch.chdir(tmp_path)
    source = open_source("x/*.jpg")
    assert source.uri == f"{tmp_path}/x/*.jpg"
    [file] = open_source(source.uri).files(Listing())
    assert file.sidecars == (f"{tmp_path}/x/b.txt",)


def test_a_glob_enters_no_folder_that_cannot_match(tmp_path: Path) -> None:
    make(tmp_path, "2024/raw/a.jpg", "2024/other/b.jpg", "2023/raw/c.jpg")
    glob = Glob.split(f"{tmp_path}/2024*/raw/*.jpg", os.path.exists)
    source = FolderSource(os.fsencode(tmp_path), glob)
    entered: list[str] = []
    watching = True

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "os.scandir" and isinstance(arguments[0], bytes):
            entered.append(os.fsdecode(arguments[0]))

    sys.addaudithook(hear)  # it cannot be taken out again
    assert [file.uri for file in source.files(Listing())] == [f"{tmp_path}/2024/raw/a.jpg"]
    watching = False
    assert entered == [str(tmp_path), f"{tmp_path}/2024", f"{tmp_path}/2024/raw"]


def test_images_come_in_the_order_of_their_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-` is less than `/`, which is less than `0`; three names in memory at a time."""
    monkeypatch.setattr(sorted_names, "NAMES_AT_ONCE", 3)
    names = ["a-b/1.jpg", "a.jpg", "a/0/z.jpg", "a/1.jpg", "a/\n2.jpg", "a0.jpg"]
    names += [f"b/{n:02d}.jpg" for n in range(10)]
    make(tmp_path, *reversed(names))
    (tmp_path / "a-a").symlink_to(tmp_path.parent / "elsewhere")
    make(tmp_path.parent / "elsewhere", "1.jpg")
    found = [file.uri for file in FolderSource(os.fsencode(tmp_path)).files(Listing())]
    assert found == [f"{tmp_path}/{name}" for name in [*sorted(names), "a-a/1.jpg"]]


def test_a_glob_below_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"/gone: this folder cannot be listed: no such file or directory"
    ):
        list(open_source(f"{tmp_path}/gone/*.jpg").files(Listing()))
