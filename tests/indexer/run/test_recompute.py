"""Columns that are computed from the images, computed again for rows of an older lakesift."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.config import IndexConfig
from indexer.disk.layout import Layout
from indexer.disk.manifest import Recomputing, publish, read_manifest
from indexer.disk.rows import lake_schema
from indexer.disk.segment import Segment
from indexer.disk.tables import Place, dead_positions
from indexer.errors import BadRequest
from indexer.run.writing.commits import Commits
from indexer.run.writing.compact import compact
from indexer.sync import sync
from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, GREEN, LONG_AGO_S, RED, YELLOW, Desk, no_model, png, write

OLD = {"phash": None, "width_px": 1, "camera": "a box"}


def vector_of(name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Unlike any that the model gives: a row that was embedded again would show."""
    number = ord(name[0]) - ord("a")
    return np.array([0.6, 0.8, 0] if number % 2 else [0.8, 0.6, 0], np.float32)


def make_old(desk: Desk, values: Mapping[str, Any]) -> None:
    """Give every row these values and a vector of its own, as if an older lakesift wrote it."""
    layout = Layout(desk.lake)
    manifest = read_manifest(layout)[0]
    commits = Commits(layout, manifest, IndexConfig(), 4_000_000_000_000_000)
    dead = dead_positions(layout, manifest)
    for entry in manifest.segments:
        rows = Segment(layout, entry).read_rows(lake_schema(manifest.columns)).to_pylist()
        for position, row in enumerate(rows):
            if position not in dead.get(entry.id, ()):
                name = Path(row["uri"]).name
                commits.carry({**row, **values}, vector_of(name), Place(entry.id, position))
        commits.commit()
    compact(layout, commits.manifest, max_segments=99)  # what they were before leaves the lake


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Rows 1 to 5, in one segment; a.png has a sidecar."""
    desk = Desk(tmp_path)
    for name, colour in zip("abcde", (RED, GREEN, BLUE, YELLOW, RED), strict=True):
        desk.add(f"{name}.png", colour, size=(6, 3))
    (desk.photos / "a.json").write_text('{"caption": "red", "ward": 7}')
    desk.index()
    make_old(desk, OLD)
    desk.model.calls.clear()
    return desk


def recompute(desk: Desk, *names: str, **knobs: Any) -> Any:
    stop = knobs.pop("should_stop", lambda: False)
    return sync(
        desk.lake,
        lambda _: desk.model,
        config=IndexConfig(decoders=1, **knobs),
        recompute=names,
        should_stop=stop,
    )


def values(desk: Desk, *names: str) -> dict[str, tuple[Any, ...]]:
    return {
        name.removesuffix(".png"): tuple(row[column] for column in names)
        for name, row in sorted(desk.rows().items())
    }


def test_old_rows_get_new_values_and_keep_the_rest(desk: Desk) -> None:
    before = desk.rows()
    report = recompute(desk, "width_px", "camera")
    assert (report.recomputed, report.unchanged, report.new, report.rows) == (5, 5, 0, 5)
    assert (report.not_recomputed, report.problems) == ([], [])
    assert values(desk, "row_id", "width_px", "camera", "phash", "vector") == {
        "a": (1, 6, None, None, [0.8, 0.6, 0]),
        "b": (2, 6, None, None, [0.6, 0.8, 0]),
        "c": (3, 6, None, None, [0.8, 0.6, 0]),
        "d": (4, 6, None, None, [0.6, 0.8, 0]),
        "e": (5, 6, None, None, [0.8, 0.6, 0]),
    }
    for name, row in desk.rows().items():
        assert row == {**before[name], "width_px": 6, "camera": None}
    assert (desk.rows()["a.png"]["caption"], desk.rows()["a.png"]["ward"]) == ("red", 7)
    assert desk.model.calls == []  # nothing was embedded
    assert desk.manifest.recomputing is None
    assert desk.idle_sync().unchanged == 5  # and nothing is left to do


def test_the_values_are_those_that_indexing_gives(desk: Desk, tmp_path: Path) -> None:
    recompute(desk, "phash", "width_px", "camera", "place", "height_px", "format", "captured_at")
    fresh = Desk(tmp_path / "fresh")
    for name in "abcde":
        data = (desk.photos / f"{name}.png").read_bytes()
        write(fresh.photos / f"{name}.png", data)
    fresh.index()
    columns = ("row_id", "phash", "width_px", "height_px", "format", "camera", "place", "sha256")
    assert values(desk, *columns) == values(fresh, *columns)


def test_rows_that_have_the_value_stay_where_they_are(desk: Desk) -> None:
    recompute(desk, "width_px")
    before = desk.manifest.segments
    report = recompute(desk, "width_px")
    assert (report.recomputed, report.unchanged) == (0, 5)
    assert desk.manifest.segments == before


def test_a_row_whose_file_cannot_be_read_or_is_another_keeps_what_it_had(desk: Desk) -> None:
    path = desk.photos / "b.png"
    os.utime(desk.photos, (LONG_AGO_S, LONG_AGO_S))
    write(path, png(BLUE, (6, 3)))  # of the same size and the same time as b.png was
    desk.add("c.png", BLUE, LONG_AGO_S, size=(6, 3))
    (desk.photos / "c.png").unlink()
    (desk.photos / "c.png").symlink_to(desk.root / "on a disk that is away.png")
    report = recompute(desk, "width_px")
    assert report.recomputed == 3
    assert report.not_recomputed == [
        (
            f"{desk.photos}/b.png",
            "it has changed since it was indexed, in neither size nor time; touch it and sync again",
        ),
        (f"{desk.photos}/c.png", "a symbolic link to something that is not there"),
    ]
    assert values(desk, "row_id", "width_px") == {
        "a": (1, 6),
        "b": (2, 1),
        "c": (3, 1),
        "d": (4, 6),
        "e": (5, 6),
    }
    assert desk.manifest.recomputing is None  # they are told once, not tried for ever


def test_new_and_changed_and_moved_images_go_with_it(desk: Desk) -> None:
    desk.add("b.png", BLUE, size=(9, 9))
    desk.add("f.png", GREEN, size=(7, 7))
    (desk.photos / "c.png").rename(desk.photos / "g.png")
    (desk.photos / "d.png").unlink()
    report = recompute(desk, "width_px")
    assert (report.new, report.changed, report.moved, report.gone) == (1, 1, 1, 1)
    assert (report.recomputed, report.not_recomputed) == (3, [])
    assert values(desk, "row_id", "width_px", "camera") == {
        "a": (1, 6, "a box"),
        "b": (6, 9, None),
        "e": (5, 6, "a box"),
        "f": (7, 7, None),
        "g": (3, 6, "a box"),
    }


class StopAfter:
    """Asks a run to stop once so many rows of the first segment have their new value."""

    def __init__(self, desk: Desk, rows: int) -> None:
        self.desk, self.rows = desk, rows
        self.segment = desk.manifest.segments[0].id

    def __call__(self) -> bool:
        state = self.desk.manifest.recomputing
        return state is not None and state.done.get(self.segment, 0) >= self.rows


@pytest.mark.parametrize("rows", [2, 4])
def test_a_run_cut_short_is_gone_on_with_by_any_sync(desk: Desk, rows: int) -> None:
    first = recompute(desk, "width_px", commit_rows=2, should_stop=StopAfter(desk, rows))
    assert (first.interrupted, first.recomputed) == (True, rows)
    assert list(values(desk, "width_px").values()) == [(6,)] * rows + [(1,)] * (5 - rows)
    state = desk.manifest.recomputing
    assert state is not None
    assert (state.columns, max(state.done.values())) == (("width_px",), rows)
    later = desk.sync(commit_rows=2)
    assert (later.interrupted, later.recomputed, later.unchanged) == (False, 5 - rows, 5)
    assert values(desk, "row_id", "width_px") == {
        name: (number, 6) for number, name in enumerate("abcde", 1)
    }
    assert desk.manifest.recomputing is None
    assert desk.sync(load=no_model).recomputed == 0


class Impatient:
    """Watches a run's progress, and asks it to stop after so many looks at recomputed rows."""

    def __init__(self, looks: int) -> None:
        self.left, self.name, self.done = looks, "", 0

    def stage(self, name: str, total: int | None, unit: str | None = None) -> None:
        self.name = name

    def expect(self, total: int, *, more: bool = False) -> None: ...

    def advance(self, done: int, skipped: int = 0) -> None:
        self.done += done if self.name == "recomputing" else 0

    def should_stop(self) -> bool:
        self.left -= self.name == "recomputing"
        return self.left <= 0


