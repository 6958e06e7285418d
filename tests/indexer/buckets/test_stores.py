"""Stores that fail, lie, or know other rules; and addresses that could be read in two ways."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from indexer.buckets import store
from indexer.buckets.publishing import publish_lake
from indexer.buckets.pulling import pull_lake
from indexer.buckets.store import Bucket
from indexer.disk.durable import replace_file
from indexer.disk.layout import Layout
from indexer.disk.manifest import read_manifest
from indexer.disk.sealed import sealed
from indexer.errors import BadRequest, BucketError, LakeDamaged, LakeError, LakeNotFound
from tests.indexer.sources.faulty import Faults
from tests.lakes import Desk


@pytest.mark.parametrize(
    ("address", "said"),
    [
        # What libraries of addresses drop or decode, other tools take for names.
        ("s3://bucket/lakes/v1#2", "'#' in it"),
        ("s3://bucket/lakes/v1?2", r"'\?' in it"),
        ("s3://bucket/my%20lake", "'%' in it"),
        ("s3://bucket/a\\b", r"'\\\\' in it"),
        ("s3://bucket/a\tb", "cannot be seen"),
        ("s3://bucket/a ", "cannot be seen"),
        ("s3://bucket/a/../b", "'..' between slashes"),
        ("s3://bucket/./b", "'..' between slashes"),
        ("s3://bucket//b", "an empty name"),
        ("s3://bucket/a//b", "an empty name"),
        ("s3://bucket:9000/a", "'bucket:9000' is no bucket's name"),
        ("s3://key:secret@bucket/a", "'bucket' is no bucket's name: keys"),
        ("s3://arn:aws:s3:eu-west-1:1:accesspoint/x/a", "is no bucket's name"),
    ],
)
def test_an_address_that_tools_read_in_two_ways_is_refused(address: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said) as caught:
        Bucket.open(address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("folder", ["my lake", "a*[x]/+~", "fotos ü/😀.lake", "a'b(1)!"])
def test_a_folder_is_called_as_it_was_written(
    desk: Desk, bucket: tuple[str, Any], tmp_path: Path, folder: str
) -> None:
    name, fs = bucket
    publish_lake(desk.lake, f"S3://{name}/{folder}/")
    keys = fs.find(name)
    assert f"{name}/{folder}/manifest.json" in keys
    assert all(each.startswith(f"{name}/{folder}/") for each in keys)
    assert pull_lake(f"s3://{name}/{folder}", tmp_path / "copy.lake").rows == 6


@pytest.mark.parametrize("mark", ["lakes/my.lake/", "lakes/my.lake/segments/", "lakes/"])
def test_a_folder_that_was_made_in_a_store_s_console_is_empty(
    desk: Desk, url: str, bucket: tuple[str, Any], tmp_path: Path, mark: str
) -> None:
    import boto3

    boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).put_object(
        Bucket=bucket[0], Key=mark, Body=b""
    )
    publish_lake(desk.lake, url)
    assert pull_lake(url, tmp_path / "copy.lake").rows == 6
    assert publish_lake(desk.lake, url, prune=True).sent_files == 0


@pytest.mark.parametrize(
    ("etag", "said"),
    [
        (lambda etag: f"W/{etag}", "as where a proxy before it changes ETags"),
        (lambda _: f'"{os.urandom(8).hex()}"', "as where a proxy before it changes ETags"),
        (lambda _: None, "it says no ETags"),
    ],
)
def test_etags_that_keep_nobody_apart_are_refused(
    desk: Desk, url: str, faults: Faults, bucket: tuple[str, Any], etag: Any, said: str
) -> None:
    faults.etag = etag
    with pytest.raises(BucketError, match=said):
        publish_lake(desk.lake, url)
    assert bucket[1].find(bucket[0]) == []


def test_a_store_that_knows_no_conditions_is_refused_at_once(
    desk: Desk, url: str, faults: Faults
) -> None:
    faults.answer = lambda method, path, headers: (
        (501, "NotImplemented", "A header you provided implies functionality not implemented")
        if method == "PUT" and any(each.lower().startswith("if-") for each in headers)
        else None
    )
    with pytest.raises(BucketError, match="it knows no puts on a condition"):
        publish_lake(desk.lake, url)


@pytest.mark.parametrize(
    ("status", "code", "message", "said"),
    [
        (403, "RequestTimeTooSkewed", "The clocks differ.", r"The clocks differ \(RequestTimeTooSkewed\)"),
        (403, "InvalidAccessKeyId", "No such key.", r"No such key \(InvalidAccessKeyId\)"),
        (400, "ExpiredToken", "The token has expired.", r"The token has expired \(ExpiredToken\)"),
        (
            400,
            "AuthorizationHeaderMalformed",
            "the region 'us-east-1' is wrong; expecting 'eu-west-1'",
            r"expecting 'eu-west-1' \(AuthorizationHeaderMalformed\)",
        ),
        (400, "InvalidInput", "A header is wrong.\nRequestId:1\nTime:2", r": A header is wrong \(InvalidInput\)$"),
        (301, "PermanentRedirect", "Use the specified endpoint.", "set AWS_REGION"),
    ],
)  # fmt: skip
def test_the_store_s_own_words_are_told(
    desk: Desk,
    url: str,
    faults: Faults,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str,
    message: str,
    said: str,
) -> None:
    monkeypatch.setattr(store, "_WAITS_S", ())
    faults.answer = lambda *_: (status, code, message)
    with pytest.raises(BucketError, match=said) as caught:
        publish_lake(desk.lake, url)
    assert faults.url not in str(caught.value)  # nor "in 1.9 ms"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "said"), [(403, "403 Forbidden"), (407, "407 Proxy Authentication Required")]
)
def test_a_proxy_s_page_is_one_sentence(
    desk: Desk, url: str, faults: Faults, tmp_path: Path, status: int, said: str
) -> None:
    faults.answer = lambda *_: (status, "", "Blocked by policy")
    for act in (
        lambda: publish_lake(desk.lake, url),
        lambda: pull_lake(url, tmp_path / "copy.lake"),
    ):
        with pytest.raises(
            BucketError, match=rf"a web page came .* \({said}\).*HTTPS_PROXY"
        ) as caught:
            act()
        assert "<" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_gateway_s_page_is_said_once_it_was_asked_for_long_enough(
    url: str, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_WAITS_S", ())
    faults.answer = lambda *_: (502, "", "nginx")
    with pytest.raises(BucketError, match=r"a web page came .* \(502 Bad Gateway\)"):
        Bucket.open(url).read("manifest.json")


def test_a_put_to_what_is_not_there_is_told(url: str, faults: Faults, tmp_path: Path) -> None:
    """As where the bucket went while files were sent."""
    faults.answer = lambda *_: (404, "NotFound", "The container is not there.")
    (tmp_path / "file").write_bytes(b"x")
    said = r"no such bucket \(The container is not there"
    with pytest.raises(BucketError, match=said):
        Bucket.open(url).put("x", b"x")
    with pytest.raises(BucketError, match=said):
        Bucket.open(url).send("x", tmp_path / "file")


@pytest.mark.parametrize("code", ["NoSuchBucket", "ContainerNotFound"])
def test_a_bucket_that_is_not_there_is_no_lake_that_was_not_published(
    desk: Desk, url: str, faults: Faults, tmp_path: Path, code: str
) -> None:
    faults.answer = lambda *_: (404, code, "It does not exist.\nRequestId:64074b50")
    for act in (
        lambda: publish_lake(desk.lake, url),
        lambda: pull_lake(url, tmp_path / "copy.lake"),
    ):
        with pytest.raises(BucketError, match=f"^{url}: there is no such bucket$"):
            act()


def test_keys_that_end_half_way_leave_the_old_lake_there_and_the_rest_goes_on(
    desk: Desk, url: str, faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_lake(desk.lake, url)
    pull_lake(url, tmp_path / "copy.lake")
    desk.add("new.png", (0, 0, 255))
    desk.sync()
    monkeypatch.setattr(store, "_WAITS_S", ())
    for much in range(1, 30):
        asked = len(faults.asked)
        faults.answer = lambda *_, till=asked + much: (
            (400, "ExpiredToken", "The token has expired.") if len(faults.asked) > till else None
        )
        try:
            publish_lake(desk.lake, url)
            break
        except BucketError as error:
            assert "ExpiredToken" in str(error)
        faults.answer = lambda *_: None
        assert pull_lake(url, tmp_path / "copy.lake").rows in (6, 7)
    faults.answer = lambda *_: None
    assert 5 < much < 29
    assert pull_lake(url, tmp_path / "copy.lake").rows == 7


def test_who_may_put_and_not_delete_publishes(
    desk: Desk, url: str, faults: Faults, tmp_path: Path
) -> None:
    """As into buckets that keep backups."""
    faults.answer = lambda method, path, headers: (
        (403, "AccessDenied", "Access Denied")
        if method == "DELETE" or (method, path.partition("?")[2]) == ("POST", "delete")
        else None
    )
    publish_lake(desk.lake, url)
    assert pull_lake(url, tmp_path / "copy.lake").rows == 6


def test_an_answer_that_comes_slowly_is_awaited(
    desk: Desk, url: str, faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second between two bytes counts, not how long all of them take."""
    monkeypatch.setattr("indexer.buckets.opening.QUIET_S", 1.0)
    copy = Bucket.open(url)
    copy.put("segments/big", bytes(range(256)) * 400)
    faults.asked.clear()
    faults.trickle_s = 0.25
    assert copy.fetch("segments/big", tmp_path / "big", length=102_400)
    assert (tmp_path / "big").read_bytes() == bytes(range(256)) * 400
    assert [method for method, _ in faults.asked] == ["GET"]


