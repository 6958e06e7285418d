"""Parts whose disk is full, whose files are damaged, or that a stranger made."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from indexer.disk.layout import Layout
from indexer.errors import LakeError, LakeNotFound, LakeUnsafe
from indexer.parts.leaving import discard_parts
from indexer.parts.members import Members
from indexer.parts.share import Share
from service import Lake
from tests.fakes import ColourEmbedder
from tests.indexer.lakes import current, index, write_photo
from tests.indexer.parts.lakes import SETTLED, commit, part, parts, whole_rows
from tests.indexer.sources.containers.test_tar import tar_of
from tests.indexer.test_crash_containers import images
from tests.indexer.test_full_disk import small_disk
from tests.lakes import write

FULL = """
import sys
from pathlib import Path
from service.cli import committing
from service.cli.main import main
from tests.fakes import ColourEmbedder
from tests.indexer.lakes import contents

disk, photos, free_bytes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
lake, full = str(disk / "my.lake"), []

def fill(free_bytes):
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(file.tell() - free_bytes)

class Filling(ColourEmbedder):
    def embed_images(self, images):
        if len(self.calls) == 3 and not full:
            full.append(True)
            fill(free_bytes)
        return super().embed_images(images)

committing.loader = lambda *_: lambda _: Filling()
def run(share):
    more = ["--commit-rows", "10", "--batch-size", "5"]
    return main(["index", photos, "--into", lake, "--part", share, *more])
codes = [run("1/2")]
(disk / "filler").unlink()
codes += [run("1/2"), run("2/2")]
fill(16384)
codes += [main(["commit", lake])]
assert not (Path(lake) / "manifest.json").exists()
assert list((Path(lake) / "segments").iterdir()) == []
(disk / "filler").unlink()
codes += [main(["commit", lake])]
assert sorted(contents(Path(lake))) == list(range(1, 81))
assert not (Path(lake) / "parts").exists()
print(codes)
"""


@pytest.mark.parametrize("free_bytes", [0, 12288])
def test_a_full_disk_is_one_sentence_and_parts_and_commit_can_go_on(
    tmp_path: Path, free_bytes: int
) -> None:
    photos = tmp_path / "photos"
    for number in range(80):
        write_photo(photos / f"{number:02d}.png", (255, 2 * number, 0))
    out, told = small_disk(tmp_path, "16m", FULL, str(photos), str(free_bytes))
    assert out == "[1, 0, 0, 1, 0]\n", told
    first, second = [line for line in told if line.startswith("lakesift: ")]
    lake = re.escape(str(tmp_path / "disk" / "my.lake"))
    assert re.search(r"No space left on device.*; run part 1/2 again to go on$", first)
    assert re.search(
        r"No space left on device; nothing was committed, and the parts are as they were: run "
        rf"`lakesift commit {lake}` again$",
        second,
    )


def refuse_what_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """As NFS does: a file that is open stays when it is deleted, under another name, and so does
    the folder that it lies in.
    """
    rmtree = shutil.rmtree

    def as_nfs(path: Path) -> None:
        descriptors = Path("/proc/self/fd").iterdir()
        opened = [str(each.readlink()) for each in descriptors if each.is_symlink()]
        maps = Path("/proc/self/maps").read_text()
        if any(name.startswith(f"{path}/") for name in opened) or f" {path}/" in maps:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(path))
        rmtree(path)

    monkeypatch.setattr(shutil, "rmtree", as_nfs)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="a matter of Linux")
def test_on_nfs_all_of_the_parts_goes(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_what_is_open(monkeypatch)
    report = commit(made)
    assert (report.taken, report.run.notes) == (12, [])
    assert list((made / "staging").iterdir()) == []
    write_photo(made.parent / "photos" / "new.png", (1, 2, 3))
    parts(made, 2, made.parent / "photos")
    assert discard_parts(made) > 0
    assert list((made / "staging").iterdir()) == []
    assert not (made / "parts").exists()


def test_what_cannot_be_removed_just_now_is_committed_and_goes_with_the_next_writer(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rmtree = shutil.rmtree

    def busy(path: Path) -> None:
        if path.name.startswith("parts-"):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        rmtree(path)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", busy)
        assert commit(made).run.notes == []
    assert len(list((made / "staging").iterdir())) == 1
    assert not (made / "parts").exists()
    index(made, made.parent / "photos", SETTLED)
    assert list((made / "staging").iterdir()) == []


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A lake with two parts that are done, and one that one run made."""
    for number in range(12):
        write_photo(tmp_path / "photos" / f"{number}.png", (number, 99, 1))
    index(tmp_path / "plain.lake", tmp_path / "photos", SETTLED)
    parts(tmp_path / "my.lake", 2, tmp_path / "photos")
    return tmp_path / "my.lake"