def test_a_run_is_cut_short_between_two_images(desk: Desk) -> None:
    watch = Impatient(3)
    report = sync(
        desk.lake,
        lambda _: desk.model,
        recompute=["width_px"],
        progress=watch,
        should_stop=watch.should_stop,
    )
    assert (report.interrupted, report.recomputed, watch.done) == (True, 3, 3)
    assert values(desk, "width_px") == {"a": (6,), "b": (6,), "c": (6,), "d": (1,), "e": (1,)}
    first = desk.manifest.segments[0].id
    assert desk.manifest.recomputing == Recomputing(("width_px",), {first: 3})
    assert desk.sync().recomputed == 2
    assert set(values(desk, "width_px").values()) == {(6,)}


def test_rows_that_are_done_are_not_read_again(desk: Desk) -> None:
    recompute(desk, "width_px", commit_rows=2, should_stop=StopAfter(desk, 2))
    for name in "ab":  # the rows that are done
        path = desk.photos / f"{name}.png"
        path.unlink()
        path.symlink_to(desk.root / "away.png")
    report = desk.sync(commit_rows=2)
    # the segment of the last commit is not yet known to be done: its two rows are asked for again
    assert report.recomputed == 3
    assert {uri[-5:] for uri, _ in report.not_recomputed} <= {"a.png", "b.png"}
    assert list(values(desk, "width_px").values()) == [(6,)] * 5


