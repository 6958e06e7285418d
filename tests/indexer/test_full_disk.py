"""A disk that fills up during a run: one sentence, exit code 1, a whole snapshot; once there is room it goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.indexer.lakes import write_photo

REPOSITORY = Path(__file__).resolve().parents[2]
CODE = """
import sys
from pathlib import Path
from service import cli
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

cli._loader = lambda *_: lambda _: Filling()
first = cli.main(["index", photos, "--into", str(lake), "--commit-rows", "20"])
rows = contents(lake)
assert list(rows) == list(range(1, len(rows) + 1)) and 20 <= len(rows) < 80, rows
assert not any(path.suffix == ".new" for path in lake.iterdir())
(disk / "filler").unlink()
second = cli.main(["sync", str(lake)])
assert sorted(contents(lake)) == list(range(1, 81))
assert [p.name for p in (lake / "staging").iterdir()] == []
print(first, second)
"""


@pytest.mark.parametrize("free_bytes", [0, 8192, 16384, 24576])
def test_a_full_disk_is_one_sentence_and_the_run_can_go_on(tmp_path: Path, free_bytes: int) -> None:
    """:param free_bytes: what is left when the disk fills, so that it ends in the middle of this file or of that."""
    unshare = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small disk; /dev/full stands for it in test_segment")
    disk, photos = tmp_path / "disk", tmp_path / "photos"
    disk.mkdir()
    for number in range(80):
        write_photo(photos / f"{number:02d}.png", (255, 2 * number, 0))
    mount = 'mount -t tmpfs -o size=16m tmpfs "$1" && exec "$2" -c "$3" "$1" "$4" "$5"'
    arguments = [str(disk), sys.executable, CODE, str(photos), str(free_bytes)]
    done = subprocess.run(
        [*unshare, "sh", "-c", mount, "sh", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.stdout == "1 0\n", done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("lakesift: ")]
    assert len(lines) == 1
    assert "Traceback" not in done.stderr
    assert lines[0].endswith(
        f": No space left on device; the lake's last snapshot is whole, run `lakesift sync {disk}/my.lake` to go on"
    )
