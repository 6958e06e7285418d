"""The order of writes, fsyncs and renames, as the kernel saw it:
`kill -9` cannot see a missing fsync, a power cut can.

Needs strace; where it is missing these tests fail and say so.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.indexer.lakes import index, write_photo

REPOSITORY = Path(__file__).resolve().parents[3]
CALLS = "write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2"
INDEX = "from pathlib import Path; import sys; from tests.indexer.lakes import index; index(*map(Path, sys.argv[1:]))"
RESYNC = "from pathlib import Path; import sys; from tests.indexer.lakes import resync; resync(Path(sys.argv[1]))"


class Event(NamedTuple):
    """A system call that succeeded: its name, and the paths in it,
    relative to the lake; "." is the lake itself.
    """

    call: str
    path: str
    to: str = ""


def traced(lake: Path, code: str, *arguments: Path) -> list[Event]:
    """What one run did to the lake, in order."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.fail(
            "this test reads system calls with strace, which is missing: apt-get install strace"
        )
    log = lake.with_suffix(".strace")
    command = [
        strace,
        "-f",
        "-y",
        "-s",
        "0",
        "-e",
        f"trace={CALLS}",
        "-o",
        str(log),
        sys.executable,
        "-c",
        code,
    ]
    subprocess.run([*command, *map(str, arguments)], check=True, cwd=REPOSITORY, timeout=120)
    return events(log.read_text(errors="replace"), lake)


def events(log: str, lake: Path) -> list[Event]:
    """A call that another thread's call interrupts takes two lines; it counts where it ended."""
    begun: dict[str, str] = {}
    found = []
    for line in log.splitlines():
        pid, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith("<unfinished ...>"):
            begun[pid] = text.removesuffix("<unfinished ...>")
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", text):
            text = begun.pop(pid, "") + resumed[1]
        call = re.match(r"(\w+)\((.*)\)\s+= \d", text)
        if call is None:
            continue
        name = re.sub(r"^(rename|write).*|^(f)data(sync)$", r"\1\2\3", call[1].removeprefix("p"))
        quoted = (
            re.findall(r'"([^"]*)"', call[2])
            if name == "rename"
            else re.findall(r"<([^>]*)>", call[2])[:1]
        )
        inside = [
            str(Path(path).relative_to(lake)) for path in quoted if Path(path).is_relative_to(lake)
        ]
        if inside and not inside[0].startswith(("readers", "writer", "tombstones/none")):
            found.append(Event(name, *inside))
    return found


def assert_order(found: Sequence[Event], wanted: Sequence[Event]) -> None:
    """The wanted events happened, each after the one before it."""
    at = -1
    for event in wanted:
        assert event in found[at + 1 :], (
            f"{event} is not after {found[at] if at >= 0 else 'the start'}"
        )
        at = found.index(event, at + 1)


def renamed(found: Sequence[Event], into: str) -> Event:
    """The one rename into this folder."""
    (event,) = [
        event for event in found if event.call == "rename" and event.to.startswith(into + "/")
    ]
    return event


def published(number: int) -> list[Event]:
    """What DESIGN asks for once everything a snapshot names is in place."""
    snapshot = f"manifests/{number:06d}.json"
    return [
        Event("write", snapshot),
        Event("fsync", snapshot),
        Event("fsync", "manifests"),
        Event("write", "manifest.json.new"),
        Event("fsync", "manifest.json.new"),
        Event("rename", "manifest.json.new", "manifest.json"),
        Event("fsync", "."),
    ]


def assert_never_touched_again(found: Sequence[Event], path: str) -> None:
    """After its fsync a file is not written any more."""
    last_write = max(at for at, event in enumerate(found) if event == Event("write", path))
    assert found.index(Event("fsync", path)) > last_write


def test_a_commit_is_durable_before_it_is_named(tmp_path: Path) -> None:
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    for number in range(3):
        write_photo(photos / f"{number}.png", (255, number, 0))
    (photos / "broken.png").write_bytes(b"no image")
    found = traced(lake, INDEX, lake, photos)

    segment = renamed(found, "segments")
    for name in ("rows.parquet", "vectors.faiss"):
        file = f"{segment.path}/{name}"
        assert_never_touched_again(found, file)
        in_place = [segment, Event("fsync", "segments")]
        assert_order(
            found,
            [
                Event("write", file),
                Event("fsync", file),
                Event("fsync", segment.path),
                *in_place,
                *published(2),
            ],
        )
    skipped = renamed(found, "skipped")
    assert_never_touched_again(found, skipped.path)
    assert_order(
        found, [Event("fsync", skipped.path), skipped, Event("fsync", "skipped"), *published(2)]
    )
    assert [event.to for event in found if event.call == "rename"] == [
        # snapshot 1 is empty: from now on `sync` can go on where `index` was killed
        "manifest.json",
        segment.to,
        skipped.to,
        "manifest.json",
    ]
    for folder in ("manifests", "segments", "skipped"):
        assert found.index(Event("fsync", ".")) < found.index(Event("fsync", folder)), (
            f"{folder} has its name first"
        )


def test_tombstones_are_durable_before_they_are_named(tmp_path: Path) -> None:
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    for number in range(3):
        write_photo(photos / f"{number}.png", (255, number, 0))
    index(lake, photos)
    (photos / "1.png").unlink()
    found = traced(lake, RESYNC, lake)

    tombstones = renamed(found, "tombstones")
    assert_never_touched_again(found, tombstones.path)
    in_place = [Event("fsync", tombstones.path), tombstones, Event("fsync", "tombstones")]
    assert_order(found, [Event("write", tombstones.path), *in_place, *published(3)])
    assert [event.to for event in found if event.call == "rename"] == [
        tombstones.to,
        "manifest.json",
    ]


def test_the_order_is_really_looked_at() -> None:
    first, second = Event("fsync", "a"), Event("rename", "a", "b")
    assert_order([first, second], [first, second])
    with pytest.raises(AssertionError, match="is not after"):
        assert_order([second, first], [first, second])
    log = '7 fsync(5</l/a> <unfinished ...>\n8 write(6</l/c>, ""..., 3) = 3\n7 <... fsync resumed>) = 0\n'
    log += '7 rename("/l/a", "/l/b") = 0\n7 fsync(3</other>) = 0\n7 fsync(4</l>) = -1 EIO (Input/output error)\n'
    assert events(log, Path("/l")) == [Event("write", "c"), first, second]
