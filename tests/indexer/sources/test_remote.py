from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pytest

from indexer.errors import SourceError, UnreadableImage
from indexer.sources import ImageFile, Listing
from indexer.sources.opening import open_source
from indexer.sources.remote import RemoteSource
from indexer.sources.store import Store, etag, modified_us, store_reason
from tests.indexer.sources.conftest import bytes_of

Bucket = tuple[str, Any]


def listed(url: str, columns: str | None = None) -> list[ImageFile]:
    return sorted(open_source(url, columns).files(Listing()), key=lambda file: file.uri)


def uris(url: str) -> list[str]:
    return [file.uri for file in listed(url)]


@pytest.fixture
def memory() -> Iterator[Any]:
    fs = fsspec.filesystem("memory", use_listings_cache=False)
    yield fs
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


def test_a_prefix_lists_what_may_be_images_below_it(bucket: Bucket) -> None:
    name, fs = bucket
    for key in (
        "photos/a.jpg",
        "photos/sub/b.PNG",
        "photos/sub/IMG_001",
        "photos/notes.txt",
        "photos/.hidden/c.jpg",
        "photos/sub/.d.jpg",
        "photos/x.mp4",
        "photos-old/e.jpg",
    ):
        fs.pipe(f"{name}/{key}", b"12345")
    root = f"s3://{name}/photos"
    assert uris(root) == [f"{root}/a.jpg", f"{root}/sub/IMG_001", f"{root}/sub/b.PNG"]
    assert uris(root + "/") == uris(root)
    assert f"s3://{name}/photos-old/e.jpg" in uris(f"s3://{name}")


def test_the_listing_tells_size_time_and_etag(bucket: Bucket) -> None:
    name, fs = bucket
    before = time.time()
    fs.pipe(f"{name}/a.jpg", b"hello")
    [file] = listed(f"s3://{name}")
    assert (file.size_bytes, file.address.path_bytes, file.columns_etag, file.sidecars) == (
        5,
        None,
        None,
        (),
    )
    assert file.etag == "5d41402abc4b2a76b9719d911017c592"  # the MD5 of "hello"
    assert file.modified_us is not None
    assert abs(file.modified_us / 1e6 - before) < 30


def test_a_second_listing_sees_what_changed_since_the_first(bucket: Bucket) -> None:
    name, fs = bucket
    fs.pipe(f"{name}/p/a.jpg", b"one")
    for url in (f"s3://{name}/p", f"s3://{name}/p/*.jpg"):
        source = open_source(url)
        [first] = source.files(Listing())
        fs.pipe(f"{name}/p/a.jpg", b"other")
        fs.pipe(f"{name}/p/b.jpg", b"new")
        second = {file.uri: file for file in source.files(Listing())}
        assert second.keys() == {f"s3://{name}/p/a.jpg", f"s3://{name}/p/b.jpg"}
        assert second[first.uri].size_bytes == 5
        assert second[first.uri].etag != first.etag
        fs.rm(f"{name}/p/b.jpg")
        fs.pipe(f"{name}/p/a.jpg", b"one")


def test_globs_match_below_a_bucket(bucket: Bucket) -> None:
    name, fs = bucket
    for key in ("2024/a.jpg", "2024/x/b.jpg", "2024/x/b.png", "2025/c.jpg", "d.jpg"):
        fs.pipe(f"{name}/{key}", b"1")
    base = f"s3://{name}"
    assert uris(f"{base}/**/*.jpg") == [
        f"{base}/{k}" for k in ("2024/a.jpg", "2024/x/b.jpg", "2025/c.jpg", "d.jpg")
    ]
    assert uris(f"{base}/202?/*.jpg") == [f"{base}/2024/a.jpg", f"{base}/2025/c.jpg"]
    assert uris(f"{base}/2024/**/b.*") == [f"{base}/2024/x/b.jpg", f"{base}/2024/x/b.png"]
    assert uris(f"{base}/*/nothing-*.jpg") == []


def test_sidecars_in_a_bucket_become_caption_and_columns(bucket: Bucket) -> None:
    name, fs = bucket
    fs.pipe(f"{name}/p/cat.jpg", b"1")
    fs.pipe(f"{name}/p/cat-2.jpg", b"1")  # "-" sorts before ".": it comes between no cat.* keys
    fs.pipe(f"{name}/p/cat.txt", b" a cat \n")
    fs.pipe(f"{name}/p/cat.jpg.json", b'{"city": "Oslo", "n": 3}')
    for url in (f"s3://{name}/p", f"s3://{name}/p/*.jpg"):
        source = open_source(url)
        plain, cat = sorted(source.files(Listing()), key=lambda file: file.uri)
        assert (plain.uri, plain.sidecars, plain.columns_etag) == (
            f"s3://{name}/p/cat-2.jpg",
            (),
            None,
        )
        assert cat.sidecars == (f"s3://{name}/p/cat.txt", f"s3://{name}/p/cat.jpg.json")
        assert source.columns(cat) == {"caption": "a cat", "city": "Oslo", "n": 3}
        fs.pipe(f"{name}/p/cat.txt", b"a dog")
        again = next(file for file in source.files(Listing()) if file.uri == cat.uri)
        assert again.columns_etag != cat.columns_etag
        assert source.columns(again)["caption"] == "a dog"
        fs.pipe(f"{name}/p/cat.txt", b" a cat \n")


