"""What `index --plan` and `sync --plan` find out, and that they leave everything as it is."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer.config import IndexConfig
from indexer.disk.layout import Layout
from indexer.disk.locks import writer
from indexer.disk.manifest import SourceEntry
from indexer.errors import BadRequest, LakeError, LakeNotFound, ModelUnavailable, SourceError
from indexer.preview import Preview, Rate, preview
from indexer.run.plan.totals import STATES, Total
from tests.fakes import ColourEmbedder
from tests.indexer.sources.containers.test_tar import tar_of
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk, no_model, png, write


def look(desk: Desk, *sources: Path, lake: Path | None = None, **options: Any) -> Preview:
    """`index --plan` of these sources; `sync --plan` without any."""
    load = options.pop("load", lambda _: desk.model)
    add = [SourceEntry(str(source)) for source in sources]
    config = IndexConfig(decoders=1, readers=2)
    lake = lake or (None if sources else desk.lake)
    return preview(lake, load, add=add, config=config, **options)


def states(total: Total) -> dict[str, int]:
    return {name: getattr(total, name) for name in STATES if getattr(total, name)}


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in sorted([folder, *folder.rglob("*")])
    }


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Three photos of 4 x 4, and a tar with two others."""
    desk = Desk(tmp_path)
    for name, colour in (("a", RED), ("b", GREEN), ("c", BLUE)):
        desk.add(f"{name}.png", colour)
    tar = tar_of({"d.png": png(YELLOW, (5, 4)), "e.png": png(RED, (5, 4))})
    write(desk.photos / "shard.tar", tar)
    return desk


def test_a_folder_is_counted_by_kind_and_nothing_is_written(desk: Desk) -> None:
    before = everything(desk.root)
    found = look(desk, desk.photos)
    loose, packed = found.totals
    assert (loose.source, loose.kind, loose.containers) == (str(desk.photos), "file", 0)
    assert (packed.source, packed.kind, packed.containers) == (str(desk.photos), "tar", 1)
    assert states(loose) == {"new": 3}
    assert states(packed) == {"new": 2}
    assert (loose.images, loose.size_bytes) == (3, 3 * len(png(RED)))
    assert (packed.images, packed.size_bytes) == (2, 2 * len(png(RED, (5, 4))))
    assert (found.lake, found.is_new, found.rows, found.to_index) == (None, True, 0, 5)
    assert (found.problems, found.notes, found.interrupted) == ([], [], False)
    assert everything(desk.root) == before

    assert look(desk, desk.photos, lake=desk.lake).is_new
    assert not desk.lake.exists()
    assert everything(desk.root) == before


def test_the_time_is_that_of_the_images_measured() -> None:
    found = Preview(None, True, 0, to_index=1_000, rate=Rate("m", images=50, seconds=10.0))
    assert (found.rate, found.seconds) == (Rate("m", 50, 10.0), 200.0)
    assert replace(found, rate=None).seconds is None


def test_images_are_measured_once_decoders_run(desk: Desk) -> None:
    found = look(desk, desk.photos)
    assert found.rate is not None
    # one of five warms up
    assert (found.rate.model_id, found.rate.images) == (desk.model.model_id, 4)
    assert sum(desk.model.calls) == 5
    assert found.seconds is not None and found.seconds > 0


def test_what_a_sync_would_do_is_what_it_then_does(desk: Desk) -> None:
    write(desk.photos / "broken.png", b"\x89PNG no more")
    desk.index()
    desk.add("new.png", YELLOW, size=(6, 4))
    desk.add("a.png", BLUE, modified_s=1_500_000_000)
    (desk.photos / "b.png").unlink()
    write(desk.photos / "c.txt", b"blue")
    before = everything(desk.lake)
    found = look(desk)
    assert everything(desk.lake) == before
    loose, packed = found.totals
    assert states(loose) == {"new": 1, "changed": 1, "updated": 1, "skipped": 1, "gone": 1}
    assert (loose.images, packed.images) == (4, 2)
    assert loose.new_bytes == len(png(YELLOW, (6, 4))) + len(png(BLUE))
    assert states(packed) == {"unchanged": 2}
    assert packed.containers == 1
    assert (found.to_index, found.rows, found.is_new) == (2, 5, False)
    # the bytes of a.png may be those that b.png had, by their length
    assert found.may_have_moved == 1
    report = desk.sync()
    assert (report.new, report.changed, report.gone, report.unchanged) == (1, 1, 1, 3)

    again = look(desk, load=no_model)
    assert [states(total) for total in again.totals] == [
        {"unchanged": 3, "skipped": 1},
        {"unchanged": 2},
    ]
    assert (again.to_index, again.rate, again.seconds) == (0, None, None)


