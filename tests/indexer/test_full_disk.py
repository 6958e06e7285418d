"""A disk that fills up during a run: one sentence,
exit code 1, a whole snapshot; once there is room it goes on.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.indexer.lakes import write_photo

REPOSITORY = Path(__file__).resolve().parents[2]
CODE = """
import sys
from pathlib import Path
from service.cli import indexing, syncing
from service.cli.main import main
from tests.fakes import ColourEmbedder
from tests.indexer.lakes import contents, current

disk, photos = Path(sys.argv[1]), sys.argv[2]
lake = disk / "my.lake"
free_bytes = int(sys.argv[3])
filled = []

def fill():
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(file.tell() - free_bytes)

class Filling(ColourEmbedder):
    def embed_images(self, images):
        if len(self.calls) == 7 and not filled:
            filled.append(True)
            fill()
        return super().embed_images(images)

indexing.loader = syncing.loader = lambda *_: lambda _: Filling()
first = main(["index", photos, "--into", str(lake), "--commit-rows", "20"])
rows = contents(lake)
assert list(rows) == list(range(1, len(rows) + 1)) and 20 <= len(rows) < 80, rows
assert not any(path.suffix == ".new" for path in lake.iterdir())
(disk / "filler").unlink()
second = main(["sync", str(lake)])
assert sorted(contents(lake)) == list(range(1, 81))
assert [p.name for p in (lake / "staging").iterdir()] == []
print(first, second)
"""


PLAN = """
import sys
from pathlib import Path
from service.cli.main import main
from indexer.run.plan import database
from tests.service.relevance.gate.test_gate import HALF, gate_of
from tests.fakes import ColourEmbedder
from indexer.errors import LakeError
from service.relevance.gate.new_sources import decide_sources

disk, photos = Path(sys.argv[1]), sys.argv[2]
database.MEMORY_LIMIT = "1MB"  # less than a plan takes: the rest goes to disk
code = main(["index", photos, "--into", str(disk / "new" / "my.lake")])
assert list(disk.iterdir()) == []
try:
    list(decide_sources(gate_of(HALF), [photos], ColourEmbedder))
except LakeError as error:
    print(error, file=sys.stderr)
print(code)
"""


def small_disk(tmp_path: Path, size: str, code: str, *arguments: str) -> tuple[str, list[str]]:
    """What Python code prints and says while a small disk is mounted at tmp_path/disk;
    the skipped test says why where nobody may mount one.
    """
    unshare = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip(
            "this machine lets nobody mount a small disk; /dev/full stands for it in test_segment"
        )
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size={size} tmpfs "$1" && exec "$2" -c "$3" "$1" "$4" "$5"'
    done = subprocess.run(
        [*unshare, "sh", "-c", mount, "sh", str(disk), sys.executable, code, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(disk)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout, done.stderr.splitlines()


def test_no_room_for_the_plan_is_one_sentence_with_folder_and_need(tmp_path: Path) -> None:
    write_photo(tmp_path / "photos" / "1.png", (255, 0, 0))
    out, told = small_disk(tmp_path, "16k", PLAN, str(tmp_path / "photos"), "")
    assert out == "1\n", told
    index, decide = told
    disk = re.escape(str(tmp_path / "disk"))
    full = (
        r" cannot be written: its disk has too little room for what memory cannot hold \(0\.\d MB are free there, "
        r"and a run's plan takes up to 0\.5 MB for 1,000 images\); "
    )
    assert re.fullmatch(
        rf"lakesift: {disk}/new/my\.lake/staging/plan-\d+{full}"
        "nothing was committed yet: the same command begins anew",
        index,
    )
    assert re.fullmatch(
        rf"{disk}/lakesift-\w+{full}TMPDIR can name a folder with more room", decide
    )


VACUUM = """
import sys
from pathlib import Path
from service.cli import indexing, syncing
from service.cli.main import main
from tests.fakes import ColourEmbedder

disk, photos = Path(sys.argv[1]), sys.argv[2]
lake = str(disk / "my.lake")
indexing.loader = syncing.loader = lambda *_: lambda _: ColourEmbedder()
assert main(["index", photos, "--into", lake, "--commit-rows", "1", "--batch-size", "1"]) == 0
with (disk / "filler").open("wb", buffering=0) as file:
    try:
        while file.write(bytes(4096)):
            pass
    except OSError:
        pass
compacted = main(["compact", lake])
vacuumed = main(["vacuum", lake, "--keep-hours", "0"])
print(compacted, vacuumed, sorted(path.name for path in (disk / "my.lake").glob("writer*")))
"""


def test_vacuum_gives_a_full_disk_room(tmp_path: Path) -> None:
    for number in range(3):
        write_photo(tmp_path / "photos" / f"{number}.png", (255, number, 0))
    out, told = small_disk(tmp_path, "1m", VACUUM, str(tmp_path / "photos"), "")
    lake = tmp_path / "disk" / "my.lake"
    # three segments are to become one, and there is no room for it
    [compact] = [line for line in told if line.startswith("lakesift: ")]
    assert re.fullmatch(
        rf"lakesift: {re.escape(str(lake))}\S*: No space left on device; the lake's last snapshot is whole, and "
        rf"`lakesift vacuum {re.escape(str(lake))}` may give room",
        compact,
    )
    assert out == "1 0 ['writer.lock']\n"
    assert re.match(r"deleted [1-9]\d* snapshots ", told[-1])


@pytest.mark.parametrize("free_bytes", [0, 8192, 16384, 24576])
def test_a_full_disk_is_one_sentence_and_the_run_can_go_on(tmp_path: Path, free_bytes: int) -> None:
    """:param free_bytes: what is left when the disk fills,
    so that it ends in the middle of this file or of that.
    """
    disk, photos = tmp_path / "disk", tmp_path / "photos"
    for number in range(80):
        write_photo(photos / f"{number:02d}.png", (255, 2 * number, 0))
    out, told = small_disk(tmp_path, "16m", CODE, str(photos), str(free_bytes))
    assert out == "1 0\n", told
    lines = [line for line in told if line.startswith("lakesift: ")]
    assert len(lines) == 1
    assert lines[0].endswith(
        f": No space left on device; the lake's last snapshot is whole, run `lakesift sync {disk}/my.lake` to go on"
    )
