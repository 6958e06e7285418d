"""What is opened for a lake that somebody else made: places below its sources, and no server inside
the own network.
"""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from indexer import trust
from indexer.address import Address
from indexer.disk.manifest import SourceEntry
from indexer.errors import SourceError, UnreadableImage
from indexer.sources import Listing
from indexer.sources.bytes_of import BytesOf
from indexer.sources.guard import INSIDE, OTHER_KIND, Reach, _is_public, remember_sites
from indexer.sources.opening import open_source
from tests.lakes import RED, Desk, png

pytestmark = pytest.mark.usefixtures("nothing_named")

OUTSIDE = "it lies in no source of its lake"
UP = "its path goes up again (..)"
TWO = "it holds two addresses (::)"


@pytest.mark.parametrize(
    ("source", "place", "reason"),
    [
        ("/photos", "/photos/a.jpg", None),
        ("/photos", "/photos/a/b::c?.jpg", None),
        ("/photos/", "/photos/a.jpg", None),
        ("/", "/etc/a.jpg", None),
        ("/photos/a.jpg", "/photos/a.jpg", None),
        ("/photos/a.jpg", "/photos/b.jpg", OUTSIDE),
        ("/photos", "/photos2/a.jpg", OUTSIDE),
        ("/photos", "/etc/passwd", OUTSIDE),
        ("/photos", "/photos/../etc/passwd", UP),
        ("/photos", "/photos/..", UP),
        ("/photos", "/photos/..a/b..c", None),
        ("/photos", "photos/a.jpg", "it is no whole path"),
        ("/photos", "simplecache::http://10.0.0.1/a.jpg", "it is no whole path"),
        ("/photos", "http://photos/a.jpg", OUTSIDE),
        ("/photos/**/*.jpg", "/photos/x/a.jpg", None),
        ("/photos/20[12]?/*.jpg", "/photos/2011/a.jpg", None),
        ("/photos/20[12]?/*.jpg", "/phot/2011/a.jpg", OUTSIDE),
        ("/photos/[old]", "/photos/[old]/a.jpg", None),
        ("@/lists/all.txt", "/anywhere/a.jpg", None),
        ("@/lists/all.txt", "https://photos.example/a.jpg", None),
        ("@/lists/all.txt", "/lists/../a.jpg", UP),
        ("s3://bucket/robot", "s3://bucket/robot/1.jpg", None),
        ("s3://bucket/robot", "s3://bucket/robots/1.jpg", OUTSIDE),
        ("s3://bucket/robot/**/*.jpg", "s3://bucket/robot/a/1.jpg", None),
        ("s3://bucket", "s3://bucket2/1.jpg", OUTSIDE),
        ("s3://bucket", "s3://bucket/a/../b::c.jpg", None),
        ("s3://bucket", "http://169.254.169.254/latest/meta-data", OUTSIDE),
        ("s3://*/robot", "s3://bucket/robot/1.jpg", OUTSIDE),
        ("https://photos.example/a", "https://photos.example/a/1.jpg?size=9", None),
        ("https://photos.example", "https://photos.example@10.0.0.1/1.jpg", OUTSIDE),
        ("https://photos.example", "https://photos.example.org/1.jpg", OUTSIDE),
        ("https://photos.example/a", "https://photos.example/a/../b.jpg", UP),
        ("https://photos.example/a", "https://photos.example/a/%2e%2E/b.jpg", UP),
        ("https://photos.example/a", "https://photos.example/a/..%5cb.jpg", UP),
        ("https://photos.example/a", "https://photos.example/a/x::file:///etc/passwd", TWO),
    ],
)
def test_a_row_names_places_below_the_sources_of_its_lake(
    source: str, place: str, reason: str | None
) -> None:
    found = Reach(["/other", source]).why_not(Address(place))
    assert found is None if reason is None else str(found).startswith(reason), found


def test_the_bytes_of_a_path_count_and_not_the_name_beside_them() -> None:
    reach = Reach(["/ph%FFotos"])
    assert reach.why_not(Address("/ph%FFotos/a.jpg", b"/ph\xffotos/a.jpg")) is None
    hidden = reach.why_not(Address("/ph%FFotos/a.jpg", b"/etc/shadow"))
    assert str(hidden).startswith(OUTSIDE)
    assert str(Reach([]).why_not(Address("/a.jpg"))).startswith(OUTSIDE)


