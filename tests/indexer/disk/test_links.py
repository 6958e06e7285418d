"""A lake that came from somebody else:
links, pipes and paths in place of its own folders, files and ids.

Each folder and file of a lake is exchanged in turn, for a link to a whole copy that is somebody's
own and for a pipe; every verb then says so in one sentence, and the copy stays as it was, to the
byte and the second.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer.disk.entries import (
    NotPlain,
    append_file,
    check_file,
    create_file,
    open_file,
    read_file,
    remove,
)
from indexer.disk.layout import Layout
from indexer.disk.locks import acquire
from indexer.disk.manifest import _checksum
from indexer.errors import BadRequest, LakeDamaged, LakeUnsafe
from service import Lake
from service.cli.main import main
from service.relevance.decisions.store import FilterStore
from service.relevance.gate.decided_file import decided_file
from service.relevance.labels.book import LabelBook, NewLabel
from tests.lakes import YELLOW, png, write
from tests.service.relevance.definitions import rewritten

pytestmark = pytest.mark.skipif(os.name == "nt", reason="makes links and pipes")

Capture = pytest.CaptureFixture[str]

WRITING = (
    ["sync"],
    ["index", "{photos}", "--into"],
    ["vacuum", "--keep-hours", "0"],
    ["compact"],
)
READING = (["search", "cat"], ["info"], ["doctor"], ["doctor", "--deep"])
FILTERING = (
    ["list"],
    ["show", "red"],
    ["label", "red", "{labels}"],
    ["undo", "red"],
    ["next", "red"],
    ["apply", "red"],
    ["export", "red", "--format", "txt", "--out", "{out}"],
    ["copy", "red", "blue", "--labels"],
    ["delete", "red"],
)
# What may not be there when a lake is handed over, and is written or read by this name.
BY_NAME = (
    "manifest.json.new",
    "writer.json",
    "writer.json.new",
    "writer.lock",
    "readers",
    "ledger",
    "staging/left",
    "filters/.deleted",
    "filters/audits.lock",
    "filters/red/labels.lock",
    "filters/red/labels.jsonl.new",
    "filters/red/ledger/000004.parquet.new",
)


@pytest.fixture(autouse=True)
def no_hanging() -> Iterator[None]:
    """A test that waits for a pipe fails within a minute."""

    def tell(number: int, frame: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, tell)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos and their lake,
    in which everything is that a lake may hold. Not to be written.
    """
    home = tmp_path_factory.mktemp("given")
    photos, lake = home / "photos", home / "my.lake"
    for number in range(40):
        write(photos / f"{number}.png", png((255 * (number % 2), 3 * number, 0), (32, 32)))
    write(photos / "gone.png", png(YELLOW, (32, 32)))
    write(photos / "bad.png", b"\x89PNG\r\n\x1a\n")
    assert main(["index", str(photos), "--into", str(lake)]) == 0
    (photos / "gone.png").unlink()
    assert main(["sync", str(lake)]) == 0
    assert main(["filter", "new", str(lake), "red", "--keep", "red"]) == 0
    rows = sorted(hit.row_id for hit in Lake.open(lake).search("red", k=None))
    for some in (rows[:12], rows[12:]):  # some teach, the rest answer the audit
        labels = [f"{row},{'yes' if row % 2 else 'no'}\n" for row in some]
        (home / "labels.csv").write_text("row_id,label\n" + "".join(labels))
        assert main(["filter", "label", str(lake), "red", str(home / "labels.csv")]) == 0
        assert main(["filter", "next", str(lake), "red", "--purpose", "audit"]) == 0
    assert main(["filter", "apply", str(lake), "red", "--recall", "0.8"]) == 0
    return home


@pytest.fixture
def lake(given: Path, tmp_path: Path) -> Path:
    shutil.copytree(given / "my.lake", tmp_path / "my.lake")
    return tmp_path / "my.lake"


def entries(given: Path) -> list[str]:
    lake = given / "my.lake"
    return sorted(path.relative_to(lake).as_posix() for path in lake.rglob("*"))


def tree(folder: Path) -> dict[str, object]:
    """Everything that could be told of a folder afterwards."""
    found: dict[str, object] = {}
    for path in sorted([folder, *folder.rglob("*")]):
        status = path.lstat()
        content = (
            hashlib.sha256(path.read_bytes()).hexdigest()
            if path.is_file()
            else sorted(map(str, path.iterdir()))
        )
        found[str(path)] = (status.st_ino, status.st_mtime_ns, status.st_nlink, content)
    return found


