from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from indexer.config import IndexConfig
from indexer.disk.layout import Layout
from indexer.disk.locks import writer
from indexer.disk.manifest import SourceEntry
from indexer.errors import (
    BadRequest,
    LakeError,
    LakeLocked,
    LakeNotFound,
    SourceError,
    WrongModel,
)
from indexer.report import SyncReport
from indexer.run.writing.commits import prepare_folder
from indexer.run.writing.compact import compact, vacuum
from indexer.sync import sync
from tests.bad_images import NOBODY, as_nobody
from tests.fakes import ColourEmbedder
from tests.lakes import BLACK, BLUE, GREEN, LONG_AGO_S, RED, YELLOW, Desk, no_model, png, write


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def two(desk: Desk) -> Desk:
    """a.png is red (row 1) and b.png is green (row 2),
    both indexed; the model's calls are forgotten.
    """
    desk.add("a.png", RED)
    desk.add("b.png", GREEN)
    desk.index()
    desk.model.calls.clear()
    return desk


_opened: list[str] = []
_watching = False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event == "open":
        _opened.append(os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else "")


sys.addaudithook(_audit)


@contextmanager
def images_opened() -> Iterator[list[str]]:
    """The names of the images that this process opens, by whatever call."""
    global _watching
    names: list[str] = []
    _opened.clear()
    _watching = True
    try:
        yield names
    finally:
        _watching = False
        names += [Path(path).name for path in _opened if path.endswith(".png")]


def stop_after(rows: int, model: ColourEmbedder) -> Callable[[], bool]:
    return lambda: sum(model.calls) >= rows


# new, changed, touched


def test_new_files_become_rows_in_order_of_their_paths(desk: Desk) -> None:
    desk.add("b.png", GREEN)
    desk.add("a.png", RED)
    desk.add("sub/c.png", BLUE, size=(6, 3))
    report = desk.index()
    assert (report.new, report.rows, report.skipped, report.problems) == (3, 3, 0, [])
    rows = desk.rows()
    assert {name: (row["row_id"], row["vector"]) for name, row in rows.items()} == {
        "a.png": (1, [1, 0, 0]),
        "b.png": (2, [0, 1, 0]),
        "sub/c.png": (3, [0, 0, 1]),
    }
    row = rows["sub/c.png"]
    assert (row["width_px"], row["height_px"], row["format"], row["source"]) == (
        6,
        3,
        "png",
        str(desk.photos),
    )
    assert row["modified"].timestamp() == LONG_AGO_S
    assert row["size_bytes"] == len(png(BLUE, (6, 3)))
    assert desk.manifest.sources[0].uri == str(desk.photos)


def test_a_later_file_is_added_and_the_others_are_left(two: Desk) -> None:
    two.add("c.png", BLUE)
    report = two.sync()
    assert (report.new, report.unchanged, report.rows) == (1, 2, 3)
    assert two.model.calls == [1]
    assert two.ids() == {"a.png": 1, "b.png": 2, "c.png": 3}


def test_an_unchanged_lake_opens_no_image_loads_no_model_and_commits_nothing(two: Desk) -> None:
    before = two.manifest
    with images_opened() as names:
        report = two.idle_sync()
    assert names == []
    assert (report.unchanged, report.new, report.changed, report.moved, report.gone) == (
        2,
        0,
        0,
        0,
        0,
    )
    assert two.manifest == before
    assert report.snapshot == before.snapshot


def test_the_watch_on_opened_images_sees_them(two: Desk) -> None:
    os.utime(two.photos / "a.png", (LONG_AGO_S + 9, LONG_AGO_S + 9))
    with images_opened() as names:
        two.idle_sync()
    assert names == ["a.png"]


def test_a_file_of_another_size_is_a_new_row(two: Desk) -> None:
    two.add("a.png", BLUE, size=(5, 5))
    report = two.sync()
    assert (report.changed, report.new, report.gone, report.unchanged) == (1, 0, 0, 1)
    assert two.ids() == {"a.png": 3, "b.png": 2}
    assert two.rows()["a.png"]["vector"] == [0, 0, 1]


def test_a_file_of_the_same_size_and_another_time_is_looked_at(two: Desk) -> None:
    two.add("a.png", BLUE, LONG_AGO_S + 1)
    assert two.sync().changed == 1
    assert two.ids() == {"a.png": 3, "b.png": 2}
    assert two.rows()["a.png"]["vector"] == [0, 0, 1]


def test_a_touched_file_keeps_row_and_vector_and_is_not_decoded(two: Desk) -> None:
    os.utime(two.photos / "a.png", (LONG_AGO_S + 60, LONG_AGO_S + 60))
    report = two.idle_sync()
    assert (report.unchanged, report.changed, report.moved, report.new) == (2, 0, 0, 0)
    row = two.rows()["a.png"]
    assert (row["row_id"], row["vector"], row["modified"].timestamp()) == (
        1,
        [1, 0, 0],
        LONG_AGO_S + 60,
    )
    with images_opened() as names:
        two.idle_sync()
    assert names == []


def test_a_file_moved_over_another_leaves_one_row(two: Desk) -> None:
    (two.photos / "b.png").rename(two.photos / "a.png")
    os.utime(two.photos / "a.png", (LONG_AGO_S + 1, LONG_AGO_S + 1))
    report = two.idle_sync()
    assert (report.moved, report.gone, report.new, report.rows) == (1, 1, 0, 1)
    assert two.ids() == {"a.png": 2}


