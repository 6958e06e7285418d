"""Keys of a bucket that are no paths: each object is found and read under its own key, or told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from indexer.errors import SourceError, UnreadableImage
from indexer.sources import ImageFile, Listing
from indexer.sources.opening import open_source
from tests.indexer.sources.conftest import bytes_of

# s3fs, which the code reads with, cannot be told most of these keys: boto3 puts them there.
Put = tuple[str, Any]


@pytest.fixture
def put(s3_server: str) -> Iterator[Put]:
    """A bucket's name, and a function that puts objects into it, each holding its own key."""
    client = boto3.client("s3", endpoint_url=s3_server)
    name = "odd-keys"
    client.create_bucket(Bucket=name)
    keys: list[str] = []

    def put_keys(*new: str, empty: tuple[str, ...] = ()) -> None:
        keys.extend((*new, *empty))
        for key in (*new, *empty):
            body = b"" if key in empty else key.encode()
            client.put_object(Bucket=name, Key=key, Body=body)

    yield name, put_keys
    for key in keys:
        client.delete_object(Bucket=name, Key=key)
    client.delete_bucket(Bucket=name)


def listed(url: str, columns: str | None = None) -> list[ImageFile]:
    return sorted(open_source(url, columns).files(Listing()), key=lambda file: file.uri)


def keys_of(url: str, name: str) -> list[str]:
    """The keys that a source lists, each read back: an object holds its own key."""
    files = listed(url)
    keys = [file.uri.removeprefix(f"s3://{name}/") for file in files]
    assert [bytes_of(file, 1000).decode() for file in files if file.size_bytes] == [
        key for key, file in zip(keys, files, strict=True) if file.size_bytes
    ]
    return keys


def test_empty_parts_of_keys_are_parts(put: Put) -> None:
    name, add = put
    keys = ["/top.jpg", "col//x.jpg", "col/sub///z.jpg", "col/sub//z.jpg", "col/x.jpg", "top.jpg"]
    add(*keys)
    assert keys_of(f"s3://{name}", name) == sorted(keys)
    assert keys_of(f"s3://{name}/", name) == sorted(keys)
    assert keys_of(f"s3://{name}//", name) == ["/top.jpg"]
    assert keys_of(f"s3://{name}/col", name) == sorted(keys[1:5])
    assert keys_of(f"s3://{name}/col/", name) == sorted(keys[1:5])
    assert keys_of(f"s3://{name}/col//", name) == ["col//x.jpg"]
    assert keys_of(f"s3://{name}/col//x.jpg", name) == ["col//x.jpg"]
    assert keys_of(f"s3://{name}/col/sub//", name) == ["col/sub///z.jpg", "col/sub//z.jpg"]


def test_globs_see_empty_parts(put: Put) -> None:
    name, add = put
    add("col//x.jpg", "col/x.jpg", "col/sub//z.jpg", "col/sub/z.jpg")
    assert keys_of(f"s3://{name}/col/**/*.jpg", name) == [
        "col//x.jpg",
        "col/sub//z.jpg",
        "col/sub/z.jpg",
        "col/x.jpg",
    ]
    assert keys_of(f"s3://{name}/col/*.jpg", name) == ["col/x.jpg"]
    assert keys_of(f"s3://{name}/col//*.jpg", name) == ["col//x.jpg"]
    assert keys_of(f"s3://{name}/c*//*.jpg", name) == ["col//x.jpg"]
    assert keys_of(f"s3://{name}/col/*/*.jpg", name) == ["col//x.jpg", "col/sub/z.jpg"]


def test_what_exists_is_no_glob(put: Put) -> None:
    name, add = put
    add("set[1]/a.jpg", "set1/b.jpg", "what?.jpg", "whatX.jpg", "all*/c.jpg", "all-2/d.jpg")
    assert keys_of(f"s3://{name}/set[1]", name) == ["set[1]/a.jpg"]
    assert keys_of(f"s3://{name}/set[1]/", name) == ["set[1]/a.jpg"]
    assert keys_of(f"s3://{name}/set[1]/*.jpg", name) == ["set[1]/a.jpg"]
    assert keys_of(f"s3://{name}/set[1]/**", name) == ["set[1]/a.jpg"]
    assert keys_of(f"s3://{name}/what?.jpg", name) == ["what?.jpg"]
    assert keys_of(f"s3://{name}/all*/*.jpg", name) == ["all*/c.jpg"]
    assert keys_of(f"s3://{name}/wha[st]?.jpg", name) == ["what?.jpg", "whatX.jpg"]
    assert keys_of(f"s3://{name}/set[12]/*.jpg", name) == ["set1/b.jpg"]
    assert keys_of(f"s3://{name}/se*/", name) == ["set1/b.jpg", "set[1]/a.jpg"]