def test_a_sidecar_that_is_gone_costs_only_itself(bucket: Bucket) -> None:
    name, fs = bucket
    for key, data in (("cat.jpg", b"1"), ("cat.txt", b"a cat"), ("cat.json", b'{"n": 1}')):
        fs.pipe(f"{name}/{key}", data)
    source = open_source(f"s3://{name}")
    [cat] = source.files(Listing())
    fs.rm(f"{name}/cat.txt")
    assert source.columns(cat) == {"n": 1}


def test_a_table_is_joined_by_key_below_the_prefix_and_by_url(
    bucket: Bucket, tmp_path: Path
) -> None:
    name, fs = bucket
    fs.pipe(f"{name}/p/a.jpg", b"1")
    fs.pipe(f"{name}/p/s/b.jpg", b"1")
    table = tmp_path / "t.csv"
    table.write_text(f"path,city\ns/b.jpg,Oslo\ns3://{name}/p/a.jpg,Rome\nelsewhere.jpg,Bern\n")
    source = open_source(f"s3://{name}/p", str(table))
    files = {file.uri: file for file in source.files(Listing())}
    assert source.columns(files[f"s3://{name}/p/a.jpg"]) == {"city": "Rome"}
    assert source.columns(files[f"s3://{name}/p/s/b.jpg"]) == {"city": "Oslo"}
    assert source.unmatched_rows == 1


def test_reading_gives_the_bytes_from_several_threads(bucket: Bucket) -> None:
    name, fs = bucket
    for i in range(20):
        fs.pipe(f"{name}/p/{i:02d}.jpg", bytes([i]) * 1000)
    source = open_source(f"s3://{name}/p")
    files = sorted(source.files(Listing()), key=lambda file: file.uri)
    with ThreadPoolExecutor(8) as pool:
        data = list(pool.map(lambda file: bytes_of(file, 1000), files))
    assert data == [bytes([i]) * 1000 for i in range(20)]


def test_odd_keys_are_listed_and_read(bucket: Bucket) -> None:
    name, fs = bucket
    keys = ["p/ü ñ.jpg", "p/100%.jpg", "p/a b#c.jpg", "p/it's.jpg", "p/[x].jpg"]
    for key in keys:
        fs.pipe(f"{name}/{key}", key.encode())
    source = open_source(f"s3://{name}/p")
    files = list(source.files(Listing()))
    assert {file.uri for file in files} == {f"s3://{name}/{key}" for key in keys}
    assert {bytes_of(file, 100).decode() for file in files} == set(keys)


def test_an_empty_object_is_unreadable(bucket: Bucket) -> None:
    name, fs = bucket
    fs.pipe(f"{name}/a.jpg", b"")
    source = open_source(f"s3://{name}")
    [file] = source.files(Listing())
    with pytest.raises(UnreadableImage, match=r"a\.jpg: empty file$"):
        bytes_of(file, 10)


def test_a_large_or_vanished_object_is_unreadable_with_its_reason(bucket: Bucket) -> None:
    name, fs = bucket
    fs.pipe(f"{name}/a.jpg", b"12345")
    source = open_source(f"s3://{name}")
    [file] = source.files(Listing())
    with pytest.raises(
        UnreadableImage,
        match=r"/a\.jpg: 5e-06 MB, over the cap of 4e-06 MB \(LAKESIFT_MAX_BYTES\)$",
    ):
        bytes_of(file, 4)
    fs.pipe(f"{name}/a.jpg", b"123456789")  # grown since it was listed
    with pytest.raises(UnreadableImage, match="7e-06 MB, over the cap of 6e-06 MB"):
        bytes_of(file, 6)
    fs.rm(f"{name}/a.jpg")
    with pytest.raises(UnreadableImage, match=r"a\.jpg: it is not there$"):
        bytes_of(file, 10)


def test_a_bucket_of_many_pages_is_listed_whole(bucket: Bucket) -> None:
    name, fs = bucket
    fs.pipe({f"{name}/p/{i:04d}.jpg": b"1" for i in range(1100)})
    assert len(set(uris(f"s3://{name}/p"))) == 1100


def test_one_object_is_a_source_of_one_image(bucket: Bucket) -> None:
    name, fs = bucket
    fs.pipe(f"{name}/p/a.jpg", b"12345")
    source = open_source(f"s3://{name}/p/a.jpg")
    [file] = source.files(Listing())
    assert (file.uri, file.size_bytes, bytes_of(file, 5)) == (
        f"s3://{name}/p/a.jpg",
        5,
        b"12345",
    )