def test_a_file_written_during_the_scan_is_looked_at_until_it_has_settled(desk: Desk) -> None:
    now = time.time()
    path = desk.add("a.png", RED, now)
    desk.add("b.png", GREEN)
    desk.index(settle_s=600)
    write(path, png(BLUE), now)  # as within one tick of a coarse clock: same size, same time
    report = desk.sync(settle_s=600)
    assert (report.changed, desk.rows()["a.png"]["vector"], desk.ids()["a.png"]) == (
        1,
        [0, 0, 1],
        3,
    )
    write(path, png(YELLOW), now)  # still the same tick
    assert (desk.sync(settle_s=600).changed, desk.rows()["a.png"]["vector"]) == (
        1,
        [0.707, 0.707, 0],
    )
    # From here on everything has settled, however fast this machine is.
    with images_opened() as names:
        assert desk.idle_sync(settle_s=0).unchanged == 2
    assert names == ["a.png"]  # a last look, and it has settled
    with images_opened() as names:
        desk.idle_sync(settle_s=0)
    assert names == []
    assert desk.ids() == {"a.png": 4, "b.png": 2}


def test_a_file_from_the_future_settles_like_any_other(desk: Desk) -> None:
    desk.add("a.png", RED, time.time() + 86_400)
    desk.index()
    for expected in (["a.png"], []):
        with images_opened() as names:
            desk.idle_sync()
        assert names == expected


def test_a_file_that_changed_and_cannot_be_reached_just_now_keeps_its_row(desk: Desk) -> None:
    path = desk.add("a.png", RED)
    desk.index()
    path.unlink()
    path.symlink_to(desk.root / "on a disk that is away.png")
    report = desk.sync()
    assert (report.changed, report.skipped, desk.ids()) == (0, 1, {"a.png": 1})
    write(desk.root / "on a disk that is away.png", png(BLUE, (5, 5)))
    report = desk.sync()
    assert (report.changed, report.skipped, desk.ids()) == (1, 0, {"a.png": 2})


# moved, copied, swapped, deleted


def test_a_moved_file_keeps_row_and_vector_and_is_not_embedded(two: Desk) -> None:
    before = two.rows()["a.png"]
    (two.photos / "sub").mkdir()
    (two.photos / "a.png").rename(two.photos / "sub" / "z.png")
    report = two.idle_sync()
    assert (report.moved, report.new, report.gone, report.unchanged, report.rows) == (1, 0, 0, 1, 2)
    assert two.ids() == {"sub/z.png": 1, "b.png": 2}
    after = two.rows()["sub/z.png"]
    assert {name for name in after if after[name] != before[name]} == {"uri"}
    assert two.model.calls == []


def test_a_file_moved_and_touched_keeps_its_row(two: Desk) -> None:
    (two.photos / "a.png").unlink()
    two.add("c.png", RED, LONG_AGO_S + 77)
    assert two.idle_sync().moved == 1
    assert two.ids() == {"c.png": 1, "b.png": 2}
    assert two.rows()["c.png"]["modified"].timestamp() == LONG_AGO_S + 77


def test_a_file_moved_from_one_source_to_another_keeps_its_row(two: Desk) -> None:
    other = two.root / "other"
    write(other / "x.png", png(BLUE))
    two.index(other)
    (two.photos / "a.png").rename(other / "a.png")
    assert two.idle_sync().moved == 1
    row = two.rows()[f"{other}/a.png"]
    assert (row["row_id"], row["source"]) == (1, str(other))


def test_two_files_that_swap_names_keep_their_rows(desk: Desk) -> None:
    a, b = desk.add("a.png", RED, LONG_AGO_S), desk.add("b.png", GREEN, LONG_AGO_S + 5)
    desk.index()
    a.rename(desk.root / "aside")
    b.rename(a)
    (desk.root / "aside").rename(b)
    report = desk.idle_sync()
    assert (report.moved, report.changed) == (2, 0)
    rows = desk.rows()
    assert (rows["a.png"]["row_id"], rows["a.png"]["vector"]) == (2, [0, 1, 0])
    assert (rows["b.png"]["row_id"], rows["b.png"]["vector"]) == (1, [1, 0, 0])


def test_a_copy_is_a_row_of_its_own(two: Desk) -> None:
    two.add("copy of a.png", RED)
    report = two.sync()
    assert (report.new, report.moved, report.unchanged) == (1, 0, 2)
    assert two.ids() == {"a.png": 1, "b.png": 2, "copy of a.png": 3}
    assert two.rows()["copy of a.png"]["sha256"] == two.rows()["a.png"]["sha256"]


def test_of_two_identical_files_the_one_that_moves_keeps_its_own_row(desk: Desk) -> None:
    desk.add("a.png", RED)
    desk.add("b.png", RED)
    desk.index()
    (desk.photos / "b.png").rename(desk.photos / "c.png")
    report = desk.idle_sync()
    assert (report.moved, report.unchanged) == (1, 1)
    assert desk.ids() == {"a.png": 1, "c.png": 2}


def test_of_two_identical_files_that_both_move_the_rows_go_by_order(desk: Desk) -> None:
    desk.add("a.png", RED)
    desk.add("b.png", RED)
    desk.index()
    (desk.photos / "b.png").rename(desk.photos / "x.png")
    (desk.photos / "a.png").rename(desk.photos / "y.png")
    assert desk.idle_sync().moved == 2
    assert desk.ids() == {"x.png": 1, "y.png": 2}