def test_other_columns_asked_for_meanwhile_begin_anew(desk: Desk) -> None:
    recompute(desk, "width_px", commit_rows=2, should_stop=StopAfter(desk, 2))
    report = recompute(desk, "camera")
    assert report.recomputed == 5
    assert set(values(desk, "width_px", "camera").values()) == {(6, None)}


def test_adding_a_source_leaves_it_for_the_next_sync(desk: Desk) -> None:
    recompute(desk, "width_px", commit_rows=2, should_stop=StopAfter(desk, 2))
    write(desk.root / "more" / "z.png", png(RED))
    desk.index(desk.root / "more")
    assert isinstance(desk.manifest.recomputing, Recomputing)
    assert desk.sync().recomputed == 3


def test_columns_that_another_version_began_with_are_passed_over(desk: Desk) -> None:
    for columns, recomputed in ((("uri", "aura"), 0), (("aura", "width_px"), 5)):
        later = replace(desk.manifest, recomputing=Recomputing(columns, {"gone": 3}))
        publish(Layout(desk.lake), later)
        assert desk.sync().recomputed == recomputed
    assert set(values(desk, "uri", "width_px").values()) == {
        (f"{desk.photos}/{name}.png", 6) for name in "abcde"
    }
    assert desk.manifest.recomputing is None


def test_quality_is_all_columns_that_begin_so(desk: Desk) -> None:
    names = ("sharpness", "brightness", "contrast", "entropy", "aspect")
    columns = [f"quality_{name}" for name in names]
    make_old(desk, dict.fromkeys(columns))
    report = recompute(desk, "quality")
    assert (report.recomputed, report.not_recomputed) == (5, [])
    # luma of red, green and blue: 0.299, 0.587 and 0.114 of 255, as whole levels
    assert values(desk, *columns) == {
        "a": (0.0, 0.298, 0.0, 0.0, 2.0),
        "b": (0.0, 0.5882, 0.0, 0.0, 2.0),
        "c": (0.0, 0.1137, 0.0, 0.0, 2.0),
        "d": (0.0, 0.8863, 0.0, 0.0, 2.0),
        "e": (0.0, 0.298, 0.0, 0.0, 2.0),
    }
    assert recompute(desk, "quality", "quality_aspect").recomputed == 0


def test_what_does_not_follow_from_the_image_is_refused(desk: Desk) -> None:
    for names in (["caption"], ["phash", "sha256"], ["no_such"]):
        with pytest.raises(BadRequest) as caught:
            recompute(desk, *names)
        assert str(caught.value) == (
            f"--recompute: {names[-1]!r} is not computed from the images; there are "
            "phash, width_px, height_px, format, captured_at, camera, place, quality_sharpness, "
            "quality_brightness, quality_contrast, quality_entropy, quality_aspect, and quality "
            "for all that begin so"
        )
    assert desk.manifest.recomputing is None


def test_a_lake_of_an_earlier_version_has_nothing_half_done() -> None:
    golden = Path(__file__).parents[2] / "data" / "golden-1.lake"
    assert read_manifest(Layout(golden))[0].recomputing is None


def test_many_segments_and_gone_rows_between(tmp_path: Path) -> None:
    desk = Desk(tmp_path, ColourEmbedder(batch_size=1))
    names: Sequence[str] = [f"{n:02d}" for n in range(11)]
    for name in names:
        desk.add(f"{name}.png", RED, size=(6, 3))
    desk.index(commit_rows=4, max_segments=99)
    assert len(desk.manifest.segments) == 3
    make_old(desk, {"width_px": 1})
    for name in ("03", "04", "10"):
        (desk.photos / f"{name}.png").unlink()
    report = recompute(desk, "width_px", commit_rows=3)
    assert (report.gone, report.recomputed) == (3, 8)
    assert values(desk, "row_id", "width_px") == {
        name: (number, 6) for number, name in enumerate(names, 1) if name not in ("03", "04", "10")
    }
