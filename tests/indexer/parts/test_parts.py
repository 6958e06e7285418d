"""A lake made in parts is the lake that one run makes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from indexer.arrays import Pixels, Vectors
from indexer.disk.layout import Layout
from indexer.disk.locks import writer
from indexer.disk.manifest import SourceEntry
from indexer.errors import BadRequest, LakeLocked, SourceError, UnreadableImage
from indexer.images.decoder import Decoder
from indexer.parts.leaving import discard_parts
from indexer.parts.places import parts_state
from indexer.parts.share import Share
from indexer.parts.taking import take_rows
from indexer.run.writing.commits import prepare_folder
from indexer.sources.expanding import ExpandedSource
from tests.fakes import ColourEmbedder
from tests.indexer.lakes import LONG_AGO_S, current, index, png, resync, write_photo
from tests.indexer.parts.lakes import SETTLED, commit, part, parts, skips, whole_rows
from tests.indexer.test_crash import change_photos, make_photos
from tests.indexer.test_crash_containers import change_containers, make_containers
from tests.lakes import write


def equal(lake: Path, plain: Path) -> None:
    """Row for row, with ids, all columns and vectors; what was skipped, and the sources."""
    assert whole_rows(lake) == whole_rows(plain)
    assert skips(lake) == skips(plain)
    assert current(lake).sources == current(plain).sources
    assert current(lake).columns == current(plain).columns


def test_a_share_is_of_the_address_alone() -> None:
    """sha256("/a/0.png") begins with 9171e496: 2440160406, 6 above a multiple of 16."""
    assert Share(7, 16).holds("/a/0.png")
    assert [Share(k, 16).holds("/a/0.png") for k in range(1, 17)].count(True) == 1
    assert Share.parse("3/16") == Share(3, 16)
    assert (str(Share(3, 16)), Share(3, 16).name) == ("3/16", "3-of-16")


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "3/", "a/4", "1/0", "-1/4", "1/100001"])
def test_there_is_no_such_part(text: str) -> None:
    with pytest.raises(BadRequest, match=r"^part: "):
        Share.parse(text)


def test_sixteen_parts_are_what_one_run_is(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos")
    index(tmp_path / "plain.lake", tmp_path / "photos", SETTLED)
    lake = tmp_path / "my.lake"
    embedded = parts(lake, 16, tmp_path / "photos")
    assert sum(embedded) == 66
    assert not (lake / "manifest.json").exists()
    report = commit(lake)
    assert (report.parts, report.missing, report.taken, report.left) == (16, (), 66, 0)
    assert (report.run.new, report.run.skipped, report.run.problems) == (66, 2, [])
    equal(lake, tmp_path / "plain.lake")
    assert (current(lake).snapshot, len(current(lake).segments)) == (1, 1)
    assert not (lake / "parts").exists()
    again = resync(lake, SETTLED)
    assert (again.unchanged, again.new, again.changed_rows) == (66, 0, 0)


@pytest.mark.parametrize(
    "make, change",
    [(make_photos, change_photos), (make_containers, change_containers)],
    ids=["photos", "containers"],
)
def test_parts_over_a_lake_that_is_there_end_where_one_run_would(
    tmp_path: Path, make: Callable[[Path], None], change: Callable[[Path], None]
) -> None:
    """Rows that moved, changed or are gone; the same with a second source that is left alone."""
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    make(photos)
    write_photo(tmp_path / "other" / "1.png", (1, 2, 3))
    index(lake, tmp_path / "other", SETTLED)
    index(lake, photos, SETTLED)
    shutil.copytree(lake, tmp_path / "plain.lake")
    change(photos)
    plain = index(tmp_path / "plain.lake", photos, SETTLED)
    before = current(lake).snapshot
    parts(lake, 4, photos)
    assert current(lake).snapshot == before
    report = commit(lake)
    assert current(lake).snapshot <= before + 2  # the parts, and small segments merged after them
    assert (lake / "manifests" / f"{before + 1:06d}.json").exists()
    equal(lake, tmp_path / "plain.lake")
    run = report.run
    assert (run.new, run.changed, run.moved, run.gone) == (
        plain.new,
        plain.changed,
        plain.moved,
        plain.gone,
    )
    assert report.left == 0
    again = resync(lake, SETTLED)
    assert (again.new, again.changed_rows) == (0, 0)


def test_parts_embed_only_what_is_new(tmp_path: Path) -> None:
    """All are known, but 4 moved, which their bytes tell; where two that moved have as many bytes,
    each might be the other part's, so both are embedded.
    """
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    for number in range(20):
        padding = bytes(min(number, 3))
        write(photos / f"{number}.png", png((number, 99, 99)) + padding)
    index(lake, photos, SETTLED)
    for number in range(5):
        (photos / f"{number}.png").rename(photos / f"moved{number}.png")
    model = ColourEmbedder(batch_size=5)
    for number in range(1, 4):
        part(lake, f"{number}/3", photos, model=model)
    assert sum(model.calls) == 2
    assert (commit(lake).run.moved, current(lake).live_rows) == (5, 20)
    assert sorted(whole_rows(lake)) == list(range(1, 21))


def test_a_copy_that_several_parts_might_take_for_the_row_that_moved_is_embedded(
    tmp_path: Path,
) -> None:
    """One photo went, and there are three of its bytes: one is its row, two are new."""
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    write_photo(photos / "0.png", (9, 9, 99))
    write_photo(photos / "1.png", (99, 9, 9))
    index(lake, photos, SETTLED)
    shutil.copytree(lake, tmp_path / "plain.lake")
    for name in ("a.png", "b.png", "c.png"):
        write_photo(photos / name, (9, 9, 99))
    (photos / "0.png").unlink()
    index(tmp_path / "plain.lake", photos, SETTLED)
    assert sum(parts(lake, 3, photos)) == 3
    report = commit(lake)
    assert (report.run.moved, report.run.new, report.left) == (1, 2, 0)
    equal(lake, tmp_path / "plain.lake")


def test_containers_are_looked_into_by_their_own_part_and_by_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    make_containers(photos)
    write_photo(photos / "loose.png", (5, 6, 7))
    index(tmp_path / "plain.lake", photos, SETTLED)
    looked: list[str] = []
    look = ExpandedSource._look_into

    def seen(self: ExpandedSource, file: object, *rest: object) -> object:
        looked.append(Path(file.uri).name)  # type: ignore[attr-defined]
        return look(self, file, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(ExpandedSource, "_look_into", seen)
    parts(lake, 3, photos)
    assert sorted(looked) == ["a.tar", "b.zip", "c.parquet", "d.mcap", "e.mkv", "t.tar"]
    looked.clear()
    parts(lake, 3, photos)
    commit(lake)
    assert looked == []
    equal(lake, tmp_path / "plain.lake")
    assert (resync(lake, SETTLED).changed_rows, looked) == (0, [])


def test_a_part_that_was_stopped_goes_on_and_one_run_twice_counts_once(tmp_path: Path) -> None:
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    make_photos(photos)
    index(tmp_path / "plain.lake", photos, SETTLED)
    model = ColourEmbedder(batch_size=1)
    stopped = part(lake, "1/2", photos, model=model, should_stop=lambda: sum(model.calls) > 9)
    assert stopped.interrupted and stopped.rows == stopped.new == 10
    with pytest.raises(
        BadRequest,
        match=r"2 parts of the 2 of .* are not done: 1/2 \(\d+ images so far\), 2/2; run",
    ):
        commit(lake)
    done = part(lake, "1/2", photos, model=model)
    assert done.rows == sum(model.calls) == stopped.new + done.new
    assert done.unchanged == stopped.new
    again = part(lake, "1/2", photos, model=model)
    assert (again.new, again.rows, sum(model.calls)) == (0, done.rows, done.rows)
    part(lake, "2/2", photos)
    commit(lake)
    equal(lake, tmp_path / "plain.lake")


def test_more_parts_than_images(tmp_path: Path) -> None:
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    write_photo(photos / "1.png", (1, 99, 1))
    index(tmp_path / "plain.lake", photos, SETTLED)
    assert sorted(parts(lake, 5, photos)) == [0, 0, 0, 0, 1]
    state = parts_state(lake)
    assert state is not None and (state.of, state.done, state.images, state.missing) == (
        5,
        5,
        1,
        (),
    )
    assert parts(lake, 5, photos) == [0] * 5
    commit(lake)
    equal(lake, tmp_path / "plain.lake")
    with pytest.raises(BadRequest, match="has no parts to commit"):
        commit(lake)


def test_what_is_missing_comes_with_the_next_sync(tmp_path: Path) -> None:
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    make_photos(photos)
    parts(lake, 3, photos, only=[1, 3])
    held = sum(not Share(2, 3).holds(str(photos / f"p{n:03d}.png")) for n in range(66))
    with pytest.raises(
        BadRequest, match=r"^commit: 1 part of the 3 of \S+ is not done: 2/3; run each again"
    ):
        commit(lake)
    report = commit(lake, allow_missing=True)
    assert (report.missing, report.taken) == ((2,), held)
    assert report.left >= 66 - held
    assert "are in no part" in report.run.notes[-1]
    rest = resync(lake, SETTLED)
    assert (rest.new, rest.rows, rest.skipped) == (66 - held, 66, 2)


def test_a_lake_that_another_writer_changed_meanwhile_has_nothing_twice(tmp_path: Path) -> None:
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    make_photos(photos)
    index(tmp_path / "plain.lake", photos, SETTLED)
    parts(lake, 2, photos)
    index(lake, photos, SETTLED)
    report = commit(lake)
    assert (report.taken, report.run.unchanged) == (0, 66)
    equal(lake, tmp_path / "plain.lake")


def test_what_changed_since_its_part_was_made_is_left_to_sync(tmp_path: Path) -> None:
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    for number in range(8):
        write_photo(photos / f"{number}.png", (number, 99, 1))
    parts(lake, 2, photos)
    write_photo(photos / "3.png", (200, 1, 1), LONG_AGO_S + 9)
    write_photo(photos / "new.png", (1, 1, 200))
    (photos / "5.png").unlink()
    report = commit(lake)
    assert (report.taken, report.left, report.run.rows) == (6, 2, 6)
    names = [Path(row["uri"]).name for _, row in sorted(whole_rows(lake).items())]
    assert names == ["0.png", "1.png", "2.png", "4.png", "6.png", "7.png"]
    assert resync(lake, SETTLED).new == 2


def test_nobody_commits_or_discards_a_part_that_runs(tmp_path: Path) -> None:
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    make_photos(photos)
    parts(lake, 2, photos)
    met: list[str] = []

    class Meanwhile(ColourEmbedder):
        def embed_images(self, images: Sequence[Pixels]) -> Vectors:
            if not met:
                for verb in (commit, discard_parts, lambda lake: part(lake, "1/2", photos)):
                    with pytest.raises(LakeLocked) as refused:
                        verb(lake)
                    met.append(str(refused.value))
            return super().embed_images(images)

    names = (str(photos / f"new{number}.png") for number in range(99))
    write_photo(Path(next(name for name in names if Share(1, 2).holds(name))), (1, 1, 99))
    part(lake, "1/2", photos, model=Meanwhile())
    assert len(met) == 3
    assert all("1-of-2 is being written by process" in told for told in met)


def test_what_nobody_wants_any_more_is_thrown_away(tmp_path: Path) -> None:
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    make_photos(photos)
    parts(lake, 2, photos, only=[1])
    assert discard_parts(lake) > 1_000
    assert not (lake / "parts").exists()
    with pytest.raises(BadRequest, match="has no parts that are not committed"):
        discard_parts(lake)
    assert parts_state(lake) is None


def test_a_source_that_is_not_there_leaves_no_shell_of_a_lake(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("mistyped", "empty"):
        with pytest.raises(SourceError):
            part(tmp_path / "deep" / "my.lake", "1/2", tmp_path / name)
        assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_lake_below_its_own_source_is_no_source(tmp_path: Path) -> None:
    write_photo(tmp_path / "1.png", (1, 99, 1))
    lake = tmp_path / "my.lake"
    parts(lake, 2, tmp_path)
    assert sum(parts(lake, 2, tmp_path)) == 0
    assert commit(lake).run.rows == 1


def test_columns_of_a_table_and_captions_come_along(tmp_path: Path) -> None:
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    for number in range(6):
        write_photo(photos / f"{number}.png", (number, 99, 1))
    (photos / "2.txt").write_text("a caption")
    table = tmp_path / "table.csv"
    table.write_text(
        "file,Shelf,size\n" + "".join(f"{n}.png,{n},{'x' if n else 3}\n" for n in range(6))
    )
    source = SourceEntry(str(photos), str(table))
    parts(lake, 3, source)
    commit(lake)
    by_name = {Path(row["uri"]).name: row for row in whole_rows(lake).values()}
    assert [by_name[f"{n}.png"]["Shelf"] for n in range(6)] == [0, 1, 2, 3, 4, 5]
    assert [by_name[f"{n}.png"]["size"] for n in range(6)] == ["3", "x", "x", "x", "x", "x"]
    assert by_name["2.png"]["caption"] == "a caption"
    assert resync(lake, SETTLED).changed_rows == 0


def test_a_part_of_which_nothing_could_be_read_just_now_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine that lacks the keys of a bucket."""
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    for number in range(4):
        write_photo(photos / f"{number}.png", (number, 99, 1))

    def fails(*_: object) -> None:
        raise UnreadableImage("a photo", "permission denied", transient=True)

    with monkeypatch.context() as patch:
        patch.setattr(Decoder, "decode", fails)
        report = part(lake, "1/1", photos)
    assert report.problems == [
        "none of the images of part 1/1 could be read, and all may be fine: it is not done, run it again"
    ]
    with pytest.raises(BadRequest, match=r"1 part of the 1 of .* is not done"):
        commit(lake)
    assert part(lake, "1/1", photos).new == 4
    assert (commit(lake).taken, skips(lake)) == (4, set())


def test_a_part_that_begins_while_the_others_are_committed_keeps_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    make_photos(photos)
    parts(lake, 2, photos, only=[1])
    layout = Layout(lake / "parts" / "2-of-2")
    with ExitStack() as running:

        def begins(*rest: Any) -> None:
            prepare_folder(layout)
            running.enter_context(writer(layout))
            take_rows(*rest)

        monkeypatch.setattr("indexer.parts.commit.take_rows", begins)
        report = commit(lake, allow_missing=True)
    assert "the parts are kept: the part 2-of-2 is being written by process" in report.run.notes[-1]
    monkeypatch.undo()
    part(lake, "2/2", photos)
    commit(lake)
    assert len(whole_rows(lake)) == 66
    assert not (lake / "parts").exists()
