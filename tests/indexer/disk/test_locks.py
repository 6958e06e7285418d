"""One writer, any readers, in processes of their own;
and a vacuum that leaves them what they need.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.arrays import Pixels, Vectors
from indexer.disk.layout import Layout
from indexer.disk.locks import snapshots_being_read, writer
from indexer.disk.manifest import Manifest
from indexer.errors import LakeError, LakeLocked, LakeNotFound
from indexer.run.writing.compact import compact, vacuum
from indexer.sync import sync
from service import Lake
from service.cli.main import main
from tests.bad_images import as_nobody
from tests.fakes import ColourEmbedder
from tests.indexer.lakes import SMALL, contents, contents_of, current, index, resync, write_photo

REPOSITORY = Path(__file__).resolve().parents[3]
WRITER = """
import sys
from pathlib import Path
from indexer.disk.layout import Layout
from indexer.disk.locks import writer
lake, sys.argv = Path(sys.argv[1]), ["/usr/bin/lakesift", "sync", "my.lake"]
with writer(Layout(lake)):
    print("ready", flush=True)
    sys.stdin.read()
"""
READER = """
import sys
from service import Lake
with Lake.open(sys.argv[1]) as lake:
    print("ready", flush=True)
    sys.stdin.read()
"""
LOOKER = """
import json, sys, threading
from service import Lake
from tests.fakes import ColourEmbedder
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
with Lake.open(sys.argv[1], ColourEmbedder()) as lake:
    print("ready", flush=True)
    while not stop.is_set():
        lake.reload()
        hits = lake.search("red", k=None)
        open(sys.argv[2], "w").write(str(lake.snapshot.number))
        print(json.dumps([lake.snapshot.number, list(lake.problems), [hit.row_id for hit in hits]]), flush=True)
