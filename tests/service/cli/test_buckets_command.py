"""`lakesift publish` and `lakesift pull` as a person meets them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from indexer.buckets.store import Bucket
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, publish
from indexer.errors import BucketError, NotWritten
from service.cli.main import main
from tests.lakes import Desk

PAGE = Path(__file__).parents[3] / "docs" / "buckets.md"


def test_the_page_s_commands_send_a_lake_and_fetch_it(
    tmp_path: Path,
    bucket: tuple[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    desk = Desk(tmp_path)
    for number in range(3):
        desk.add(f"{number}.png", (255, number * 20, 0))
    desk.index()
    files = len(desk.manifest.checks)
    lines = [
        each
        for each in PAGE.read_text().splitlines()
        if each.startswith("lakesift p") and "--watch" not in each
    ]
    said = []
    for line in lines:
        words = shlex.split(line.replace("//bucket/", f"//{bucket[0]}/"), comments=True)
        assert main(words[1:]) == 0
        said.append(capsys.readouterr().err.splitlines()[-1])
    url = f"s3://{bucket[0]}/lakes/my.lake"
    sent, fetched, again = (line.partition(": ") for line in said)
    assert sent[0] == f"{url} has snapshot {desk.manifest.snapshot} of 3 images"
    assert sent[2].startswith(f"{files} files, ") and sent[2].endswith(" sent; 0 were there")
    assert fetched[0] == f"copy.lake has snapshot {desk.manifest.snapshot} of 3 images"
    assert again[2] == f"0 files, 0 bytes, sent; {files} were there"
    desk.add("new.png", (0, 0, 255))
    desk.sync()
    assert main(["pull", url, "my.lake"]) == 0
    ahead = "my.lake goes on from what"
    assert capsys.readouterr().err.startswith(ahead)
    assert main(["publish", "my.lake", url, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["interrupted"]) == (4, False)


def test_a_wrong_place_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bucket: tuple[str, Any]
) -> None:
    lake = str(tmp_path / "my.lake")
    assert main(["publish", lake, "s3://bucket/my.lake"]) == 1
    assert f"{lake} is not a lake" in capsys.readouterr().err
    assert main(["pull", "my.lake", lake]) == 2
    assert capsys.readouterr().err == (
        "lakesift: bucket: my.lake is no folder in a bucket; give s3://bucket/folder, gs://bucket/folder or "
        "az://container/folder\n"
    )
    assert main(["pull", f"s3://{bucket[0]}/none", lake]) == 1
    assert "nothing was published there" in capsys.readouterr().err
    assert not Path(lake).exists()


def test_a_lake_that_takes_more_than_it_may_is_not_pulled(
    tmp_path: Path, bucket: tuple[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(tmp_path)
    desk.add("red.png", (255, 0, 0))
    desk.index()
    url, copy = f"s3://{bucket[0]}/my.lake", tmp_path / "copy.lake"
    assert main(["publish", str(desk.lake), url]) == 0
    capsys.readouterr()
    for watch in ([], ["--watch"]):
        assert main(["pull", url, str(copy), "--disk-gb", "0.000001", *watch]) == 1
        said = capsys.readouterr().err
        assert f"{url}: snapshot {desk.manifest.snapshot} takes " in said
        assert said.endswith("where 1,000 are allowed; it was not fetched. A search reads all vectors, so none of "
                             "it can be left out: allow more with --disk-gb\n")  # fmt: skip
        assert not copy.exists()
    assert main(["pull", url, str(copy), "--disk-gb", "1"]) == 0
    for wrong in ("0", "-1", "nan", "much"):
        with pytest.raises(SystemExit):
            main(["pull", url, str(copy), "--disk-gb", wrong])
        assert f"{wrong} is no number of GB above 0" in capsys.readouterr().err


PARTS = PAGE.with_name("parts.md")


def commands_of(page: Path, beginnings: tuple[str, ...], bucket: str) -> list[list[str]]:
    """Of the page's commands those that name the lake that is made in a bucket."""
    lines = [line for line in page.read_text().splitlines() if line.startswith(beginnings)]
    here = [line for line in lines if "s3://bucket/lakes/new.lake" in line]
    return [
        shlex.split(line.replace("//bucket/", f"//{bucket}/"), comments=True)[1:] for line in here
    ]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAKESIFT_CACHE", str(tmp_path / "cache"))
    desk = Desk(tmp_path)
    for number in range(6):
        desk.add(f"{number}.png", (255, number * 20, 0))
    return desk


