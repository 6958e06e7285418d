"""Images and thumbnails over HTTP: the right bytes under a safe type,
kept as long as they are true, or a reason.
"""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from indexer.address import Address
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.routes.images import _disposition
from service.api.serving.keys import KeyStore
from service.pictures.originals import IndexedImage
from tests.bad_images import encoded, photo
from tests.indexer.sources.containers.test_tar import tar_of
from tests.lakes import BLUE, RED, Desk, png, write

HOST = "http://127.0.0.1:8377"
PHOTO = photo(640, 480)
FILES = {
    "a.jpg": encoded(PHOTO, "JPEG"),
    "b.png": encoded(PHOTO, "PNG"),
    "c.gif": encoded(PHOTO, "GIF"),
    "d.webp": encoded(PHOTO, "WEBP"),
    "e.avif": encoded(PHOTO, "AVIF"),
    "f.bmp": encoded(PHOTO, "BMP"),
    "g.heic": encoded(PHOTO, "HEIF"),
    "h.tif": encoded(PHOTO, "TIFF"),
    "i.jp2": encoded(PHOTO, "JPEG2000"),
    "j.ico": encoded(PHOTO, "ICO"),
    "k page.html": b"",  # left out when indexing: its name says that it is no image
    "l.PNG.jpg": encoded(PHOTO, "PNG"),
    "m ünï\"'; x=.png": png(RED),
    os.fsdecode(b"n \xff\n.tif"): encoded(Image.new("RGB", (9, 9), RED), "TIFF"),
}


def make_desk(root: Path) -> Desk:
    desk = Desk(root)
    for name, data in FILES.items():
        write(desk.photos / name, data)
    desk.index()
    return desk