def test_photos_written_just_before_the_last_run_are_not_called_changed(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add("young.png", RED, modified_s=4_000_000_000)
    desk.index()
    found = look(desk, load=no_model)
    assert [states(total) for total in found.totals] == [{"unsure": 1}]
    assert found.to_index == 0


def test_moved_photos_are_told(desk: Desk) -> None:
    desk.index()
    for name in "abc":
        (desk.photos / f"{name}.png").rename(desk.photos / f"{name}-2.png")
    found = look(desk)
    assert states(found.totals[0]) == {"new": 3, "gone": 3}
    assert (found.to_index, found.may_have_moved) == (3, 3)


def test_sources_come_in_their_order_and_a_lost_one_keeps_its_rows(desk: Desk) -> None:
    other = desk.root / "another"
    write(other / "z.png", png(GREEN))
    desk.index(desk.photos, other)
    assert [total.source for total in look(desk, other, desk.photos).totals] == [
        str(other),
        str(desk.photos),
        str(desk.photos),
    ]
    (other / "z.png").unlink()
    other.rmdir()
    found = look(desk, load=no_model)
    assert [states(total) for total in found.totals if total.source == str(other)] == [{"kept": 1}]
    assert len(found.problems) == 1
    assert found.problems[0].startswith(str(other))


def test_a_lake_that_is_being_written_is_read_and_its_writer_named(desk: Desk) -> None:
    desk.index()
    layout = Layout(desk.lake)
    with writer(layout):
        found = look(desk)
        assert [f"process {os.getpid()} on " in note for note in found.notes] == [True]
        assert found.notes[0].endswith(f"is writing {desk.lake}: what it adds is not counted")
    # what a writer that was killed leaves
    layout.writer_note.write_text(
        f'{{"pid": 4194305, "host": "{os.uname().nodename}", "command": "x", "since": "then"}}'
    )
    assert look(desk).notes == []


def test_a_model_that_cannot_be_had_costs_the_time_alone(desk: Desk) -> None:
    def load(manifest: Any) -> ColourEmbedder:
        raise ModelUnavailable("some/model", "it is not on this machine")

    found = look(desk, desk.photos, load=load)
    assert (found.to_index, found.rate) == (5, None)
    [problem] = found.problems
    assert problem.startswith("how long it takes cannot be measured: ")
    assert "it is not on this machine" in problem


def test_what_a_run_refuses_a_preview_refuses(desk: Desk) -> None:
    with pytest.raises(SourceError, match="nowhere"):
        look(desk, desk.root / "nowhere")
    with pytest.raises(LakeNotFound):
        look(desk)
    with pytest.raises(BadRequest, match="no_such"):
        look(desk, recompute=["no_such"])
    write(desk.root / "full" / "thesis.txt", b"x")
    with pytest.raises(LakeError, match="is not empty and not a lake"):
        look(desk, desk.photos, lake=desk.root / "full")
    with pytest.raises(LakeError, match="is a file"):
        look(desk, desk.photos, lake=desk.photos / "a.png")


def test_rows_to_recompute_are_counted(desk: Desk) -> None:
    desk.index()
    assert look(desk, recompute=["quality"]).to_recompute == 5
    assert look(desk, desk.photos, lake=desk.lake, recompute=["quality"]).to_recompute == 0


def test_a_preview_that_is_stopped_says_so_and_calls_nothing_gone(desk: Desk) -> None:
    found = look(desk, desk.photos, load=no_model, should_stop=lambda: True)
    assert (found.interrupted, found.rate) == (True, None)
    other = desk.root / "another"
    write(other / "z.png", png(GREEN))
    desk.index(desk.photos, other)
    (desk.photos / "a.png").unlink()
    found = look(desk, load=no_model, should_stop=lambda: True)
    assert found.interrupted
    assert sum(total.gone for total in found.totals) == 0
    assert [states(total) for total in found.totals if total.source == str(other)] == [{"kept": 1}]


def test_photos_that_moved_house_are_compared_where_they_are_now(desk: Desk) -> None:
    desk.index()
    moved = desk.root / "moved"
    desk.photos.rename(moved)
    found = look(desk, load=no_model, roots={str(desk.photos): str(moved), "/no/such": "/x"})
    assert [(total.source, states(total)) for total in found.totals] == [
        (str(moved), {"updated": 3}),
        (str(moved), {"updated": 2}),
    ]
    assert found.notes == [f"nothing in {desk.lake} begins with /no/such"]
