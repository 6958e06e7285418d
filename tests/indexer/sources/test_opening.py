from __future__ import annotations

import os
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from PIL import Image

from indexer.errors import SourceError, UnreadableImage
from indexer.sources import ImageFile, Listing
from indexer.sources.names import NOT_IMAGES
from indexer.sources.opening import open_source
from tests.indexer.sources.conftest import bytes_of


@pytest.fixture
def website(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on this machine, and the folder that it shows."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path / "web"))  # type: ignore[arg-type]

        def log_message(self, *args: object) -> None:
            pass

    (tmp_path / "web").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", tmp_path / "web"
        server.shutdown()


def listed(text: str) -> list[ImageFile]:
    return list(open_source(text).files(Listing()))


def write_list(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def test_a_list_names_files_in_its_order_whatever_their_names(tmp_path: Path) -> None:
    names = ["b.jpg", "#1.jpg", " spaced .jpg", "sub/notes.txt", ".hidden.jpg"]
    (tmp_path / "sub").mkdir()
    for name in names:
        (tmp_path / name).write_bytes(b"12345")
    text = (
        "\ufeffb.jpg\r\n#1.jpg\n\n spaced .jpg\nsub/notes.txt\n.hidden.jpg\n./sub/../b.jpg\n"
        + f"{tmp_path}/b.jpg"
    )
    source = open_source(write_list(tmp_path / "list.txt", text.encode()))
    assert source.uri == f"@{tmp_path}/list.txt"
    files = list(open_source(source.uri).files(Listing()))
    assert [file.uri for file in files] == [f"{tmp_path}/{name}" for name in names]
    assert {file.size_bytes for file in files} == {5}
    assert bytes_of(files[1], 5) == b"12345"


def test_nul_separates_where_names_hold_newlines(tmp_path: Path) -> None:
    (tmp_path / "a\nb.jpg").write_bytes(b"1")
    text = write_list(tmp_path / "list.lst", b"a\nb.jpg\0\xff.jpg\r\0")
    files = listed(text)
    assert [(file.uri, file.address.path_bytes) for file in files] == [
        (f"{tmp_path}/a\nb.jpg", None),
        (f"{tmp_path}/%FF.jpg\r", os.fsencode(tmp_path) + b"/\xff.jpg\r"),
    ]


def test_a_list_longer_than_a_chunk_keeps_its_lines_whole(tmp_path: Path) -> None:
    names = [f"folder/{i:06d}.jpg" for i in range(70_000)]  # 1.2 MB
    text = write_list(tmp_path / "list.txt", "\n".join(names).encode())
    assert [file.uri for file in listed(text)] == [f"{tmp_path}/{name}" for name in names]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_list_in_utf16_is_decoded(tmp_path: Path, encoding: str) -> None:
    names = ["b.jpg", "sub/Zürich 東京.jpg", "c.jpg"]
    text = write_list(tmp_path / "list.txt", "\r\n".join([*names, ""]).encode(encoding))
    assert [file.uri for file in listed(text)] == [f"{tmp_path}/{name}" for name in names]


def test_a_list_in_utf16_that_breaks_off_is_refused(tmp_path: Path) -> None:
    text = write_list(tmp_path / "list.txt", "b.jpg\n".encode("utf-16")[:-1])
    with pytest.raises(SourceError, match=r"list\.txt: this list is UTF-16 and damaged \(trunc"):
        open_source(text)


def test_one_letter_names_between_nuls_are_no_utf16(tmp_path: Path) -> None:
    text = write_list(tmp_path / "list.txt", b"a\0b\0c\0")
    assert [file.uri for file in listed(text)] == [f"{tmp_path}/{name}" for name in "abc"]


def test_missing_files_and_folders_in_a_list_are_for_the_reader(tmp_path: Path) -> None:
    source = open_source(write_list(tmp_path / "list.txt", b"gone.jpg\n.\n"))
    gone, folder = source.files(Listing())
    assert (gone.size_bytes, gone.modified_us) == (0, None)
    with pytest.raises(
        UnreadableImage, match=r"gone\.jpg: vanished: there is no such file any more$"
    ):
        bytes_of(gone, 10)
    with pytest.raises(UnreadableImage, match=f"^{tmp_path}: a folder, not a file$"):
        bytes_of(folder, 10)


def test_a_list_has_sidecars_and_a_table_relative_to_its_folder(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s/a.jpg").write_bytes(b"1")
    (tmp_path / "s/a.txt").write_text("a cat")
    (tmp_path / "t.csv").write_text("file,n\ns/a.jpg,1\nx.jpg,2\n")
    source = open_source(write_list(tmp_path / "l.txt", b"s/a.jpg"), f"{tmp_path}/t.csv")
    [file] = source.files(Listing())
    assert file.columns_etag is not None
    assert source.columns(file) == {"caption": "a cat", "n": 1}
    assert (source.unmatched_rows, source.table_path) == (1, f"{tmp_path}/t.csv")


def test_new_sidecars_are_seen_by_the_next_listing_of_a_list(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"1")
    text = write_list(tmp_path / "l.txt", b"a.jpg")
    assert listed(text)[0].sidecars == ()
    (tmp_path / "a.json").write_text("{}")
    assert listed(text)[0].sidecars == (f"{tmp_path}/a.json",)


def test_a_list_may_mix_paths_and_urls(tmp_path: Path, website: tuple[str, Path]) -> None:
    url, folder = website
    (folder / "b.jpg").write_bytes(b"web")
    (tmp_path / "a.jpg").write_bytes(b"disk")
    text = f"a.jpg\n{url}/b.jpg\n{url}/gone.jpg\nfile://{tmp_path}/a.jpg\ngopher://x/c.jpg\n"
    source = open_source(write_list(tmp_path / "list.txt", text.encode()))
    a, b, gone, odd = source.files(Listing())
    assert [a.uri, b.uri, gone.uri] == [f"{tmp_path}/a.jpg", f"{url}/b.jpg", f"{url}/gone.jpg"]
    assert (bytes_of(a, 9), bytes_of(b, 9)) == (b"disk", b"web")
    assert b.size_bytes == 3
    with pytest.raises(UnreadableImage, match=r"gone\.jpg: it is not there$"):
        bytes_of(gone, 9)
    with pytest.raises(UnreadableImage, match=r"gopher://x/c\.jpg: this address cannot be opened"):
        bytes_of(odd, 9)


def test_a_web_address_is_a_source_of_one_image(website: tuple[str, Path]) -> None:
    url, folder = website
    (folder / "b.jpg").write_bytes(b"web")
    source = open_source(f"{url}/b.jpg?size=[1]")
    [file] = source.files(Listing())
    assert (file.uri, bytes_of(file, 9)) == (f"{url}/b.jpg?size=[1]", b"web")


def test_one_image_is_a_source(tmp_path: Path) -> None:
    for name in ("a.jpg", ".b.jpg", "noext"):
        (tmp_path / name).write_bytes(b"1")
        source = open_source(f"{tmp_path}/{name}")
        assert source.uri == f"{tmp_path}/{name}"
        assert [file.uri for file in source.files(Listing())] == [f"{tmp_path}/{name}"]


def test_an_existing_path_is_what_it_is_whatever_its_name(tmp_path: Path) -> None:
    for name in ("[old]*", "@photos", "100%41"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").write_bytes(b"1")
        assert [file.uri for file in listed(f"{tmp_path}/{name}")] == [f"{tmp_path}/{name}/a.jpg"]


def test_what_exists_is_no_glob_in_the_folders_before_it_either(tmp_path: Path) -> None:
    for name in ("set[1]/a.jpg", "set1/b.jpg", "set[1]/in?/c.jpg", "set[1]/in2/d.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"1")

    def found(pattern: str) -> list[str]:
        source = open_source(f"{tmp_path}/{pattern}")
        again = open_source(source.uri)  # as `sync` does
        files = [file.uri.removeprefix(f"{tmp_path}/") for file in again.files(Listing())]
        return sorted(files)

    assert found("set[1]/*.jpg") == ["set[1]/a.jpg"]
    assert found("set[1]/in?/*.jpg") == ["set[1]/in?/c.jpg"]
    assert found("set[1]/in[2?]/*.jpg") == ["set[1]/in2/d.jpg", "set[1]/in?/c.jpg"]
    assert found("set[12]/*.jpg") == ["set1/b.jpg"]
    assert found("set[1]/") == ["set[1]/a.jpg", "set[1]/in2/d.jpg", "set[1]/in?/c.jpg"]
    assert found("s*/") == ["set1/b.jpg", "set[1]/a.jpg", "set[1]/in2/d.jpg", "set[1]/in?/c.jpg"]
    assert found("s*") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "gone",
            "there is no such file or folder; give a folder, a glob in quotes, a list of files",
        ),
        ("@gone.txt", "there is no such list of files"),
        ("all.7z", "this is no image and no list of files; give a folder"),
        ("all.txt/", "this is no folder; give a folder"),
        ("pipe", "this is neither a file nor a folder; give a folder"),
        (
            "a**b/*.jpg",
            "this glob is not understood: Invalid pattern: '**' can only be",
        ),
        ("", "a source must have a name; give a folder"),
        ("%61ll.txt", "there is no such file or folder; give a folder"),
    ],
)
def test_what_is_no_source_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "all.7z").write_bytes(b"1")
    (tmp_path / "all.txt").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError) as caught:
        listed(text)
    name = text or "''"
    assert str(caught.value).startswith(f"{name}: {reason}")


def test_no_raster_format_that_pillow_opens_is_left_out() -> None:
    Image.init()
    opened = {
        suffix[1:] for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN
    }
    # Those that start another program, those that are vector drawings, and two that Pillow only
    # names.
    assert opened & NOT_IMAGES == {"ps", "eps", "emf", "wmf", "mpg", "mpeg", "h5"}