def commands(given: Path, lake: Path) -> Iterator[tuple[list[str], bool]]:
    """Every verb, and whether it writes the lake's segments and snapshots."""
    names = {"photos": str(given / "photos"), "out": str(lake.parent / "out.txt")}
    names["labels"] = str(given / "labels.csv")
    for words, writes in [
        *((verb, True) for verb in WRITING),
        *((verb, False) for verb in READING),
    ]:
        verb, *rest = [word.format(**names) for word in words]
        # `search LAKE TEXT`, and `index PHOTOS --into LAKE`.
        yield ([verb, *rest, str(lake)] if verb == "index" else [verb, str(lake), *rest]), writes
    for words in FILTERING:
        action, *rest = [word.format(**names) for word in words]
        yield ["filter", action, str(lake), *rest], False


def exchange(lake: Path, name: str, put: Callable[[Path, Path], None]) -> Path:
    """Put something in the place of an entry;
    where what was there, or a stranger's like it, lies now.
    """
    path, precious = lake / name, lake.parent / "precious"
    precious.mkdir()
    mine = precious / path.name
    if path.exists():
        path.rename(mine)
    elif "." in path.name and not path.name.startswith("."):
        mine.write_text("a thesis")
    else:
        mine.mkdir()
        (mine / "thesis.txt").write_text("years of work")
    path.parent.mkdir(parents=True, exist_ok=True)
    put(path, mine)
    return precious


def link(path: Path, mine: Path) -> None:
    path.symlink_to(mine)


def pipe(path: Path, mine: Path) -> None:
    os.mkfifo(path)


def check_refused(
    given: Path, lake: Path, name: str, what: str, precious: Path, capsys: Capture
) -> None:
    before = tree(precious)
    for command, writes in commands(given, lake):
        capsys.readouterr()
        signal.alarm(60)  # anew for each
        code = main(command)
        said = "".join(capsys.readouterr())
        assert "Traceback" not in said, (command, said)
        assert tree(precious) == before, command
        assert os.path.lexists(lake / name), command
        if writes:
            assert code == 1, command
            assert f"{lake / name} is {what}: a lake holds folders and plain files alone" in said, (
                command,
                said,
            )
        elif name.startswith("filters") or name in (
            "staging",
            "segments",
            "manifests",
            "readers",
            "manifest.json",
        ):
            assert code == 1, command
            assert f"is {what}" in said, (command, said)


@pytest.mark.parametrize(("what", "put"), [("a link", link), ("a pipe", pipe)])
def test_no_verb_follows_or_opens_what_stands_for_a_lakes_own(
    given: Path, tmp_path: Path, what: str, put: Callable[[Path, Path], None], capsys: Capture
) -> None:
    names = list(dict.fromkeys([*entries(given), *BY_NAME]))
    # Every kind of entry is among them.
    assert {Path(name).name for name in names} >= {
        "manifest.json", "manifests", "segments", "rows.parquet", "vectors.faiss", "tombstones", "none.parquet",
        "skipped", "staging", "filters", "red", "labels.jsonl", "audits", "ledger", "000001.json", "000001.parquet",
        "filter.lock", "labels.lock", "writer.lock", "readers",
    }  # fmt: skip
    # Every other one is a link, and those between are pipes: all verbs on all names take minutes.
    for name in names[put is pipe :: 2]:
        home = tmp_path / name.replace("/", "-")
        shutil.copytree(given / "my.lake", home / "my.lake")
        precious = exchange(home / "my.lake", name, put)
        check_refused(given, home / "my.lake", name, what, precious, capsys)


# -- links that are nobody's business, and hard ones