def test_no_more_is_read_than_belongs_there(
    desk: Desk, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever fills the bucket fills neither the disk nor the memory."""
    publish_lake(desk.lake, url)
    name = next(each for each in desk.manifest.checks if each.endswith("rows.parquet"))
    Bucket.open(url).put(name, b"x" * 5_000_000)
    monkeypatch.setattr(store, "_READ_AT_ONCE", 100_000)
    biggest = 0
    write = store._write

    def measured(file: Any, data: Any, path: Path) -> None:
        nonlocal biggest
        write(file, data, path)
        biggest = max(biggest, file.tell())

    monkeypatch.setattr(store, "_write", measured)
    with pytest.raises(BucketError, match="is damaged there"):
        pull_lake(url, tmp_path / "copy.lake")
    assert 0 < biggest < 1_000_000
    Bucket.open(url).put("manifest.json", b" " * 300_000)
    monkeypatch.setattr(store, "MOST_READ_BYTES", 200_000)
    with pytest.raises(BucketError, match=r"more than the 200,000 bytes"):
        pull_lake(url, tmp_path / "copy.lake")


@pytest.mark.parametrize("evil", ["../../evil", "/etc/evil", "..", "a/b", "C:\\evil"])
@pytest.mark.parametrize("place", ["segments", "tombstones", "skipped", "codes", "files"])
def test_a_manifest_there_writes_nothing_outside_the_lake(
    desk: Desk, url: str, tmp_path: Path, evil: str, place: str
) -> None:
    """Its checksum is right: whoever writes a manifest writes that, too."""
    publish_lake(desk.lake, url)
    body = json.loads((desk.lake / "manifest.json").read_bytes())
    del body["checksum"]
    segment = body["segments"][0]
    check = segment["files"]["rows.parquet"]
    if place == "segments":
        segment["id"] = evil
    elif place == "files":
        segment["files"][evil] = check
    elif place == "codes":
        segment["codes"] = {"id": evil, "file": check}
    else:
        body[place] = [{"id": evil, "rows": 1, "segments": [], "file": check}]
    Bucket.open(url).put("manifest.json", json.dumps(sealed(body)).encode())
    before = {path for path in tmp_path.rglob("*") if "here" not in path.parts}
    with pytest.raises(LakeDamaged, match="is no"):
        pull_lake(url, tmp_path / "copy.lake")
    assert {path for path in tmp_path.rglob("*") if "here" not in path.parts} == before


def test_a_copy_of_a_later_format_is_told(desk: Desk, url: str, tmp_path: Path) -> None:
    publish_lake(desk.lake, url)
    pull_lake(url, tmp_path / "copy.lake")
    body = json.loads((desk.lake / "manifest.json").read_bytes())
    del body["checksum"]
    later = json.dumps(sealed({**body, "format": 2})).encode()
    Bucket.open(url).put("manifest.json", later)
    for lake in (tmp_path / "new.lake", tmp_path / "copy.lake"):
        with pytest.raises(LakeError, match="update lakesift"):
            pull_lake(url, lake)
    with pytest.raises(LakeError, match="update lakesift"):
        publish_lake(desk.lake, url)
    found = Bucket.open(url).read("manifest.json")
    assert found is not None and found[0] == later
    assert not (tmp_path / "new.lake").exists()


def test_a_log_that_comes_half_is_not_taken_for_a_shorter_one(
    desk: Desk, url: str, faults: Faults, tmp_path: Path
) -> None:
    """A proxy that says half the length, too."""
    from service.lake import Lake

    with Lake.open(desk.lake, desk.model) as opened:
        for row_id in range(1, 5):
            opened.tag("night", [row_id])
    publish_lake(desk.lake, url)
    faults.fault = lambda method, path, _: "short" if path.endswith("log.jsonl") else None
    for lake in (tmp_path / "copy.lake", desk.lake):
        with pytest.raises(BucketError, match=r"log\.jsonl came with .* are listed"):
            pull_lake(url, lake)
    with pytest.raises(BucketError, match=r"log\.jsonl came with .* are listed"):
        publish_lake(desk.lake, url)
    faults.none()
    pull_lake(url, tmp_path / "copy.lake")
    log = Path("tags/log.jsonl")
    assert (tmp_path / "copy.lake" / log).read_bytes() == (desk.lake / log).read_bytes()


def test_a_page_of_a_network_that_wants_a_login_is_no_lake(
    desk: Desk, url: str, faults: Faults, tmp_path: Path
) -> None:
    publish_lake(desk.lake, url)
    faults.answer = lambda *_: (200, "login", "<html>")
    with pytest.raises((LakeDamaged, BucketError)):
        pull_lake(url, tmp_path / "copy.lake")
    assert not (tmp_path / "copy.lake").exists()


def test_the_store_s_clock_says_what_is_a_day_old(
    desk: Desk, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine's may be days ahead: what another has just sent stays."""
    publish_lake(desk.lake, url)
    (desk.photos / "0.png").unlink()
    desk.sync()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3 * 86_400)
    assert publish_lake(desk.lake, url, prune=True).removed_files == 0