def test_a_file_moved_and_copied_keeps_its_row_at_the_first_place(two: Desk) -> None:
    (two.photos / "a.png").rename(two.photos / "y.png")
    two.add("x.png", RED)
    report = two.sync()
    assert (report.moved, report.new, two.model.calls) == (1, 1, [1])
    assert two.ids() == {"x.png": 1, "b.png": 2, "y.png": 3}


def test_a_file_that_gives_its_name_to_another_keeps_its_row(two: Desk) -> None:
    (two.photos / "a.png").rename(two.photos / "old a.png")
    two.add("a.png", BLUE, LONG_AGO_S + 1)
    report = two.sync()
    assert (report.moved, report.new, report.changed) == (1, 1, 0)
    assert two.ids() == {"old a.png": 1, "b.png": 2, "a.png": 3}


def test_a_deleted_file_is_gone_and_comes_back_as_a_new_row(two: Desk) -> None:
    data = (two.photos / "a.png").read_bytes()
    (two.photos / "a.png").unlink()
    report = two.idle_sync()
    assert (report.gone, report.rows) == (1, 1)
    assert two.ids() == {"b.png": 2}
    write(two.photos / "a.png", data)
    assert two.sync().new == 1
    assert two.ids() == {"a.png": 3, "b.png": 2}


def test_row_ids_are_never_used_again(two: Desk) -> None:
    two.add("c.png", BLUE)
    two.sync()
    (two.photos / "c.png").unlink()
    two.idle_sync()
    layout = Layout(two.lake)
    manifest = compact(layout, two.manifest, max_segments=1)
    vacuum(layout, manifest, keep_s=0)
    assert [entry.rows for entry in two.manifest.segments] == [2]
    assert two.manifest.tombstones == ()
    two.add("c.png", BLUE)
    two.sync()
    assert two.ids() == {"a.png": 1, "b.png": 2, "c.png": 4}


# broken files


def test_a_file_replaced_by_a_broken_one_is_skipped_and_mended_is_new(two: Desk) -> None:
    write(two.photos / "a.png", b"", LONG_AGO_S + 1)
    report = two.sync()
    assert report.newly_skipped == [(f"{two.photos}/a.png", "empty file")]
    assert (report.rows, report.skipped, report.problems) == (1, 1, [])
    assert (two.ids(), two.skipped()) == ({"b.png": 2}, {"a.png": "empty file"})
    two.add("a.png", BLUE, LONG_AGO_S + 2)
    report = two.sync()
    assert (report.new, report.skipped, two.skipped()) == (1, 0, {})
    assert two.ids() == {"a.png": 3, "b.png": 2}


def test_an_image_that_the_model_refuses_is_skipped_alone(desk: Desk) -> None:
    desk.add("a.png", RED)
    desk.add("b.png", BLACK)
    desk.add("c.png", BLUE)
    report = desk.index()
    reason = "the model colours failed on it (black has no colour)"
    assert report.newly_skipped == [(f"{desk.photos}/b.png", reason)]
    assert desk.ids() == {"a.png": 1, "c.png": 2}


def test_a_skipped_file_is_tried_again_only_when_it_changes_or_on_request(desk: Desk) -> None:
    desk.add("a.png", RED)
    broken = write(desk.photos / "broken.png", b"no image at all")
    desk.index()
    assert desk.skipped() == {"broken.png": "not an image that Pillow or HEIF can open"}
    before = desk.manifest
    with images_opened() as names:
        report = desk.idle_sync()
    assert (names, report.skipped, report.newly_skipped) == ([], 1, [])
    assert desk.manifest == before
    report = desk.sync(retry_skipped=True)
    assert len(report.newly_skipped) == 1
    assert (report.skipped, len(desk.manifest.skipped)) == (1, 1)
    write(broken, b"still no image", LONG_AGO_S + 1)
    assert len(desk.sync().newly_skipped) == 1
    broken.unlink()
    report = desk.idle_sync()
    assert (report.skipped, desk.skipped()) == (0, {})


def test_a_file_skipped_for_a_passing_reason_is_tried_again_every_time(desk: Desk) -> None:
    desk.add("a.png", RED)
    link = desk.photos / "link.png"
    link.symlink_to(desk.root / "elsewhere.png")
    desk.index()
    assert desk.skipped() == {"link.png": "a symbolic link to something that is not there"}
    assert len(desk.sync().newly_skipped) == 1
    write(desk.root / "elsewhere.png", png(BLUE))
    report = desk.sync()
    assert (report.new, report.skipped, desk.ids()) == (1, 0, {"a.png": 1, "link.png": 2})


def test_a_lake_of_broken_files_alone_is_a_lake(desk: Desk) -> None:
    write(desk.photos / "a.png", b"")
    report = desk.index()
    assert (report.rows, report.skipped) == (0, 1)
    desk.add("a.png", RED)
    assert desk.sync().new == 1


# sources


def test_adding_a_source_touches_no_other(two: Desk) -> None:
    (two.photos / "a.png").unlink()
    two.add("c.png", BLUE)
    write(two.root / "other" / "d.png", png(YELLOW))
    report = two.index(two.root / "other")
    assert (report.new, report.gone) == (1, 0)
    assert two.ids() == {"a.png": 1, "b.png": 2, f"{two.root}/other/d.png": 3}
    assert [source.uri for source in two.manifest.sources] == [str(two.photos), f"{two.root}/other"]
    report = two.sync()
    assert (report.new, report.gone) == (1, 1)