def test_an_object_beside_the_folder_of_its_name(put: Put) -> None:
    name, add = put
    add("pre", "pre/a.jpg", "pre-2.jpg", "set/b.jpg", "set/in/c.jpg", empty=("set", "set/in/"))
    assert keys_of(f"s3://{name}/pre", name) == ["pre", "pre/a.jpg"]
    assert keys_of(f"s3://{name}/pre/", name) == ["pre/a.jpg"]
    # An empty one is the mark of the folder.
    assert keys_of(f"s3://{name}/set", name) == ["set/b.jpg", "set/in/c.jpg"]
    assert keys_of(f"s3://{name}/set/", name) == ["set/b.jpg", "set/in/c.jpg"]
    assert keys_of(f"s3://{name}/*/*.jpg", name) == ["pre/a.jpg", "set/b.jpg"]
    # Within a larger listing it is an object like another: an empty file, and told as that.
    everything = ["pre", "pre-2.jpg", "pre/a.jpg", "set", "set/b.jpg", "set/in/c.jpg"]
    assert keys_of(f"s3://{name}", name) == everything
    with pytest.raises(SourceError, match=r"nope/: nothing is there; check the address"):
        listed(f"s3://{name}/nope/")
    with pytest.raises(SourceError, match=r"pre-2.jpg/: nothing is there; check the address"):
        listed(f"s3://{name}/pre-2.jpg/")


def test_keys_that_end_with_a_slash_are_markers_or_objects(put: Put) -> None:
    name, add = put
    add("a/x.jpg/", "a/x.jpg", "a/notes.txt/", "a/y.jpg", empty=("a/", "a/empty/"))
    assert keys_of(f"s3://{name}/a", name) == ["a/x.jpg", "a/x.jpg/", "a/y.jpg"]
    assert keys_of(f"s3://{name}/a/**", name) == ["a/x.jpg", "a/x.jpg/", "a/y.jpg"]


@pytest.mark.parametrize(
    "key",
    [
        "d/a::b.jpg",
        "d/ a .jpg ",
        "d/a\\b.jpg",
        "d/a+b%2Fc%20d.jpg",
        "d/\u00e9.jpg",  # composed and decomposed are two keys
        "d/e\u0301.jpg",
        "d/a#b?c=d&e.jpg",
        "d/\x01.jpg",
        "d/{x},'\"<>^`|~.jpg",
        "d//",
        "d/../z.jpg",
        "d/./z.jpg",
        "d/v1.0/IMG",
    ],
)
def test_odd_characters_are_of_the_key(put: Put, key: str) -> None:
    name, add = put
    add(key, "d/z.jpg")
    assert keys_of(f"s3://{name}/d/", name) == sorted([key, "d/z.jpg"])
    if not key.endswith("/"):
        assert keys_of(f"s3://{name}/{key}", name) == [key]


def test_a_list_and_a_table_name_keys_as_they_are(put: Put, tmp_path: Path) -> None:
    name, add = put
    add("d/x.jpg", "d//x.jpg", "d/a::b.jpg", "d/y.jpg/", "d/y.jpg")
    table = tmp_path / "t.csv"
    table.write_text(
        f"path,n\n/x.jpg,1\nx.jpg,2\ns3://{name}/d/y.jpg,3\ns3://{name}/d/y.jpg/,4\n./a::b.jpg,5\n"
    )
    source = open_source(f"s3://{name}/d", str(table))
    found = {
        file.uri.removeprefix(f"s3://{name}/"): source.columns(file)
        for file in source.files(Listing())
    }
    assert found == {
        "d//x.jpg": {"n": 1},
        "d/x.jpg": {"n": 2},
        "d/y.jpg": {"n": 3},
        "d/y.jpg/": {"n": 4},
        "d/a::b.jpg": {"n": 5},
    }
    assert source.unmatched_rows == 0
    text = tmp_path / "list.txt"
    text.write_text("".join(f"s3://{name}/{key}\n" for key in found))
    assert keys_of(str(text), name) == sorted(found)


def test_a_key_that_cannot_be_asked_for_is_told(put: Put) -> None:
    name, add = put
    add("d/a.jpg?versionId=1.jpg", "d/a.jpg")
    odd = next(file for file in listed(f"s3://{name}/d") if "?" in file.uri)
    with pytest.raises(UnreadableImage, match=r"a version of an object cannot be asked for"):
        bytes_of(odd, 100)
    with pytest.raises(SourceError, match=r"this address cannot be opened: a version of an"):
        open_source(odd.uri)