@pytest.mark.parametrize(
    ("host", "is_public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("2002:7f00:1::", False),  # 127.0.0.1 by way of 6to4
    ],
)
def test_public_addresses(host: str, is_public: bool) -> None:
    assert _is_public(host) is is_public


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """A web server inside this network, and what it was asked for."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(png(RED))))
            self.end_headers()
            self.wfile.write(png(RED))

        do_HEAD = do_GET

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", paths
        server.shutdown()


def why(url: str) -> str:
    with pytest.raises(UnreadableImage) as caught:
        BytesOf(careful=True).read(Address(url), 1_000_000)
    return caught.value.reason


def test_a_server_inside_this_network_is_asked_only_if_the_user_named_it(
    asked: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, paths = asked
    by_name = site.replace("127.0.0.1", "localhost")
    assert why(f"{site}/a.png") == why(f"{by_name}/a.png") == INSIDE
    assert paths == []
    # Whoever names the place himself is not asked again.
    assert BytesOf().read(Address(f"{site}/b.png"), 1_000_000) == png(RED)
    remember_sites([f"{site}/photos/", "s3://bucket", "/photos"])
    assert BytesOf(careful=True).read(Address(f"{site}/c.png"), 1_000_000) == png(RED)
    assert why(f"{by_name}/a.png") == INSIDE
    monkeypatch.setenv("LAKESIFT_TRUST_SITES", f"sftp://nas, {by_name}/")
    assert BytesOf(careful=True).read(Address(f"{by_name}/d.png"), 1_000_000) == png(RED)
    assert paths == ["/b.png", "/c.png", "/d.png"]


def test_sites_that_were_named_are_remembered_by_other_processes(
    asked: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, _ = asked
    remember_sites([f"{site}/x", "s3://bucket/a", "az://box", "/photos", "sftp://nas/photos"])
    monkeypatch.setattr(trust, "_named", {"models": set(), "sites": set()})
    assert [trust.is_named("sites", each) for each in (site, "sftp://nas", "s3://bucket")] == [
        True,
        True,
        False,
    ]
    (trust.state_folder() / "named.json").write_text('{"format": 1, "models": 7}')
    assert not trust.is_named("sites", site)
    remember_sites([site])
    monkeypatch.setattr(trust, "_named", {"models": set(), "sites": set()})
    assert trust.is_named("sites", site)


@pytest.mark.parametrize(
    "url",
    [
        "sftp://10.0.0.1/a.png",
        "smb://server/share/a.png",
        "file:///etc/passwd",
        "local:///etc/passwd",
        "github://org:repo@main/a.png",
        "reference://x/a.png",
        "data://text,a",
        "FTP://host/a.png",
    ],
)
def test_other_kinds_of_addresses_are_for_the_user_to_name(url: str) -> None:
    assert why(url) == OTHER_KIND
    with pytest.raises(SourceError) as caught:
        open_source(url.replace("file:", "File:"), careful=True)
    assert caught.value.reason == OTHER_KIND


@pytest.mark.parametrize(
    "url", ["zip://x::http://10.0.0.1/a.zip", "dir://::file:///etc", "http://[::1]:80/a.png"]
)
def test_addresses_in_addresses_are_opened_for_nobody(url: str) -> None:
    for careful in (True, False):
        with pytest.raises(UnreadableImage) as caught:
            BytesOf(careful=careful).read(Address(url), 1_000_000)
        assert "::" in caught.value.reason or caught.value.reason == OTHER_KIND


def test_sync_asks_no_server_that_only_the_lake_names(
    tmp_path: Path, asked: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, paths = asked
    desk = Desk(tmp_path)
    assert desk.index(f"{site}/a.png").new == 1
    assert desk.sync().problems == []
    # The lake is carried to somebody who never named that server.
    monkeypatch.setenv("LAKESIFT_STATE", str(tmp_path / "another"))
    monkeypatch.setattr(trust, "_named", {"models": set(), "sites": set()})
    paths.clear()
    (problem,) = desk.sync().problems
    assert (
        problem
        == f"{site}/a.png: {INSIDE}; its 1 row was kept (if it should go, use --allow-empty)"
    )
    assert paths == []


def test_the_sites_of_a_list_are_named_with_it(
    tmp_path: Path, asked: tuple[str, list[str]]
) -> None:
    site, _ = asked
    (tmp_path / "all.txt").write_text(
        f"a.jpg\n{site}/1.png\n{site}/2.png\nhttp://b.example/3.png\n"
    )
    source = open_source(str(tmp_path / "all.txt"))
    assert source.sites(100) == {site, "http://b.example"}
    assert len(source.sites(1)) == 1
    desk = Desk(tmp_path)
    desk.sync(add=[SourceEntry(str(tmp_path / "all.txt"))])
    assert trust.is_named("sites", site)
    assert len(list(open_source(source.uri, careful=True).files(Listing()))) == 4
    assert (trust.state_folder() / "named.json").stat().st_mode & 0o777 == 0o600