def test_a_missing_source_keeps_its_rows_and_says_so(two: Desk) -> None:
    two.photos.rename(two.root / "away")
    [problem] = two.idle_sync().problems
    assert problem.startswith(f"{two.photos}: there is no such file or folder; ")
    assert problem.endswith("; its 2 rows were kept (if they should go, use --allow-empty)")
    assert two.ids() == {"a.png": 1, "b.png": 2}
    report = two.idle_sync(allow_empty=True)
    assert (report.gone, report.rows, report.problems) == (2, 0, [])


def test_a_source_that_lists_nothing_keeps_its_rows_and_says_so(two: Desk) -> None:
    for path in two.photos.iterdir():
        path.unlink()
    assert two.idle_sync().problems == [
        f"{two.photos}: lists no images now; its 2 rows were kept (if they should go, use --allow-empty)"
    ]
    assert len(two.rows()) == 2
    assert two.idle_sync(allow_empty=True).gone == 2
    assert two.rows() == {}


def test_adding_what_is_not_there_or_holds_no_image_fails(desk: Desk) -> None:
    with pytest.raises(
        SourceError, match=r"nowhere: there is no such file or folder; give a folder"
    ):
        desk.index(desk.root / "nowhere")
    (desk.root / "empty").mkdir()
    with pytest.raises(SourceError) as caught:
        desk.index(desk.root / "empty")
    assert str(caught.value) == f"{desk.root}/empty: there are no image files in it"
    assert not desk.lake.exists()