def test_the_lakes_own_folder_may_be_a_link_and_what_lies_beside_its_files_too(
    given: Path, lake: Path, capsys: Capture
) -> None:
    (lake / "photos").symlink_to(given / "photos")
    os.mkfifo(lake / "pipe")
    name = lake.parent / "by-another-name.lake"
    name.symlink_to(lake)
    assert main(["sync", str(name)]) == 0
    assert main(["info", str(name), "--json"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out)["images"] == 40
    assert main(["vacuum", str(name)]) == 0
    assert (
        name.is_symlink()
        and (lake / "photos").is_symlink()
        and len(list((given / "photos").iterdir())) == 41
    )


def test_labels_under_a_second_name_are_parted_from_it_before_they_are_written(lake: Path) -> None:
    """A backup made of hard links keeps what it has,
    and so does a file that somebody tied to a lake of theirs.
    """
    labels = lake / "filters" / "red" / "labels.jsonl"
    backup = lake.parent / "backup.jsonl"
    backup.hardlink_to(labels)
    before = backup.read_bytes()
    labels.chmod(0o640)
    book = LabelBook(labels.parent)
    book.add([NewLabel(7, "yes", "ann")])
    assert backup.read_bytes() == before and backup.stat().st_nlink == 1
    assert labels.read_bytes()[: len(before)] == before
    assert [record.row_id for record in book.records()][-1] == 7
    assert labels.stat().st_mode & 0o777 == 0o640
    inode = labels.stat().st_ino
    book.add([NewLabel(8, "no", "ann")])
    assert labels.stat().st_ino == inode  # one of its own is appended to
    assert not labels.with_name("labels.jsonl.new").exists()


@pytest.mark.parametrize(
    "name", ["writer.lock", "filters/red/labels.lock", "filters/red/filter.lock"]
)
def test_a_file_with_something_in_it_is_no_lock(lake: Path, name: str) -> None:
    thesis = lake.parent / "thesis.txt"
    thesis.write_text("years of work")
    (lake / name).unlink(missing_ok=True)
    (lake / name).hardlink_to(thesis)
    sentence = f"{lake / name} is a file with something in it, where an empty lock belongs"
    with pytest.raises(LakeUnsafe, match=f"^{re.escape(sentence)}"):
        acquire(lake / name, "no locks")
    assert thesis.read_text() == "years of work"


def test_what_a_crash_left_under_a_name_of_ours_is_replaced_and_not_written_into(
    lake: Path,
) -> None:
    """Links of no lake: beside an export and a list of decisions,
    in a folder of somebody's photos.
    """
    thesis = lake.parent / "thesis.txt"
    thesis.write_text("years of work")
    out = lake.parent / "kept.txt"
    for name in ("kept.txt.lakesift.json.new", ".kept.txt.partial"):
        out.with_name(name).symlink_to(thesis)
    assert main(["filter", "export", str(lake), "red", "--format", "txt", "--out", str(out)]) == 0
    assert out.read_text() and not out.is_symlink()
    report = lake.parent / "report.html"
    report.with_name("report.html.new").symlink_to(thesis)
    assert main(["filter", "report", str(lake), "red", "--out", str(report)]) == 0
    assert report.stat().st_size > 1000
    decided = lake.parent / "decided.csv"
    decided.with_name("decided.csv.part").symlink_to(thesis)
    with decided_file(decided) as write_decided:
        write_decided([])
    assert decided.read_text().startswith("name,decision,")
    assert thesis.read_text() == "years of work"


def test_an_exports_own_notes_name_only_what_it_writes(lake: Path, capsys: Capture) -> None:
    home = lake.parent / "home"
    (home / "deep").mkdir(parents=True)
    (home / "thesis.txt").write_text("years of work")
    out = home / "deep" / "kept.txt"
    assert main(["filter", "export", str(lake), "red", "--format", "txt", "--out", str(out)]) == 0
    notes = out.with_name("kept.txt.lakesift.json")
    document = json.loads(notes.read_text())
    for name in (
        "..",
        "../thesis.txt",
        "thesis.txt",
        "kept.txt.txt",
        "kept-1.txt",
        "kept-00001.csv",
    ):
        notes.write_text(
            json.dumps(
                {**document, "chunks": [{**document["chunks"][0], "name": name, "whole": False}]}
            )
        )
        capsys.readouterr()
        command = [
            "filter",
            "export",
            str(lake),
            "red",
            "--format",
            "txt",
            "--out",
            str(out),
            "--overwrite",
        ]
        assert main(command) == 1
        assert "it does not say how far the export is" in capsys.readouterr().err
        assert (home / "thesis.txt").exists() and out.exists()


# -- ids


def forge(lake: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Write a manifest as somebody would who knows how its checksum is made."""
    layout = Layout(lake)
    for path in (layout.manifest, *layout.snapshots()):
        body = json.loads(path.read_text())
        del body["checksum"]
        if not body["segments"]:  # the first one, of sources alone; it would be read instead
            path.unlink()
            continue
        change(body)
        path.write_text(json.dumps({**body, "checksum": _checksum(body)}))


def change_segment_id(body: dict[str, Any], name: object) -> None:
    body["segments"][0]["id"] = name


def change_tombstones_id(body: dict[str, Any], name: object) -> None:
    body["tombstones"] = [
        {
            "id": name,
            "rows": 1,
            "segments": [],
            "file": body["segments"][0]["files"]["rows.parquet"],
        }
    ]


def change_tombstones_segment(body: dict[str, Any], name: object) -> None:
    change_tombstones_id(body, "01A")
    body["tombstones"][0]["segments"] = [name]


def change_skipped_id(body: dict[str, Any], name: object) -> None:
    body["skipped"] = [
        {"id": name, "rows": 1, "file": body["segments"][0]["files"]["rows.parquet"]}
    ]


def change_file_name(body: dict[str, Any], name: object) -> None:
    body["segments"][0]["files"][str(name)] = body["segments"][0]["files"]["rows.parquet"]


def change_checksum(body: dict[str, Any], name: object) -> None:
    body["segments"][0]["files"]["rows.parquet"]["ends"] = name


@pytest.mark.parametrize(
    "change",
    [
        change_segment_id,
        change_tombstones_id,
        change_tombstones_segment,
        change_skipped_id,
        change_file_name,
        change_checksum,
    ],
)
@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "",
        "../../mine",
        "/etc",
        "a/b",
        "a\\b",
        "C:",
        "a\x00b",
        "-rf",
        "a" * 65,
        "~",
        "é",
        "a\n",
    ],
)
def test_what_names_a_file_of_a_lake_is_no_path(
    lake: Path, change: Callable[[dict[str, Any], object], None], name: str, capsys: Capture
) -> None:
    forge(lake, lambda body: change(body, name))
    with pytest.raises(
        LakeDamaged,
        match=r"manifest.json is damaged: .* is no (id|name of a segment's file|checksum)$",
    ):
        Lake.open(lake)
    capsys.readouterr()
    assert main(["sync", str(lake)]) == 1
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("number", [7, None, ["a"], True])
def test_an_id_is_a_text(lake: Path, number: object) -> None:
    forge(lake, lambda body: change_segment_id(body, number))
    with pytest.raises(LakeDamaged, match=r"is no id$"):
        Lake.open(lake)


@pytest.mark.parametrize("name", ["..", "../red", "a/b", "", ".deleted", "a\x00b", "/etc"])
def test_a_filters_name_is_no_path(lake: Path, name: str) -> None:
    store = FilterStore(Layout(lake))
    for use in (store.read, store.versions, store.labels, store.delete, store.folder):
        with pytest.raises(BadRequest, match="is no name for a filter"):
            use(name)


@pytest.mark.parametrize("audit", ["../../x", -1, 0, 1.5, True, "1"])
def test_an_audits_number_is_a_number(lake: Path, audit: object) -> None:
    folder = lake / "filters" / "red"
    path = max(folder.glob("0*.json"))
    rewritten(path, audit=audit)
    with pytest.raises(LakeDamaged, match=r"audit is (not|below)"):
        FilterStore(Layout(lake)).read("red")


# -- the pieces


def test_a_new_file_takes_the_place_of_a_link(tmp_path: Path) -> None:
    thesis, path = tmp_path / "thesis.txt", tmp_path / "a.new"
    thesis.write_text("years of work")
    path.symlink_to(thesis)
    with create_file(path) as file:
        file.write(b"new")
    assert (path.is_symlink(), path.read_bytes(), thesis.read_text()) == (
        False,
        b"new",
        "years of work",
    )
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError):
        create_file(path)


def test_removing_counts_bytes_and_follows_nothing(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a").write_bytes(bytes(1000))
    (folder / "deep" / "link").symlink_to(precious)
    links = (folder / "deep" / "link").lstat().st_size
    assert remove(folder) == 1000 + links + folder_size(tmp_path)
    assert not folder.exists() and (precious / "thesis.txt").read_text() == "years of work"
    (tmp_path / "link").symlink_to(precious)
    remove(tmp_path / "link")
    os.mkfifo(tmp_path / "pipe")
    assert remove(tmp_path / "pipe") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious"]


def folder_size(where: Path) -> int:
    """What an empty folder's own entry counts here."""
    folder = where / "empty"
    folder.mkdir()
    size = folder.stat().st_size
    folder.rmdir()
    return size


@pytest.mark.parametrize("use", [read_file, open_file, append_file, check_file])
def test_links_pipes_and_devices_are_not_opened(
    tmp_path: Path, use: Callable[[Path], object]
) -> None:
    path = tmp_path / "a"
    path.symlink_to("/dev/zero")
    with pytest.raises(
        NotPlain, match=r"^it is a link, and a lake holds folders and plain files alone$"
    ):
        use(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(NotPlain, match=r"^it is a pipe, and a lake"):
        use(path)
    with pytest.raises(NotPlain, match=r"^it is a device, and a lake"):
        use(Path("/dev/zero"))
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        try:
            listening.bind(str(path))
        except OSError:
            pytest.skip("the folder's path is too long for a socket")
        with pytest.raises(NotPlain, match=r"^it is a socket, and a lake"):
            use(path)


def test_a_file_in_a_linked_folder_is_not_checked_as_a_lakes_own(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "rows.parquet").write_bytes(b"x")
    (tmp_path / "here").symlink_to("there")
    with pytest.raises(NotPlain, match=r"^it is a link"):
        check_file(tmp_path / "here" / "rows.parquet")
    check_file(tmp_path / "there" / "rows.parquet")