def published(line: str, url: str) -> int:
    """How many images a line says that are there."""
    found = re.fullmatch(rf"{re.escape(url)} has snapshot \d+ of (\d+) images?: .* sent", line)
    assert found, line
    return int(found[1])


def test_the_page_s_commands_index_into_a_bucket(
    photos: Desk, bucket: tuple[str, Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    index, sync = commands_of(PAGE, ("lakesift index", "lakesift sync"), bucket[0])
    url = sync[1]
    assert main(index) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"working in {next((tmp_path / 'cache/buckets').glob('*/new.lake'))}"
    assert published(said[-1], url) == 6
    assert next(line for line in said if line.startswith("indexed: ")).endswith(f" -> {url}")
    photos.add("new.png", (0, 0, 255))
    # On a machine that has nothing yet.
    assert main([*sync, "--work", str(tmp_path / "work")]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"working in {tmp_path / 'work'}"
    assert published(said[-1], url) == 7
    assert main(["sync", url, "--plan"]) == 0
    assert "7 unchanged" in capsys.readouterr().out
    # And the first one's folder is brought to it.
    assert main(sync) == 0
    said = capsys.readouterr().err.splitlines()
    assert published(said[-1], url) == 7 and said[-1].endswith(": 0 files, 0 bytes, sent")


def test_the_page_s_parts_meet_in_a_bucket(
    photos: Desk, bucket: tuple[str, Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first, second, commit = commands_of(PARTS, ("lakesift index", "lakesift commit"), bucket[0])
    url = commit[1]
    work = {name: ["--work", str(tmp_path / name)] for name in "abc"}
    assert main([*first, *work["a"]]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == f"1 of 2 parts are done; once all are: lakesift commit {url}"
    assert main([*commit, *work["c"]]) == 2
    assert f"of the 2 of {url} is not done: 2/2" in capsys.readouterr().err
    assert main(["index", "photos", "--into", url, "--part", "2/3", *work["b"]]) == 2
    refused = capsys.readouterr().err
    assert f"the parts of {url} were begun as 2" in refused
    assert f"lakesift commit {url}` (--discard" in refused
    assert main([*second, *work["b"]]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == f"2 of 2 parts are done; go on with: lakesift commit {url}"
    assert main([*commit, *work["c"]]) == 0
    said = capsys.readouterr().err.splitlines()
    assert f"-> {url}" in next(line for line in said if line.startswith("indexed: "))
    assert published(said[-1], url) == 6
    assert main(["commit", url, "--discard"]) == 2
    assert f"{url} has no parts that are not committed" in capsys.readouterr().err


def test_where_no_bucket_is_worked_on_a_url_or_a_folder_is_refused(
    photos: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in (
        ["search", "s3://b/my.lake", "red"],
        ["info", "s3://b/my.lake"],
        ["serve", "s3://b/my.lake"],
    ):
        with pytest.raises(SystemExit):
            main(verb)
        assert "lakesift pull s3://b/my.lake my.lake" in capsys.readouterr().err
    assert main(["sync", "s3://b/my.lake", "--watch"]) == 2
    assert "--watch: it follows the sources of a folder" in capsys.readouterr().err
    assert main(["index", "photos", "--into", "my.lake", "--work", "w"]) == 2
    assert "--work: it is for a lake in a bucket" in capsys.readouterr().err
    assert main(["index", "photos", "--into", "https://b/my.lake"]) == 2
    assert "is no folder in a bucket; give s3://" in capsys.readouterr().err


def test_ctrl_c_publishes_what_is_committed(
    photos: Desk,
    bucket: tuple[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C comes with the first snapshot that has images."""
    url = f"s3://{bucket[0]}/my.lake"
    is_asked = False

    def publishing(layout: Layout, manifest: Manifest) -> Manifest:
        nonlocal is_asked
        published = publish(layout, manifest)
        if manifest.live_rows and not is_asked:
            is_asked = True
            signal.raise_signal(signal.SIGINT)
        return published

    monkeypatch.setattr("indexer.run.writing.commits.publish", publishing)
    arguments = ["index", "photos", "--into", url, "--commit-rows", "2", "--batch-size", "2"]
    assert main(arguments) == 130
    said = capsys.readouterr().err.splitlines()
    assert any(line == f"go on with: lakesift sync {url}" for line in said)
    assert 0 < published(said[-1], url) < 6
    assert main(["sync", url]) == 0
    assert published(capsys.readouterr().err.splitlines()[-1], url) == 6


def test_a_run_that_fails_half_way_publishes_what_is_committed(
    photos: Desk,
    bucket: tuple[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where the disk of a pod is full, which goes away with what it has."""
    url = f"s3://{bucket[0]}/my.lake"

    is_full = False

    def publishing(layout: Layout, manifest: Manifest) -> Manifest:
        nonlocal is_full
        if is_full:
            raise NotWritten(str(layout.root), "No space left on device")
        is_full = manifest.live_rows > 0
        return publish(layout, manifest)

    arguments = ["index", "photos", "--into", url, "--commit-rows", "2", "--batch-size", "2"]
    with monkeypatch.context() as full:
        full.setattr("indexer.run.writing.commits.publish", publishing)
        assert main(arguments) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(f"lakesift: {url} cannot be written: No space left on device; ")
    assert 0 < published(said[-2], url) < 6
    assert main(["sync", url]) == 0
    assert published(capsys.readouterr().err.splitlines()[-1], url) == 6


def test_a_run_that_changes_nothing_and_fails_sends_nothing(
    photos: Desk, bucket: tuple[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"s3://{bucket[0]}/my.lake"
    assert main(["index", "nowhere", "--into", url]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and "nowhere" in said[1]
    assert bucket[1].ls(bucket[0]) == []


def test_keys_that_end_before_all_is_sent_leave_the_work_and_say_where(
    photos: Desk,
    bucket: tuple[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    url, work = f"s3://{bucket[0]}/my.lake", tmp_path / "work"

    def refused(self: Bucket, name: str, path: Path) -> None:
        raise BucketError(self.url, f"{name}: The provided token has expired (ExpiredToken)")

    with monkeypatch.context() as ended:
        ended.setattr(Bucket, "send", refused)
        assert main(["index", "photos", "--into", url, "--work", str(work)]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-2] == (
        f"what was made stays in {work}; the same command goes on from it, and `lakesift publish {work} {url}` sends "
        "it as it is"
    )
    assert "The provided token has expired" in said[-1]
    assert main(["publish", str(work), url]) == 0
    assert "6 images" in capsys.readouterr().err


def test_a_machine_that_another_s_came_before_is_told_the_way_out_and_it_leads_on(
    photos: Desk, bucket: tuple[str, Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    url, a, b = f"s3://{bucket[0]}/my.lake", tmp_path / "a", tmp_path / "b"
    assert main(["index", "photos", "--into", url, "--work", str(a)]) == 0
    assert main(["sync", url, "--work", str(b)]) == 0
    photos.add("new.png", (0, 0, 255))
    # As if it were killed before it publishes, while the other one does all.
    assert main(["sync", str(b)]) == 0
    assert main(["sync", url, "--work", str(a)]) == 0
    capsys.readouterr()
    assert main(["sync", url, "--work", str(b)]) == 1
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith(
            f"so nothing was fetched: another machine published meanwhile; keep what {b} alone has with `lakesift "
            f"publish {b} URL` to another folder of the bucket, if you want it, then delete it, and run the same "
            "command again"
        )
    )
    assert main(["publish", str(b), f"{url}-2"]) == 0
    shutil.rmtree(b)
    assert main(["sync", url, "--work", str(b)]) == 0
    assert published(capsys.readouterr().err.splitlines()[-1], url) == 7


def test_the_folder_of_another_lake_is_not_worked_in(
    photos: Desk, bucket: tuple[str, Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    one, two = f"s3://{bucket[0]}/one.lake", f"s3://{bucket[0]}/two.lake"
    a, b = tmp_path / "a", tmp_path / "b"
    assert main(["index", "photos", "--into", one, "--work", str(a)]) == 0
    snapshot = Layout(a).manifest.read_bytes()
    capsys.readouterr()
    # Where nothing is there yet,
    assert main(["index", "photos", "--into", two, "--work", str(a)]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"lakesift: {two}: nothing is there yet, and {a} is a copy of {one}: name another folder with --work; "
        f"`lakesift publish {a} {two}` begins this lake with what it has"
    )
    assert main(["index", "photos", "--into", two, "--work", str(b)]) == 0
    # and where a lake is.
    assert main(["sync", two, "--work", str(a)]) == 1
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith(
            "it is of another lake, or of a run that another machine's came before; name another folder with --work "
            f"({a} stays as it is)"
        )
    )
    assert Layout(a).manifest.read_bytes() == snapshot