def test_a_first_run_that_fails_leaves_what_was_there_before(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    add = [SourceEntry(str(tmp_path / "empty"), None)]
    (tmp_path / "was" / "there").mkdir(parents=True)
    for name in ("was/there", "was/new/my.lake", "other/new/my.lake"):
        with pytest.raises(SourceError, match="no image files"):
            sync(tmp_path / name, no_model, add=add)
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert found == ["empty", "was", "was/there"]


def test_a_first_run_that_is_interrupted_at_once_leaves_no_folder(desk: Desk) -> None:
    desk.add("a.png", RED)

    def stop() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        desk.index(should_stop=stop, load=no_model)
    assert not desk.lake.exists()


def test_a_first_run_that_meets_another_leaves_it_its_folder(desk: Desk) -> None:
    desk.add("a.png", RED)
    layout = Layout(desk.lake)
    prepare_folder(layout)
    (layout.staging / "plan").mkdir()
    with writer(layout), pytest.raises(LakeLocked):
        desk.index(load=no_model)
    assert (layout.staging / "plan").is_dir()


def test_a_lake_whose_manifest_was_lost_is_not_taken_back(two: Desk) -> None:
    Layout(two.lake).manifest.unlink()
    shutil.rmtree(Layout(two.lake).manifests)
    kept = sorted(Layout(two.lake).segments.iterdir())
    (two.root / "empty").mkdir()
    with pytest.raises(SourceError, match="no image files"):
        two.index(two.root / "empty")
    assert kept and sorted(Layout(two.lake).segments.iterdir()) == kept


def test_a_lake_in_which_no_image_could_be_read_is_a_problem(desk: Desk) -> None:
    write(desk.photos / "a.png", b"no picture")
    write(desk.photos / "b.png", b"none either")
    info, sync_again = f"info {desk.lake} --skipped", f"sync {desk.lake} --retry-skipped"
    ways_out = f"; `lakesift {info}` says why, and `lakesift {sync_again}` tries again"
    nothing = f"{desk.lake} has no image: none could be read (2 skipped){ways_out}"
    assert desk.index().problems == [nothing]
    assert desk.idle_sync().problems == [nothing]
    desk.add("c.png", RED)
    assert desk.sync().problems == []  # two of three are skipped, which is told
    write(desk.root / "more" / "d.png", b"no picture")
    none_new = f"none of the new images could be read (1 skipped){ways_out}"
    assert desk.index(desk.root / "more").problems == [none_new]
    write(desk.photos / "e.png", b"no picture")
    assert desk.sync().problems == []


def test_a_folder_that_cannot_be_entered_keeps_its_rows() -> None:
    with TemporaryDirectory() as folder:  # not tmp_path: only its owner may enter that one
        _check_entry_that_cannot_be_entered(Desk(Path(folder)))


def _check_entry_that_cannot_be_entered(desk: Desk) -> None:
    desk.add("a.png", RED)
    desk.add("shut/b.png", GREEN)
    secret = desk.add("secret.png", BLUE, time.time())
    desk.index()
    (desk.photos / "a.png").unlink()
    desk.add("c.png", RED)
    (desk.photos / "shut").chmod(0)
    secret.chmod(0)  # it would have to be looked at again, and cannot be: it stays as it is
    try:
        report = _sync_as_nobody(desk) if os.geteuid() == 0 else desk.idle_sync()
    finally:
        (desk.photos / "shut").chmod(0o755)
        secret.chmod(0o644)
    assert report.problems == [
        f"{desk.photos}/shut/: permission denied; its images were left as they are"
    ]
    assert (report.gone, report.moved) == (0, 1)
    assert desk.ids() == {"c.png": 1, "secret.png": 2, "shut/b.png": 3}
    with images_opened() as names:
        assert desk.idle_sync().problems == []
    assert names == ["secret.png"]


def _sync_as_nobody(desk: Desk) -> SyncReport:
    for path in (desk.root, *desk.root.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    with as_nobody():
        return desk.idle_sync()


def test_overlapping_sources_give_one_row_a_file(desk: Desk) -> None:
    desk.add("a.png", RED)
    inner = desk.add("sub/b.png", GREEN)
    names = write(desk.root / "names.txt", f"{inner}\n".encode())
    report = desk.index(desk.photos, desk.photos / "sub", names)
    assert (report.new, desk.ids()) == (2, {"a.png": 1, "sub/b.png": 2})
    assert [s.uri for s in desk.manifest.sources] == [
        str(desk.photos),
        f"{desk.photos}/sub",
        f"@{desk.root}/names.txt",
    ]
    report = desk.idle_sync()
    assert (report.unchanged, report.gone, report.moved) == (2, 0, 0)
    inner.unlink()
    report = desk.sync(allow_empty=True)  # the list still names it
    assert report.newly_skipped == [(str(inner), "vanished: there is no such file any more")]
    assert desk.ids() == {"a.png": 1, "sub/b.png": 2}
    names.write_bytes(b"photos/a.png\n")
    assert desk.idle_sync(allow_empty=True).gone == 1
    assert (desk.ids(), desk.skipped()) == ({"a.png": 1}, {})


def test_a_source_inside_another_does_not_take_its_columns_away(desk: Desk) -> None:
    desk.add("sub/b.png", GREEN)
    table = write(desk.root / "table.csv", b"path,place_name\nsub/b.png,Oslo\n")
    desk.index(columns=table)
    desk.index(desk.photos / "sub", load=no_model)
    assert desk.rows()["sub/b.png"]["place_name"] == "Oslo"
    before = desk.manifest
    desk.idle_sync()
    assert desk.manifest == before


def test_globs_and_lists_are_sources_that_sync_opens_again(desk: Desk) -> None:
    desk.add("a.png", RED)
    desk.add("b.PNG", GREEN)
    desk.add("deep/er/c.png", BLUE)
    names = write(desk.root / "names.txt", b"photos/b.PNG\n")
    desk.index(f"{desk.photos}/**/*.png", names)
    assert sorted(desk.ids()) == ["a.png", "b.PNG", "deep/er/c.png"]
    desk.add("deep/d.png", YELLOW)
    desk.add("e.jpg", YELLOW)
    names.write_bytes(b"photos/e.jpg\n")
    report = desk.sync()
    assert (report.new, report.gone) == (2, 1)
    assert sorted(desk.ids()) == ["a.png", "deep/d.png", "deep/er/c.png", "e.jpg"]


@pytest.mark.parametrize(
    "spelling", ["photos", "photos/", "./photos", "~/photos", "sub/../photos//"]
)
def test_a_source_has_one_name_however_it_is_spelt(
    two: Desk, spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(two.root)
    monkeypatch.setenv("HOME", str(two.root))
    report = two.index(spelling, load=no_model)
    assert (report.unchanged, report.new) == (2, 0)
    assert [source.uri for source in two.manifest.sources] == [str(two.photos)]


def test_a_lake_inside_its_source_indexes_none_of_itself(desk: Desk) -> None:
    desk.add("a.png", RED)
    inside = desk.photos / "my.lake"
    report = sync(inside, lambda manifest: desk.model, add=[SourceEntry(str(desk.photos))])
    assert (report.new, report.skipped, report.newly_skipped) == (1, 0, [])
    report = sync(inside, no_model)
    assert (report.unchanged, report.new, report.skipped) == (1, 0, 0)


def test_the_lake_must_be_a_folder_of_its_own(desk: Desk) -> None:
    desk.add("a.png", RED)
    desk.lake.write_text("x")
    with pytest.raises(LakeError) as caught:
        desk.index()
    assert str(caught.value) == f"{desk.lake} is a file; choose a folder for the lake"
    with pytest.raises(LakeError) as caught:
        sync(desk.photos, no_model, add=[])
    assert isinstance(caught.value, LakeNotFound)
    desk.lake.unlink()
    write(desk.lake / "thesis.doc", b"x")
    with pytest.raises(LakeError) as caught:
        desk.index()
    assert (
        str(caught.value)
        == f"{desk.lake} is not empty and not a lake (it has thesis.doc); choose another folder"
    )
    assert [path.name for path in desk.lake.iterdir()] == ["thesis.doc"]


def test_syncing_what_is_no_lake_makes_no_folder(desk: Desk) -> None:
    with pytest.raises(LakeNotFound) as caught:
        desk.sync()
    assert str(caught.value) == (
        f"{desk.lake} is not a lake (it has no manifest.json); make one with: lakesift index PHOTOS --into {desk.lake}"
    )
    assert not desk.lake.exists()


def test_another_model_is_refused_with_what_differs(two: Desk) -> None:
    two.add("c.png", BLUE)
    with pytest.raises(WrongModel) as caught:
        two.sync(load=lambda manifest: ColourEmbedder(weights="1"))
    assert str(caught.value) == (
        f"{two.lake} was built with colours (weights 0), but this is colours (weights 1); "
        "use the model it was built with, or make a new lake: `lakesift index --sources-of` takes its sources there, "
        "`lakesift filter copy --into` its filters and labels"
    )
    assert two.sync().new == 1


# photos that move house


def test_photos_that_moved_house_keep_their_rows(desk: Desk) -> None:
    desk.add("a.png", RED)
    desk.add("sub/b.png", GREEN)
    write(desk.photos / "broken.png", b"no image")
    names = write(desk.photos / "names.txt", b"a.png\n")
    table = write(desk.photos / "table.csv", b"path,n\na.png,7\n")
    desk.index(columns=table)
    desk.index(names, load=no_model)
    new = desk.root / "new house"
    desk.photos.rename(new)
    with images_opened() as opened:
        report = desk.idle_sync(roots={f"{desk.photos}/": f"{new}/"})
    assert opened == []
    assert (report.moved, report.new, report.gone, report.skipped) == (2, 0, 0, 1)
    assert (report.problems, report.notes) == ([], [])
    rows = desk.rows()
    assert {name: row["row_id"] for name, row in rows.items()} == {
        f"{new}/a.png": 1,
        f"{new}/sub/b.png": 2,
    }
    assert (rows[f"{new}/a.png"]["n"], rows[f"{new}/a.png"]["source"]) == (7, str(new))
    assert list(desk.skipped()) == [f"{new}/broken.png"]
    assert [(s.uri, s.columns) for s in desk.manifest.sources] == [
        (str(new), f"{new}/table.csv"),
        (f"@{new}/names.txt", None),
    ]
    before = desk.manifest
    report = desk.idle_sync()
    assert (report.unchanged, report.skipped, desk.manifest) == (2, 1, before)


def test_a_root_is_a_whole_name(desk: Desk) -> None:
    desk.add("a.png", RED)
    write(desk.root / "photos2" / "b.png", png(GREEN))
    desk.index(desk.photos, desk.root / "photos2")
    desk.photos.rename(desk.root / "new")
    report = desk.idle_sync(roots={str(desk.photos): f"{desk.root}/new"})
    assert (report.moved, report.unchanged) == (1, 1)
    assert desk.ids() == {f"{desk.root}/new/a.png": 1, f"{desk.root}/photos2/b.png": 2}


def test_a_wrong_new_root_fails_and_changes_nothing(two: Desk) -> None:
    before = two.manifest
    with pytest.raises(SourceError, match=r"/typo: there is no such file or folder"):
        two.idle_sync(roots={str(two.photos): f"{two.root}/typo"})
    (two.root / "empty").mkdir()
    with pytest.raises(SourceError, match=r"/empty: there are no image files in it"):
        two.idle_sync(roots={str(two.photos): f"{two.root}/empty"})
    assert two.manifest == before
    assert two.idle_sync().unchanged == 2


def test_an_old_root_that_nothing_begins_with_is_noted(two: Desk) -> None:
    report = two.idle_sync(roots={"/never": "/seen"})
    assert report.notes == [f"nothing in {two.lake} begins with /never"]
    assert report.unchanged == 2


def test_two_roots_cannot_become_one(two: Desk) -> None:
    write(two.root / "other" / "a.png", png(BLUE))
    two.index(two.root / "other")
    with pytest.raises(
        BadRequest, match=r"--root: two rows of .*my.lake would both be .*/other/a.png"
    ):
        two.idle_sync(roots={str(two.photos): f"{two.root}/other"})


def test_a_change_of_roots_that_was_interrupted_is_gone_on_with(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c", "d"):
        desk.add(f"{name}.png", (10 * ord(name) % 256, 9, 9))
    desk.index()
    new = desk.root / "new"
    desk.photos.rename(new)
    monkeypatch.setattr("indexer.run.carrying.CARRY_ROWS", 2)
    first = desk.manifest.snapshot
    report = desk.idle_sync(
        roots={str(desk.photos): str(new)}, should_stop=lambda: desk.manifest.snapshot > first
    )
    assert report.interrupted
    assert sorted(desk.ids()) == [f"{new}/a.png", f"{new}/b.png", "c.png", "d.png"]
    report = desk.idle_sync()  # without --root: found again by their content
    assert desk.ids() == {f"{new}/{name}.png": number for number, name in enumerate("abcd", 1)}


# interrupted


def test_an_interrupted_run_continued_equals_an_undisturbed_one(tmp_path: Path) -> None:
    desk, calm = Desk(tmp_path / "a", ColourEmbedder(batch_size=3)), Desk(tmp_path / "b")
    for number in range(20):
        colour = BLACK if number % 7 == 6 else (number, 255 - number, 40)
        desk.add(f"{number:02d}.png", colour)
        calm.add(f"{number:02d}.png", colour)
    calm.index()
    report = desk.index(should_stop=stop_after(5, desk.model))
    assert (report.interrupted, 3 <= report.rows < 18) == (True, True)
    done = desk.rows()
    desk.model.calls.clear()
    report = desk.sync(should_stop=stop_after(4, desk.model))
    assert report.interrupted
    assert {name: desk.rows()[name] for name in done} == done
    report = desk.sync()
    assert (report.interrupted, report.rows, report.skipped) == (False, 18, 2)

    def fixed(rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "uri": name, "source": ""} for name, row in sorted(rows.items())]

    assert fixed(desk.rows()) == fixed(calm.rows())
    assert desk.skipped() == calm.skipped()
    assert len(desk.skipped()) == 2


def test_a_run_stopped_before_its_first_image_is_remembered(two: Desk) -> None:
    write(two.root / "other" / "c.png", png(BLUE))
    report = two.index(two.root / "other", should_stop=lambda: len(two.manifest.sources) == 2)
    assert (report.interrupted, report.new) == (True, 0)
    assert two.sync().new == 1


def test_a_run_stopped_while_listing_makes_no_snapshot(desk: Desk) -> None:
    desk.add("a.png", RED)
    report = desk.index(should_stop=lambda: True, load=no_model)
    assert (report.interrupted, report.snapshot, report.rows) == (True, 0, 0)
    assert not desk.lake.exists()
    assert desk.index().new == 1


# captions and columns


def test_edited_sidecars_become_columns_without_a_model(desk: Desk) -> None:
    desk.add("a.png", RED)
    desk.add("b.png", GREEN)
    caption = write(desk.photos / "a.txt", b"a red square")
    desk.index()
    assert [row["caption"] for row in desk.rows().values()] == ["a red square", None]
    write(caption, b"red", LONG_AGO_S + 1)
    write(desk.photos / "b.json", json.dumps({"caption": "green", "city": "Oslo", "n": 3}).encode())
    report = desk.idle_sync()
    assert (report.unchanged, report.changed, report.moved) == (2, 0, 0)
    rows = desk.rows()
    assert (rows["a.png"]["caption"], rows["a.png"]["city"]) == ("red", None)
    assert [rows["b.png"][name] for name in ("caption", "city", "n", "row_id", "vector")] == [
        "green",
        "Oslo",
        3,
        2,
        [0, 1, 0],
    ]
    caption.unlink()
    (desk.photos / "b.json").unlink()
    desk.idle_sync()
    rows = desk.rows()
    assert (rows["a.png"]["caption"], rows["b.png"]["caption"], rows["b.png"]["city"]) == (
        None,
        None,
        None,
    )


def test_edits_of_the_users_table_become_columns_without_a_model(desk: Desk) -> None:
    desk.add("a.png", RED)
    desk.add("sub/b.png", GREEN)
    table = write(desk.root / "table.csv", b"path,n\na.png,1\nsub/b.png,2\nc.png,3\nd.png,4\n")
    report = desk.index(columns=table)
    assert (report.problems, report.notes) == (
        [],
        [f"{table}: 2 rows belong to no image of {desk.photos}"],
    )
    assert {name: row["n"] for name, row in desk.rows().items()} == {"a.png": 1, "sub/b.png": 2}
    before = desk.manifest
    desk.idle_sync()
    assert desk.manifest == before
    table.write_bytes(b"path,n,city\na.png,1,Oslo\nsub/b.png,5,\n")
    report = desk.idle_sync()
    assert (report.unchanged, report.notes) == (2, [])
    assert {name: (row["n"], row["city"]) for name, row in desk.rows().items()} == {
        "a.png": (1, "Oslo"),
        "sub/b.png": (5, None),
    }
    desk.index(load=no_model)  # the same source without --columns keeps its table
    assert desk.manifest.sources[0].columns == str(table)
    table.unlink()
    [problem] = desk.idle_sync().problems
    assert problem.startswith(f"{table}: there is no such table")
    assert desk.rows()["a.png"]["city"] == "Oslo"


def test_a_moved_file_takes_its_own_columns_along(desk: Desk) -> None:
    desk.add("a.png", RED)
    write(desk.photos / "a.txt", b"red")
    desk.index()
    for name in ("a.png", "a.txt"):
        (desk.photos / name).rename(desk.photos / f"z{name}")
    desk.idle_sync()
    assert [(row["row_id"], row["caption"]) for row in desk.rows().values()] == [(1, "red")]


def test_a_columns_type_widens_from_segment_to_segment(desk: Desk) -> None:
    def add(name: str, value: object) -> None:
        desk.add(f"{name}.png", (ord(name) % 200, 50, 50))
        write(desk.photos / f"{name}.json", json.dumps({"v": value}).encode())
        desk.index() if name == "a" else desk.sync()

    add("a", 2**53 + 1)
    add("b", 7)
    assert desk.manifest.columns == {"v": "int64"}
    assert [row["v"] for row in desk.rows().values()] == [2**53 + 1, 7]
    add("c", 0.5)
    assert desk.manifest.columns == {"v": "double"}
    assert [row["v"] for row in desk.rows().values()] == [float(2**53), 7.0, 0.5]
    add("d", "seven")
    assert desk.manifest.columns == {"v": "string"}
    assert [row["v"] for row in desk.rows().values()][1:] == ["7", "0.5", "seven"]
    desk.photos.joinpath("b.png").rename(desk.photos / "bb.png")
    desk.photos.joinpath("b.json").rename(desk.photos / "bb.json")
    desk.idle_sync(max_segments=1)
    assert len(desk.manifest.segments) == 1
    assert {name: row["v"] for name, row in desk.rows().items() if name != "a.png"} == {
        "bb.png": "7",
        "c.png": "0.5",
        "d.png": "seven",
    }


def test_a_run_ends_with_few_segments(desk: Desk) -> None:
    desk.model.batch_size = 1
    for number in range(6):
        desk.add(f"{number}.png", (200, 30 * number, 9))
    desk.index(commit_rows=1, max_segments=2)
    assert len(desk.manifest.segments) <= 2
    assert desk.ids() == {f"{number}.png": number + 1 for number in range(6)}


def test_nothing_is_left_in_staging(two: Desk) -> None:
    assert list((two.lake / "staging").iterdir()) == []
    shutil.copytree(two.lake / "segments", two.lake / "staging" / "left by a writer that died")
    two.idle_sync()
    assert list((two.lake / "staging").iterdir()) == []


def test_a_lake_among_the_photos_is_told_but_not_the_runs_own(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add("a.png", RED)
    desk.add("set/segments/b.png", GREEN)
    write(desk.photos / "set/manifest.json", b'{"name": "my set"}')
    other = Desk(tmp_path / "other")
    other.add("c.png", BLUE)
    other.index(other.photos)
    shutil.copytree(other.lake, desk.photos / "old.lake")
    report = desk.index(desk.photos)
    assert (report.new, report.problems) == (2, [])
    assert report.notes == [f"{desk.photos}/old.lake: it is a lake, and was not looked into"]
    shutil.rmtree(desk.photos / "old.lake")
    own = desk.lake.rename(desk.photos / "own.lake")
    assert sync(own, no_model, config=IndexConfig(decoders=1)).notes == []


@pytest.mark.parametrize(
    ("came", "is_now", "words", "form"),
    [
        ("2024-01-05", "2024-01-05 00:00:00.000000", "times", "2026-01-31 00:00:00.000000"),
        ("1.50", "1.5", "numbers", "1.5"),
        ("True", "true", "truths", "true"),
    ],
)
def test_a_table_with_other_values_for_a_column_of_texts_is_told_of(
    desk: Desk, came: str, is_now: str, words: str, form: str
) -> None:
    for name in ("a", "b"):
        desk.add(f"{name}.png", RED)
    text = f"path,v\na.png,{came}\nb.png,{{}}\n"
    assert desk.index(columns=write(desk.root / "1.csv", text.format("x").encode())).notes == []
    assert [row["v"] for row in desk.rows().values()] == [came, "x"]
    # Without the text it is a column of something else.
    report = desk.index(columns=write(desk.root / "2.csv", text.format(came).encode()))
    assert report.notes == [
        f"the column v is text in this lake: the {words} that were read now are written as text, as "
        f"in '{form}', and a `where` compares them so; to have them as {words}, give them a column "
        "of another name"
    ]
    assert [row["v"] for row in desk.rows().values()] == [is_now, is_now]
    assert desk.idle_sync().notes == []


def test_a_column_of_numbers_to_which_a_text_comes_is_told_of(desk: Desk) -> None:
    for name in ("a", "b"):
        desk.add(f"{name}.png", RED)
    desk.index(columns=write(desk.root / "1.csv", b"path,v\na.png,7\nb.png,12\n"))
    report = desk.index(columns=write(desk.root / "2.csv", b"path,v\na.png,7\nb.png,12 m\n"))
    assert report.notes == [
        "the column v held whole numbers, and text came: all of it is text from now on, and a "
        "`where` compares it so; to have whole numbers again, give what came a column of another name"
    ]
    assert {name: row["v"] for name, row in desk.rows().items()} == {"a.png": "7", "b.png": "12 m"}


def test_columns_that_differ_in_case_only_are_one_and_told_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for name, colour, text in (
        ("a", RED, '{"Year": 2020}'),
        ("b", GREEN, '{"year": 2021}'),
        ("c", BLUE, '{"YEAR": 2022, "n": 1}'),
    ):
        desk.add(f"{name}.png", colour)
        write(desk.photos / f"{name}.json", text.encode())
    report = desk.index()
    [kept] = [name for name in desk.manifest.columns if name != "n"]
    assert kept.lower() == "year"
    assert {uri[-5:]: row[kept] for uri, row in desk.rows().items()} == {
        "a.png": 2020,
        "b.png": 2021,
        "c.png": 2022,
    }
    [note] = report.notes
    before = "names of columns that differ in case only are one column: "
    met = sorted(f"{name} as {kept}" for name in {"Year", "year", "YEAR"} - {kept})
    assert sorted(note.removeprefix(before).split(", ")) == met
    write(desk.photos / "a.json", b'{"yEAR": 2024}', LONG_AGO_S + 1)
    assert desk.sync().notes == [f"{before}yEAR as {kept}"]
    assert desk.rows()["a.png"][kept] == 2024
    assert desk.sync().notes == []


def test_a_data_sets_manifest_makes_no_folder_a_lake(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add("a.png", RED)
    write(desk.lake / "manifest.json", b'{"name": "my set"}')
    write(desk.lake / "cover.jpg", b"x")
    with pytest.raises(LakeError, match=r"is not empty and not a lake \(it has cover\.jpg\)"):
        desk.index(desk.photos)


@pytest.mark.parametrize("order", [sorted, lambda names: sorted(names, reverse=True)])
def test_a_report_is_the_same_whatever_order_the_file_system_lists_in(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, order: Callable[[list[str]], list[str]]
) -> None:
    for name in ("b.png", "a.png", "in/c.png"):
        desk.add(name, RED)
    for name in ("z.mcap.zstd", "in/x.mcap.zstd"):
        write(desk.photos / name, b"\x28\xb5\x2f\xfd")
    for name in ("b.zip", "a.tar", "in/a.zip"):
        write(desk.photos / name, b"no archive at all")
    scandir = os.scandir

    @contextmanager
    def listed(folder: Any) -> Iterator[Iterator[os.DirEntry[Any]]]:
        with scandir(folder) as entries:
            by_name = {entry.name: entry for entry in entries}
        yield iter([by_name[name] for name in order(list(by_name))])

    monkeypatch.setattr(os, "scandir", listed)
    report = desk.index()
    assert report.new == 3
    assert report.notes == sorted(report.notes) and len(report.notes) == 2
    assert report.problems == sorted(report.problems) and len(report.problems) == 3
    assert desk.ids() == {"a.png": 1, "b.png": 2, "in/c.png": 3}