def test_what_another_s_prune_may_be_about_to_remove_is_sent_again(
    desk: Desk, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publish that was cut short long ago left files that no snapshot names."""
    publish_lake(desk.lake, url)
    desk.add("new.png", (0, 0, 255))
    old = set(desk.manifest.checks)
    desk.sync()
    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "swap", _interrupts)
        with pytest.raises(KeyboardInterrupt):
            publish_lake(desk.lake, url)
    monkeypatch.setattr("indexer.buckets.publishing.PRUNE_AFTER_S", -120.0)  # all are old
    sent = publish_lake(desk.lake, url)
    assert sent.sent_files == len(set(desk.manifest.checks) - old) > 0


_swap = Bucket.swap


def _interrupts(self: Bucket, name: str, data: bytes, there: Any) -> None:
    if name == "manifest.json":
        raise KeyboardInterrupt
    _swap(self, name, data, there)


def test_a_sync_while_it_is_published_sends_one_snapshot_whole(
    desk: Desk, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is committed while the bucket is listed is not half of what is sent."""
    names = Bucket.names

    def slowly(self: Bucket, below: str = "") -> Any:
        found = names(self, below)
        if not (desk.photos / "new.png").exists():
            desk.add("new.png", (0, 0, 255))
            desk.sync()
        return found

    monkeypatch.setattr(Bucket, "names", slowly)
    report = publish_lake(desk.lake, url)
    assert report.rows == 6
    assert pull_lake(url, tmp_path / "copy.lake").rows == 6
    assert publish_lake(desk.lake, url).rows == 7
    assert pull_lake(url, tmp_path / "copy.lake").rows == 7


def test_one_lake_is_published_to_four_buckets_at_once(
    desk: Desk, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All note what they sent, in one file."""

    def slowly(path: Path, data: bytes) -> None:
        time.sleep(0.3)
        replace_file(path, data)

    monkeypatch.setattr("indexer.buckets.origins.replace_file", slowly)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: publish_lake(desk.lake, f"{url}.{number}"), range(4)))
    origins = json.loads((desk.lake / "origins.json").read_bytes())["origins"]
    assert sorted(origins) == [f"{url}.{number}" for number in range(4)]


def test_what_a_crash_left_unsaid_of_a_snapshot_is_said_by_the_next(
    desk: Desk, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It died between manifest.json and its numbered twin, and another lake's is there."""
    publish_lake(desk.lake, url)
    name = f"manifests/{desk.manifest.snapshot:06d}.json"
    Bucket.open(url).put(name, b"another's")
    publish_lake(desk.lake, url)
    found = Bucket.open(url).read(name)
    assert found is not None and found[0] == (desk.lake / "manifest.json").read_bytes()


def test_ctrl_c_is_heard_in_the_midst_of_a_large_file(
    desk: Desk, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_lake(desk.lake, url)
    copy = tmp_path / "copy.lake"
    monkeypatch.setattr("indexer.buckets.pulling.AT_ONCE", 1)
    asked = iter([False, True])
    assert pull_lake(url, copy, should_stop=lambda: next(asked)).interrupted
    assert list((Layout(copy).staging).glob("*")) == []
    with pytest.raises(LakeNotFound):
        read_manifest(Layout(copy))


def test_a_lake_that_cannot_be_written_is_published(
    desk: Desk, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a disk that is mounted for reading: nothing is noted in it, and it goes on."""
    before = sorted(path.name for path in desk.lake.iterdir())
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) != desk.lake and access(path, mode)
    )
    assert publish_lake(desk.lake, url).rows == 6
    assert publish_lake(desk.lake, url).sent_files == 0
    assert {path.name for path in desk.lake.iterdir()} - set(before) <= {"readers"}
    assert pull_lake(url, tmp_path / "copy.lake").rows == 6