"""


class Process:
    """A child that has said it is ready, and lives until `end` or `kill`."""

    def __init__(self, code: str, lake: Path, *more: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, str(lake), *map(str, more)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    @property
    def pid(self) -> int:
        return self._process.pid

    def end(self) -> str:
        """Let it end well; returns what it had to say."""
        said, _ = self._process.communicate("", timeout=60)
        assert self._process.returncode == 0
        return said

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate(timeout=60)


class PatientEmbedder(ColourEmbedder):
    """Waits before each batch till every reader has answered from the newest snapshot."""

    def __init__(self, lake: Path, seen: Sequence[Path]) -> None:
        """:param seen: files in which readers write the number of the snapshot they met last."""
        super().__init__(batch_size=4)
        self._lake = lake
        self._seen = seen

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        newest, deadline = current(self._lake).snapshot, time.monotonic() + 60
        while any(int(file.read_text() or 0) < newest for file in self._seen):
            assert time.monotonic() < deadline, "a reader does not come to the newest snapshot"
            time.sleep(0.002)
        return super().embed_images(images)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(12):
        write_photo(tmp_path / "photos" / f"{number:02d}.png", (255, 20 * number, 0))
    return tmp_path / "photos"


@pytest.fixture
def lake(tmp_path: Path, photos: Path) -> Path:
    """Snapshot 1, which was empty, is gone; snapshot 2 has 12 rows."""
    index(tmp_path / "my.lake", photos)
    assert vacuumed(tmp_path / "my.lake") == [2]
    return tmp_path / "my.lake"


def vacuumed(lake: Path, keep_s: float = 0) -> list[int]:
    """The snapshots that are left."""
    report = vacuum(Layout(lake), current(lake), keep_s=keep_s)
    assert not report.held
    return sorted(int(path.stem) for path in (lake / "manifests").iterdir())


def replaced(lake: Path) -> Manifest:
    """Snapshot 3 has one photo more;
    in 4 the segments are merged, and only 2 and 3 need the old ones.
    """
    write_photo(lake.parent / "photos" / "more.png", (0, 0, 255))
    resync(lake)
    return compact(Layout(lake), current(lake), max_segments=1)


# -- writers


def test_a_second_writer_is_refused_by_name(
    lake: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = Process(WRITER, lake)
    with pytest.raises(LakeLocked) as refused:
        index(lake, photos)
    sentence = str(refused.value)
    who = f"{lake} is being written by process {first.pid} on {socket.gethostname()} (`lakesift sync my.lake`, since 20"
    assert sentence.startswith(who)
    assert sentence.endswith("); wait for it to end, or stop it")
    for verb in ("sync", "vacuum", "compact"):
        assert main([verb, str(lake)]) == 1
        assert capsys.readouterr().err == f"lakesift: {sentence}\n"
    first.end()
    assert resync(lake).unchanged == 12


def test_the_lock_of_a_killed_writer_is_taken_over(lake: Path) -> None:
    killed = Process(WRITER, lake)
    killed.kill()
    assert json.loads((lake / "writer.json").read_text())["pid"] == killed.pid
    assert resync(lake).unchanged == 12
    assert not (lake / "writer.json").exists()


def test_a_writer_that_dies_while_it_signs_leaves_a_folder_that_can_be_indexed_into(
    tmp_path: Path, photos: Path
) -> None:
    (tmp_path / "new.lake").mkdir()
    (tmp_path / "new.lake" / "writer.json.new").write_text('{"pid": 1')
    assert index(tmp_path / "new.lake", photos).rows == 12


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_is_refused_unless_the_caller_vouches(
    number: int, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_lock(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_lock)
    with pytest.raises(LakeError) as refused:
        resync(lake)
    assert str(refused.value) == (
        f"{lake} lies on a file system without locks; if you are sure that nobody else writes it, use --no-lock"
    )
    vouching = sync(lake, lambda _: ColourEmbedder(), config=replace(SMALL, use_lock=False))
    assert vouching.unchanged == 12
    with Lake.open(lake, ColourEmbedder()) as opened:
        assert len(opened.search("red", k=None)) == 12


# -- readers


def test_readers_answer_through_commits_each_time_from_one_snapshot(tmp_path: Path) -> None:
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    write_photo(photos / "first.png", (0, 0, 255))
    index(lake, photos)
    for number in range(40):
        write_photo(photos / f"{number:02d}.png", (255, 4 * number, 0))
    (photos / "first.png").unlink()
    seen = [tmp_path / "seen by one", tmp_path / "seen by two"]
    for file in seen:
        file.touch()
    readers = [Process(LOOKER, lake, file) for file in seen]
    patient = PatientEmbedder(lake, seen)
    sync(lake, lambda _: patient, config=replace(SMALL, commit_rows=4))
    said = [[json.loads(line) for line in reader.end().splitlines()] for reader in readers]
    truth = {
        number: set(contents_of(lake, _snapshot(lake, number)))
        for number in range(1, current(lake).snapshot + 1)
    }
    assert len(truth) > 10
    for answers in said:
        assert [answer[0] for answer in answers] == sorted(answer[0] for answer in answers)
        assert len({answer[0] for answer in answers}) >= 3, "the reader met several snapshots"
        for number, problems, row_ids in answers:
            assert problems == []
            assert len(row_ids) == len(set(row_ids))
            assert set(row_ids) == truth[number]
    assert set(contents(lake)) == set(range(2, 42))


def _snapshot(lake: Path, number: int) -> Manifest:
    path = Layout(lake).snapshot(number)
    return Manifest.from_json(path.read_bytes(), str(path))


def test_vacuum_keeps_what_a_living_reader_has_open_and_deletes_it_afterwards(lake: Path) -> None:
    reader = Process(READER, lake)
    old = lake / "segments" / current(lake).segments[0].id
    manifest = replaced(lake)
    assert manifest.snapshot == 4
    assert vacuumed(lake) == [2, 4]
    assert old.is_dir()
    reader.end()
    assert list((lake / "readers").iterdir()) == [], (
        "a reader that ends well takes its mark with it"
    )
    assert vacuumed(lake) == [4]
    assert not old.exists()
    assert len(contents(lake)) == 13


def test_the_mark_of_a_killed_reader_is_cleaned_up(lake: Path) -> None:
    reader = Process(READER, lake)
    replaced(lake)
    reader.kill()
    assert len(list((lake / "readers").iterdir())) == 2
    assert vacuumed(lake) == [4]
    assert list((lake / "readers").iterdir()) == []


def test_vacuum_deletes_nothing_while_a_reader_has_not_said_what_it_reads(lake: Path) -> None:
    replaced(lake)
    (lake / "readers").mkdir(exist_ok=True)
    opening = lake / "readers" / "01.lock"
    with opening.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert vacuum(Layout(lake), current(lake), keep_s=0).held
        assert len(list((lake / "manifests").iterdir())) == 3
    assert vacuumed(lake) == [4]


def test_vacuum_keeps_what_was_current_within_the_hour(lake: Path) -> None:
    replaced(lake)
    assert vacuumed(lake, keep_s=3600) == [2, 3, 4]
    two_hours_ago = time.time() - 7200
    for number in (2, 3):
        os.utime(Layout(lake).snapshot(number), (two_hours_ago, two_hours_ago))
    assert vacuumed(lake, keep_s=3600) == [3, 4], "3 was current until 4 came, just now"


def test_vacuum_keeps_what_a_filter_names(lake: Path) -> None:
    replaced(lake)
    (lake / "filters" / "hospital").mkdir(parents=True)
    (lake / "filters" / "hospital" / "1.json").write_text('{"name": "hospital", "snapshot": 2}')
    assert vacuumed(lake) == [2, 4]


def test_vacuum_never_deletes_what_the_current_snapshot_needs(lake: Path) -> None:
    """Not even where its copy in manifests/ is lost;
    and it removes what a dead writer half wrote.
    """
    manifest = replaced(lake)
    Layout(lake).snapshot(4).unlink()
    Layout(lake).snapshot(5).write_text('{"half": ')
    (lake / "manifests" / "notes.json").write_text("{}")
    report = vacuum(Layout(lake), manifest, keep_s=0)
    assert (report.held, report.snapshots, report.kept_snapshots) == (False, 3, 1)
    with Lake.open(lake, ColourEmbedder()) as opened:
        assert len(opened.search("red", k=None)) == 13


def test_vacuum_does_not_guess_which_snapshot_is_current(
    lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replaced(lake)
    (lake / "manifest.json").write_text("{}")
    assert main(["vacuum", str(lake), "--keep-hours", "0"]) == 1
    assert capsys.readouterr().err.startswith(
        f"lakesift: nothing deleted: {lake}/manifest.json is damaged: "
    )
    assert len(list((lake / "manifests").iterdir())) == 3


def test_a_lake_may_be_closed_by_another_thread_than_opened_it(lake: Path) -> None:
    opened: list[Lake] = []
    thread = threading.Thread(target=lambda: opened.append(Lake.open(lake)))
    thread.start()
    thread.join()
    assert snapshots_being_read(Layout(lake)) == {2}
    opened[0].close()
    assert snapshots_being_read(Layout(lake)) == set()
    with writer(Layout(lake)):
        pass


def test_opening_what_is_no_lake_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(LakeNotFound):
        Lake.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that anybody may look into; pytest's own are for their owner alone."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_lake_that_may_not_be_written_can_be_searched(lake: Path, public_folder: Path) -> None:
    copy = public_folder / "public.lake"
    shutil.copytree(lake, copy)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.geteuid() == 0:
        with as_nobody():
            _search_unwritable(copy)
    else:
        _search_unwritable(copy)
        copy.chmod(0o755)
        for path in copy.rglob("*"):
            path.chmod(0o755)


def _search_unwritable(lake: Path) -> None:
    with pytest.raises(OSError):
        (lake / "x").write_text("")
    with Lake.open(lake, ColourEmbedder()) as opened:
        (hit,) = opened.search("red", k=1)
        assert hit.row_id == 1
        assert hit.score == pytest.approx(1.0)
        assert opened.problems == ()
    with pytest.raises(LakeError, match=r"public.lake.* cannot be written \(Permission denied\)"):
        resync(lake)


def test_a_lake_on_a_read_only_disk_can_be_searched(lake: Path) -> None:
    """The same with EROFS, in a mount namespace of the child's own."""
    unshare = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount; the test above does the same with permissions")
    mount = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && exec "$2" -c "$3" "$1"'
    code = (
        "import sys; from service import Lake; from tests.fakes import ColourEmbedder\n"
        "lake = Lake.open(sys.argv[1], ColourEmbedder()); print([hit.row_id for hit in lake.search('red', k=2)])\n"
        "from tests.indexer.lakes import resync; from pathlib import Path\n"
        "try: resync(Path(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [*unshare, "sh", "-c", mount, "sh", str(lake), sys.executable, code],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    first, second = done.stdout.splitlines()
    assert first == "[1, 2]"
    assert second.startswith("LakeError ") and "(Read-only file system)" in second