def test_a_damaged_part_is_not_committed_and_embedded_again(made: Path) -> None:
    (vectors,) = (made / "parts" / "1-of-2").glob("segments/*/vectors.faiss")
    data = bytearray(vectors.read_bytes())
    data[-1] ^= 1
    vectors.write_bytes(data)
    with pytest.raises(
        LakeError, match=r"is damaged: .*; run part 1/2 again, it embeds them anew$"
    ):
        commit(made)
    assert not (made / "manifest.json").exists()
    share, model = Share(1, 2), ColourEmbedder()
    photos = made.parent / "photos"
    part(made, "1/2", photos, model=model)
    assert sum(model.calls) == sum(share.holds(str(path)) for path in photos.iterdir())
    commit(made)
    assert whole_rows(made) == whole_rows(made.with_name("plain.lake"))


def test_a_link_among_the_parts_is_followed_by_nobody(made: Path) -> None:
    elsewhere = made.with_name("elsewhere")
    (made / "parts" / "2-of-2").rename(elsewhere)
    (made / "parts" / "2-of-2").symlink_to(elsewhere)
    for verb in (lambda: commit(made), lambda: part(made, "2/2", made.parent / "photos")):
        with pytest.raises(LakeUnsafe, match="2-of-2 is a link"):
            verb()
    assert len(list(elsewhere.iterdir())) > 3


def test_a_part_that_lies_in_a_lake_alone_is_as_a_stranger_made_it(made: Path) -> None:
    """What the plan names is opened as what a lake names is: nobody said it on this machine."""
    plan = made / "parts" / "plan.json"
    assert str(made.parent / "photos") in plan.read_text()
    shutil.rmtree(made.parent / "photos")
    with pytest.raises(LakeError, match="photos"):
        commit(made)
    assert (made / "parts").is_dir()


def test_members_that_lie_elsewhere_are_none(tmp_path: Path) -> None:
    write(tmp_path / "photos" / "a.tar", tar_of(images(range(4))))
    parts(tmp_path / "my.lake", 1, tmp_path / "photos")
    path = tmp_path / "my.lake" / "parts" / "1-of-1.members.parquet"
    tar = str(tmp_path / "photos" / "a.tar")
    found = Members([path]).of(tar)
    assert [image.address.member for image in found] == [f"i0{n}.png" for n in range(4)]
    assert Members([path]).of("/etc/passwd") == ()
    table = pq.read_table(path)
    odd = table.set_column(3, table.field(3), [["/b.tar"] + [tar] * 3])
    pq.write_table(odd, path)
    assert len(Members([path]).of(tar)) == 3
    for data in (b"", b"no parquet", path.read_bytes()[:-9]):
        path.write_bytes(data)
        assert Members([path]).of(tar) == ()
    assert commit(tmp_path / "my.lake").taken == 4
    assert current(tmp_path / "my.lake").live_rows == 4
    assert Layout(tmp_path / "my.lake").manifest.exists()


def test_a_folder_of_photos_that_is_called_parts_is_left_alone(tmp_path: Path) -> None:
    write_photo(tmp_path / "set" / "parts" / "wheel.png", (1, 2, 3))
    sentence = r"parts has wheel\.png, which no part of a run wrote"
    with pytest.raises(LakeError, match=sentence):
        part(tmp_path / "set", "1/2", tmp_path / "set" / "parts")
    with pytest.raises(LakeError, match=sentence):
        discard_parts(tmp_path / "set")
    with pytest.raises(LakeNotFound) as told:
        Lake.open(tmp_path / "set")
    assert "not committed" not in str(told.value)
    assert [path.name for path in (tmp_path / "set" / "parts").iterdir()] == ["wheel.png"]
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["parts"]