@contextmanager
def serving(desk: Desk, config: ServeConfig | None = None) -> Iterator[TestClient]:
    app = create_app(
        {"my": desk.lake},
        config or ServeConfig(),
        embedder=desk.model,
        keys=KeyStore(desk.root / "state"),
    )
    with TestClient(app, base_url=HOST) as client:
        yield client


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Read it; do not write it."""
    return make_desk(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[TestClient]:
    with serving(desk) as client:
        yield client


def url(desk: Desk, name: str, kind: str = "image") -> str:
    return f"/v1/lakes/my/rows/{desk.ids()[name]}/{kind}"


def error_of(answer: Any) -> tuple[int, str, str]:
    body = answer.json()["error"]
    return answer.status_code, body["code"], body["message"]


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.jpg", "image/jpeg"),
        ("b.png", "image/png"),
        ("c.gif", "image/gif"),
        ("d.webp", "image/webp"),
        ("e.avif", "image/avif"),
        ("f.bmp", "image/bmp"),
        ("l.PNG.jpg", "image/png"),  # what it is, not what it is called
    ],
)
def test_what_browsers_show_comes_as_it_is(
    client: TestClient, desk: Desk, name: str, media_type: str
) -> None:
    answer = client.get(url(desk, name))
    assert answer.status_code == 200
    assert answer.content == FILES[name]
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-length"] == str(len(FILES[name]))


@pytest.mark.parametrize("name", ["g.heic", "h.tif", "i.jp2", "j.ico"])
def test_what_browsers_do_not_show_comes_as_a_jpeg(
    client: TestClient, desk: Desk, name: str
) -> None:
    answer = client.get(url(desk, name))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    shown = Image.open(io.BytesIO(answer.content))
    assert shown.format == "JPEG"
    assert shown.size == ((256, 192) if name == "j.ico" else (640, 480))
    assert answer.headers["content-disposition"].startswith(f'inline; filename="{name[0]}.jpg"')


def test_a_picture_opened_by_itself_can_do_nothing(client: TestClient, desk: Desk) -> None:
    for kind in ("image", "thumbnail"):
        headers = client.get(url(desk, "a.jpg", kind)).headers
        assert headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("name", "disposition"),
    [
        ("a.jpg", "inline; filename=\"a.jpg\"; filename*=UTF-8''a.jpg"),
        (
            "m ünï\"'; x=.png",
            "inline; filename=\"m _n____ x_.png\"; filename*=UTF-8''m%20%C3%BCn%C3%AF%22%27%3B%20x%3D.png",
        ),
        ("n %FF\n.tif", "inline; filename=\"n _FF_.jpg\"; filename*=UTF-8''n%20%25FF%0A.jpg"),
    ],
)
def test_it_is_saved_under_its_own_name(
    client: TestClient, desk: Desk, name: str, disposition: str
) -> None:
    assert client.get(url(desk, name)).headers["content-disposition"] == disposition


def test_members_are_sent_and_saved_under_their_own_names(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    photo = FILES["a.jpg"]
    write(desk.photos / "0.tar", tar_of({"x/a.jpg": photo, "x/b": photo}))
    with zipfile.ZipFile(desk.photos / "1.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("c.jpg", photo)
    pq.write_table(pa.table({"image": [None, photo]}), desk.photos / "2.parquet")
    desk.index()
    names = {}
    with serving(desk) as client:
        for name in desk.rows():
            answer = client.get(url(desk, name))
            assert (answer.status_code, answer.content) == (200, photo)
            names[name] = answer.headers["content-disposition"].split('"')[1]
            small = client.get(url(desk, name, "thumbnail"))
            assert Image.open(io.BytesIO(small.content)).size == (256, 192)
    assert names == {
        "0.tar#member=x/a.jpg": "a.jpg",
        "0.tar#member=x/b": "b.jpg",
        "1.zip#member=c.jpg": "c.jpg",
        "2.parquet#member=image&row=0/1": "image-0-1.jpg",
    }


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ({"stream": "/camera/front", "time_us": 1_500_000, "row_index": 99}, "drive-7.png"),
        ({"member": "x/a.jpg", "offset": 512, "length": 9}, "a.jpg"),
    ],
)
def test_a_part_of_a_file_has_a_name_of_its_own(part: dict[str, Any], name: str) -> None:
    image = IndexedImage(7, Address("/d/drive.mcap", **part), 9, "0" * 64, "png")
    assert _disposition(image, converted=False).startswith(f'inline; filename="{name}"')


def test_thumbnails_have_the_size_asked_for_or_the_next(client: TestClient, desk: Desk) -> None:
    for query, size in (("", (256, 192)), ("?size=32", (128, 96)), ("?size=300", (512, 384))):
        for name in ("a.jpg", "g.heic"):
            answer = client.get(url(desk, name, "thumbnail") + query)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
            assert Image.open(io.BytesIO(answer.content)).size == size
    answer = client.get(url(desk, "a.jpg", "thumbnail?size=1024"))
    assert Image.open(io.BytesIO(answer.content)).size == (640, 480)
    assert answer.headers["content-disposition"].startswith('inline; filename="a.jpg"')


@pytest.mark.parametrize("size", ["31", "1025", "-1", "big"])
def test_other_sizes_are_refused(client: TestClient, desk: Desk, size: str) -> None:
    answer = client.get(url(desk, "a.jpg", f"thumbnail?size={size}"))
    assert error_of(answer)[:2] == (422, "invalid_request")
    assert answer.json()["error"]["field"] == "size"


def test_a_picture_of_a_known_version_is_kept_for_ever(client: TestClient, desk: Desk) -> None:
    version = sha256(FILES["a.jpg"]).hexdigest()[:16]
    for kind in ("image", "thumbnail"):
        address = url(desk, "a.jpg", kind)
        lasting = client.get(f"{address}?v={version}").headers["cache-control"]
        assert lasting == "private, max-age=31536000, immutable"
        for other in ("", "?v=", "?v=" + "0" * 16, f"?v={version[:8]}"):
            assert client.get(address + other).headers["cache-control"] == "private, no-cache"


def test_a_copy_that_is_still_good_is_not_sent_again(client: TestClient, desk: Desk) -> None:
    etags = set()
    for kind in ("image", "thumbnail?size=128", "thumbnail?size=256"):
        address = url(desk, "a.jpg", kind)
        etag = client.get(address).headers["etag"]
        etags.add(etag)
        for named in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            answer = client.get(address, headers={"If-None-Match": named})
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["etag"] == etag
            assert answer.headers["cache-control"] == "private, no-cache"
        assert client.get(address, headers={"If-None-Match": '"other"'}).status_code == 200
    assert len(etags) == 3


def test_head_tells_all_but_the_bytes(client: TestClient, desk: Desk) -> None:
    for kind in ("image", "thumbnail"):
        for name in ("a.jpg", "g.heic"):
            got, head = (
                getattr(client, method)(url(desk, name, kind)) for method in ("get", "head")
            )
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers == got.headers


def test_an_image_that_is_no_longer_what_was_indexed_is_gone(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    path = desk.photos / "a.jpg"
    changes: list[tuple[Callable[[], object], str]] = [
        (lambda: os.truncate(path, 100), "it has changed since it was indexed"),
        (lambda: write(path, bytes(len(FILES["a.jpg"]))), "it has changed since it was indexed"),
        (path.unlink, "it is not there any more"),
        (path.mkdir, "a folder is in its place"),
    ]
    with serving(desk, ServeConfig(thumbnail_cache_bytes=0)) as client:
        for change, reason in changes:
            change()
            for kind in ("image", "thumbnail"):
                answer = client.get(url(desk, "a.jpg", kind))
                assert error_of(answer) == (
                    410,
                    "image_gone",
                    f"{path}: {reason}; run `lakesift sync`",
                )
                assert answer.headers["cache-control"] == "no-store"
        path.rmdir()
        write(path, FILES["a.jpg"])
        assert client.get(url(desk, "a.jpg")).content == FILES["a.jpg"]


def test_an_image_that_cannot_be_read_now_is_unreachable(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    path = desk.photos / "a.jpg"
    path.unlink()
    path.symlink_to(path)
    with serving(desk, ServeConfig(thumbnail_cache_bytes=0)) as client:
        for kind in ("image", "thumbnail"):
            answer = client.get(url(desk, "a.jpg", kind))
            reason = "too many levels of symbolic links"
            message = f"{path} cannot be read now: {reason}; see to it and try again"
            assert error_of(answer) == (503, "image_unreachable", message)
            assert int(answer.headers["retry-after"]) > 0


def test_a_thumbnail_that_was_kept_shows_what_was_indexed_even_when_the_file_is_gone(
    tmp_path: Path,
) -> None:
    desk = make_desk(tmp_path)
    with serving(desk) as client:
        kept = client.get(url(desk, "b.png", "thumbnail")).content
        (desk.photos / "b.png").unlink()
        assert client.get(url(desk, "b.png", "thumbnail")).content == kept
        assert client.get(url(desk, "b.png")).status_code == 410


def test_a_row_that_went_is_unknown_and_a_new_one_is_served(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    old = {kind: url(desk, "a.jpg", kind) for kind in ("image", "thumbnail")}
    number = desk.ids()["a.jpg"]
    write(desk.photos / "a.jpg", png(BLUE), 1_700_000_000)
    with serving(desk) as client:
        assert error_of(client.get(old["image"]))[:2] == (410, "image_gone")
        desk.sync()
        deadline = time.monotonic() + 60  # within which the service notices the new snapshot
        while client.get(old["image"]).status_code == 410 and time.monotonic() < deadline:
            time.sleep(0.05)
        for address in old.values():
            status, code, message = error_of(client.get(address))
            assert (status, code) == (404, "unknown_row")
            assert message.startswith(f"my has no row {number}; ")
        assert client.get(url(desk, "a.jpg")).content == png(BLUE)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/lakes/my/rows/999/image", 404, "unknown_row"),
        ("/v1/lakes/my/rows/999/thumbnail", 404, "unknown_row"),
        ("/v1/lakes/other/rows/1/image", 404, "unknown_lake"),
        ("/v1/lakes/my/rows/0/image", 422, "invalid_request"),
        ("/v1/lakes/my/rows/9007199254740992/thumbnail", 422, "invalid_request"),
        ("/v1/lakes/my/rows/%2Fetc%2Fpasswd/image", 404, "not_found"),
        ("/v1/lakes/my/rows/1%2F..%2F2/image", 404, "not_found"),
    ],
)
def test_there_is_no_other_way_to_a_file(
    client: TestClient, path: str, status: int, code: str
) -> None:
    assert error_of(client.get(path))[:2] == (status, code)