def test_an_empty_bucket_lists_nothing_and_a_missing_one_is_an_error(bucket: Bucket) -> None:
    name, _ = bucket
    assert listed(f"s3://{name}") == []
    for missing in (
        "s3://no-such-bucket-here",
        f"s3://{name}/no/such/prefix",
        "s3://no-such-bucket-here/**/*.jpg",
    ):
        with pytest.raises(SourceError) as caught:
            listed(missing)
        reason = (
            "nothing is there; check the address (AWS_ENDPOINT_URL where the store is not Amazon's)"
        )
        assert str(caught.value) == f"{missing}: {reason}"


def test_without_credentials_the_sentence_comes_soon(s3_server: str) -> None:
    hidden = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"}
    program = (
        "from indexer.errors import SourceError; from indexer.sources import Listing\n"
        "from indexer.sources.opening import open_source\n"
        "try: list(open_source('s3://private').files(Listing()))\n"
        "except SourceError as error: print(error)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert answer.stdout.startswith("s3://private: no credentials were found; set them as")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        sys.modules, "adlfs", None
    )  # as if it were not installed, which it is not here anyway
    with pytest.raises(SourceError) as caught:
        open_source("abfs://box/photos")
    assert str(caught.value) == (
        "abfs://box/photos: abfs:// needs a package that is not installed: pip install 'lakesift[azure]'"
    )


def test_an_unknown_kind_of_address_is_an_error() -> None:
    with pytest.raises(
        SourceError, match=r"^gopher://x: this address cannot be opened: Protocol not known: gopher"
    ):
        open_source("gopher://x")


def test_a_store_without_pages_is_walked_folder_by_folder(memory: Any) -> None:
    for path in ("/box/a.jpg", "/box/b/c.jpg", "/box/b/d/e.jpg", "/box/.x/f.jpg", "/box/b/c.txt"):
        memory.pipe(path, b"123")
    assert uris("memory://box") == [
        "memory://box/a.jpg",
        "memory://box/b/c.jpg",
        "memory://box/b/d/e.jpg",
    ]
    assert uris("memory://box/*/*.jpg") == ["memory://box/b/c.jpg"]
    assert uris("memory://") == uris("memory://box")
    source = open_source("memory://box")
    files = {file.uri: file for file in source.files(Listing())}
    assert bytes_of(files["memory://box/b/c.jpg"], 3) == b"123"
    assert files["memory://box/b/c.jpg"].sidecars == ("memory://box/b/c.txt",)
    assert source.columns(files["memory://box/b/c.jpg"]) == {"caption": "123"}


class FailingStore(Store):
    """A store that cannot look into some folders."""

    def __init__(self, fs: Any, fails: Callable[[str], bool]) -> None:
        super().__init__(fs)
        self._fails = fails

    def list_folder(self, path: str) -> list[Any]:
        if self._fails(path):
            raise PermissionError("Access Denied")
        return super().list_folder(path)


def test_a_folder_of_a_store_that_cannot_be_listed_is_told(memory: Any) -> None:
    memory.pipe("/box/a.jpg", b"1")
    memory.pipe("/box/shut/b.jpg", b"1")
    source = RemoteSource("memory://box")
    source._store = FailingStore(memory, lambda path: path.endswith("shut"))
    listing = Listing()
    assert [file.uri for file in source.files(listing)] == ["memory://box/a.jpg"]
    assert listing.unlisted == [("memory://box/shut/", "access is denied (Access Denied)")]
    source._store = FailingStore(memory, lambda path: True)
    with pytest.raises(SourceError, match=r"^memory://box: it cannot be listed: access is denied"):
        list(source.files(Listing()))


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"mtime": 1.5}, 1_500_000),
        ({"mtime": -0.5}, -500_000),
        ({"updated": "2024-01-01T00:00:00.000001Z"}, 1_704_067_200_000_001),
        ({"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}, 1_704_067_200_000_000),
        ({"mtime": "yesterday"}, None),
        ({}, None),
    ],
)
def test_times_of_all_stores_become_microseconds(
    info: dict[str, Any], expected: int | None
) -> None:
    assert modified_us(info) == expected


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError("Forbidden"), "access is denied (Forbidden)"),
        (TimeoutError(), "the store did not answer in time"),
        (FileNotFoundError("a/b"), "it is not there"),
        (RuntimeError("one line\nand a trace"), "one line"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_a_stores_errors_become_one_sentence(error: Exception, reason: str) -> None:
    assert store_reason(error) == reason


def test_etags_lose_their_quotes() -> None:
    assert etag({"ETag": '"abc"'}) == "abc"
    assert etag({"etag": "CJ="}) == "CJ="
    assert etag({"size": 3}) is None
