"""A filter taken into another lake:
of the same photos under other names, in another order, by another model.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.arrays import Pixels, Vectors
from indexer.errors import BadRequest, FilterExists, LakeError, WhereError
from service.lake import Lake
from service.relevance import Filters
from service.relevance.decisions.store import FilterStore
from service.relevance.definition import Target
from service.snapshot.by_content import same_images
from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk, live_rows, png, write

ORANGE = (255, 120, 0)


class Mirrored(ColourEmbedder):
    """Another model: blue, green, red."""

    def __init__(self) -> None:
        super().__init__(weights="mirrored")

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        return np.ascontiguousarray(super().embed_images(images)[:, ::-1])

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return np.ascontiguousarray(super().embed_texts(texts)[:, ::-1])


@pytest.fixture
def old(tmp_path: Path) -> Desk:
    """Rows 1 to 5: red, green, blue, yellow, orange."""
    desk = Desk(tmp_path / "old")
    for name, colour in zip("abcde", (RED, GREEN, BLUE, YELLOW, ORANGE), strict=True):
        desk.add(f"{name}.png", colour)
    desk.index()
    return desk


def another(tmp_path: Path, photos: dict[str, tuple[int, int, int]], model: ColourEmbedder) -> Desk:
    desk = Desk(tmp_path / "new", model)
    for name, colour in photos.items():
        desk.add(name, colour)
    desk.index()
    return desk


@pytest.fixture
def new(tmp_path: Path) -> Desk:
    """By another model, without the orange one: rows 1 to 4 are yellow, blue, green and red."""
    photos = {"1.png": YELLOW, "2.png": BLUE, "3.png": GREEN, "4.png": RED}
    return another(tmp_path, photos, Mirrored())


def opened(desk: Desk) -> Filters:
    return Filters(Lake.open(desk.lake, desk.model))


def said(filters: Filters, name: str = "reds") -> dict[int, str]:
    return {row_id: answer.label for row_id, answer in filters.open(name).answers().items()}


def reds(filters: Filters) -> None:
    """Wants red, and what is like row 5; not what is like row 3. Three answers, one more undone."""
    made = filters.create(
        "reds", keep_texts=["red"], keep_rows=[5], drop_rows=[3], target=Target(0.9, 0.8, 0.99)
    )
    labels = [
        {"row_id": 1, "label": "yes"},
        {"row_id": 2, "label": "no"},
        {"row_id": 5, "label": "yes"},
    ]
    made.label([{**label, "labeller": "ann"} for label in labels])
    made.label([{"row_id": 4, "label": "no", "labeller": "bob"}])
    made.labels.undo()


def test_what_was_said_of_an_image_is_said_of_its_row_there(old: Desk, new: Desk) -> None:
    here, there = opened(old), opened(new)
    reds(here)
    carried = here.carry("reds", there, labels=True)
    assert (carried.filter.name, carried.filter.lake.folder) == ("reds", new.lake)
    assert carried.labels == 2
    assert said(there) == {4: "yes", 3: "no"}
    assert [(r.row_id, r.label, r.labeller) for r in there.store.labels("reds").records()] == [
        (4, "yes", "ann"),
        (3, "no", "ann"),
        (1, "no", "bob"),
        (1, "no", "bob"),  # and taken back
    ]
    made = carried.filter.definition
    assert (made.keep.texts, made.keep.row_ids, made.drop.row_ids) == (("red",), (), (2,))
    assert (made.target, made.version, made.audit) == (Target(0.9, 0.8, 0.99), 1, None)
    assert made.reason == "copied from version 1 of reds in my.lake"
    assert made.model == new.model.fingerprint
    assert made.scorer.keep.round(3).tolist() == [[0, 0, 1]], "red, as the other model has it"
    assert made.scorer.drop.round(3).tolist() == [[1, 0, 0]]
    assert carried.left_out == (
        f"example row 5 was left out: {new.lake} has no image of the same bytes",
        f"1 of 3 labels were left out: {new.lake} has no images of the same bytes as theirs",
    )
    assert said(here) == {1: "yes", 2: "no", 5: "yes"}, "nothing changed here"


def test_without_labels_only_the_wish_goes_along(old: Desk, new: Desk) -> None:
    here, there = opened(old), opened(new)
    reds(here)
    carried = here.carry("reds", there, "scarlets")
    assert (there.names(), said(there, "scarlets"), carried.labels) == (["scarlets"], {}, 0)
    assert (carried.average_precision_here, carried.average_precision_there) == (None, None)
    assert len(carried.left_out) == 1  # the example


def test_audit_labels_teach_there_and_its_audits_count_on(old: Desk, new: Desk) -> None:
    here, there = opened(old), opened(new)
    reds(here)
    asked = here.open("reds").next(5, "audit").rows
    assert [row.row_id for row in asked] in ([3, 4], [4, 3])
    here.open("reds").label([{"row_id": row.row_id, "label": "no"} for row in asked])
    assert here.open("reds").answers()[3].purpose == "audit"
    carried = here.carry("reds", there, labels=True)
    answers = carried.filter.answers()
    assert {row_id: (a.label, a.purpose) for row_id, a in answers.items()} == {
        4: ("yes", "teach"),
        3: ("no", "teach"),
        2: ("no", "teach"),
        1: ("no", "teach"),
    }
    assert carried.filter.definition.audit is None
    assert there.store.audits_begun("reds") == 1
    assert there.store.audits_begun(there.copy("reds", "again").name) == 1
    with there.store.next_audit("reds") as number:
        assert number == 2


def test_lakes_share_the_chance_of_error_without_asking_each_other(
    old: Desk, tmp_path: Path
) -> None:
    here = opened(old)
    reds(here)
    designs = []
    for number in range(3):
        photos = {"1.png": RED, "2.png": GREEN, "3.png": BLUE}
        desk = Desk(tmp_path / f"new{number}")
        for name, colour in photos.items():
            desk.add(name, colour)
        desk.index()
        there = opened(desk)
        there_too = here.carry("reds", there).filter
        there_too.next(1, "audit")
        designs.append(there_too.standing().audit.design)  # type: ignore[union-attr]
        assert there.copy("reds", "more").definition.copied == replace(
            there_too.definition.copied,  # type: ignore[type-var]
            audits=1,
        )
    here.open("reds").next(1, "audit")
    designs.append(here.open("reds").standing().audit.design)  # type: ignore[union-attr]
    # A half, a sixth, a twelfth, and a fourth is left: one whole, of which 0.8 is spent.
    assert [(design.number, design.one_in) for design in designs] == [
        (1, 2),
        (1, 6),
        (1, 12),
        (1, 4),
    ]
    assert sum(design.delta(0.99) for design in designs) == pytest.approx(0.01 * 0.8)


def test_a_filter_made_anew_under_a_deleted_ones_name_goes_on_counting(old: Desk) -> None:
    here = opened(old)
    reds(here)
    here.open("reds").next(1, "audit")
    here.delete("reds")
    here.create("greens", keep_texts=["green"])
    again = here.create("reds", keep_texts=["red"])
    assert again.definition.reason == "created"
    assert (here.store.audits_begun("reds"), here.store.audits_begun("greens")) == (1, 0)
    again.next(1, "audit")
    assert again.definition.audit == 2


def test_what_is_refused_there_takes_nothing(old: Desk, new: Desk) -> None:
    here, there = opened(old), opened(new)
    reds(here)
    there.create("reds", keep_texts=["red"])
    with pytest.raises(FilterExists):
        here.carry("reds", there)
    assert here.store.one_in("reds") == 1
    (old.lake / "filters" / "reds" / "given").write_bytes(b"")
    with pytest.raises(LakeError, match=r"given is damaged: it is no folder of copies"):
        here.carry("reds", there, "others")
    assert there.names() == ["reds"], "no copy without its part"
    (old.lake / "filters" / "reds" / "given").unlink()
    (elsewhere := old.lake.parent / "elsewhere").mkdir()
    (old.lake / "filters" / "reds" / "given").symlink_to(elsewhere)
    with pytest.raises(LakeError, match="it is a link"):
        here.carry("reds", there, "others")
    assert (there.names(), list(elsewhere.iterdir())) == (["reds"], [])


def test_how_well_the_labels_are_ranked_is_told_of_both(old: Desk, tmp_path: Path) -> None:
    for number in range(20):
        old.add(f"r{number:02d}.png", (255, 3 * number, 0))
        old.add(f"x{number:02d}.png", (100, 60 + 5 * number, 200))
    old.index()
    twin = Desk(tmp_path / "twin", Mirrored())
    shutil.copytree(old.photos, twin.photos)
    twin.index()
    here, there = opened(old), opened(twin)
    made = here.create("reds", keep_texts=["red"])
    rows = old.ids()
    answers = {rows[f"r{n:02d}.png"]: "yes" for n in range(5)} | {
        rows[f"x{n:02d}.png"]: "no" for n in range(5)
    }
    made.label([{"row_id": row_id, "label": label} for row_id, label in answers.items()])
    carried = here.carry("reds", there, labels=True)
    facts = made.taught().facts
    assert carried.average_precision_here == facts["average_precision"][facts["chosen"]]
    # A mirror image of the same vectors: what is learnt from them is its mirror image, too.
    assert carried.average_precision_there == pytest.approx(
        carried.average_precision_here, abs=1e-3
    )
    assert carried.to_json()["average_precision"] == round(carried.average_precision_there or 0, 4)
    assert carried.left_out == ()


def test_of_identical_images_the_one_at_the_same_place_is_meant(tmp_path: Path, old: Desk) -> None:
    new = Desk(tmp_path / "new")
    for name in ("z.png", "y.png"):
        write(new.photos / name, png(RED))
    new.index()  # y.png is row 1, z.png row 2
    write(old.photos / "a copy.png", png(RED))
    old.index()
    new.index(old.photos)
    here, there = Lake.open(old.lake).snapshot, Lake.open(new.lake).snapshot
    rows = {uri: row["row_id"] for uri, row in live_rows(new.lake).items()}
    assert same_images([1, 6, 2, 99], [here], there) == {
        1: rows[f"{old.photos}/a.png"],
        6: rows[f"{old.photos}/a copy.png"],
        2: rows[f"{old.photos}/b.png"],
    }
    new.sync()
    for name in ("a.png", "a copy.png"):
        (old.photos / name).unlink()
    new.sync()
    there = Lake.open(new.lake).snapshot
    assert same_images([1, 6], [here], there) == {1: 1, 6: 1}, "the lowest of those that live"
    (new.photos / "y.png").unlink()
    new.sync()
    assert same_images([1, 6], [here], Lake.open(new.lake).snapshot) == {1: 2, 6: 2}
    assert same_images([], [here], there) == {}


def test_a_row_that_has_gone_since_is_found_in_the_filters_snapshot(old: Desk, new: Desk) -> None:
    here, there = opened(old), opened(new)
    reds(here)
    (old.photos / "a.png").unlink()
    old.sync()
    here.lake.reload()
    assert here.lake.snapshot.find(1) is None
    here.carry("reds", there, labels=True)
    assert said(there) == {4: "yes", 3: "no"}


def test_an_example_photo_keeps_its_vector_where_the_model_is_the_same(
    old: Desk, tmp_path: Path
) -> None:
    here = opened(old)
    photo = write(tmp_path / "ward.png", png((250, 10, 10)))
    made = here.create("reds", keep_images=[photo])
    there = opened(another(tmp_path, {"1.png": GREEN, "2.png": RED}, ColourEmbedder()))
    carried = here.carry("reds", there)
    assert carried.filter.definition.keep.images == made.definition.keep.images
    assert carried.left_out == ()


def test_an_example_photo_is_a_row_there_where_the_model_is_another(
    old: Desk, new: Desk, tmp_path: Path
) -> None:
    here, there = opened(old), opened(new)
    photos = [
        write(tmp_path / name, png(colour)) for name, colour in (("ward.png", RED), ("x.png", BLUE))
    ]
    gone = write(tmp_path / "gone.png", png((1, 2, 3)))
    here.create("reds", keep_images=[photos[0], gone], drop_images=[photos[1]])
    carried = here.carry("reds", there)
    made = carried.filter.definition
    assert (made.keep.row_ids, made.drop.row_ids, made.keep.images) == ((4,), (2,), ())
    assert carried.left_out == (
        f"example gone.png was left out: its vector is of another model, and {new.lake} has no image of the same bytes",
    )


def test_what_cannot_be_taken_along_at_all_makes_no_filter(
    old: Desk, new: Desk, tmp_path: Path
) -> None:
    here, there = opened(old), opened(new)
    reds(here)
    here.create("likes", keep_rows=[5])
    with pytest.raises(
        BadRequest, match=r"none of the example images of likes is in .*new/my\.lake; index them"
    ):
        here.carry("likes", there)
    here.create("oranges", keep_texts=["red"]).label([{"row_id": 5, "label": "yes"}])
    with pytest.raises(
        BadRequest,
        match=r"none of the 1 labelled images of oranges is in .* or leave the labels out",
    ):
        here.carry("oranges", there, labels=True)
    with pytest.raises(
        BadRequest, match=r"my\.lake is the lake it is in; leave it out for a copy there"
    ):
        here.carry("reds", opened(old))
    with pytest.raises(BadRequest, match="'Reds!' is no name for a filter"):
        here.carry("reds", there, "Reds!")
    assert there.names() == []
    here.carry("oranges", there)
    with pytest.raises(FilterExists):
        here.carry("oranges", there)


def test_a_column_that_is_not_there_is_named(old: Desk, new: Desk, tmp_path: Path) -> None:
    table = tmp_path / "wards.csv"
    table.write_text("path,ward\na.png,3\nb.png,4\n")
    old.index(columns=table)
    here, there = opened(old), opened(new)
    here.create("reds", keep_texts=["red"], where="ward = 3")
    with pytest.raises(WhereError, match="ward"):
        here.carry("reds", there)
    assert there.names() == []


def test_labels_that_cannot_be_written_there_make_no_filter(
    old: Desk, new: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = opened(old), opened(new)
    reds(here)
    folder = new.lake / "filters" / "reds"
    folder.mkdir(parents=True)
    (folder / "labels.jsonl").mkdir()  # where a file has to go
    with pytest.raises(LakeError, match="no label was saved"):
        here.carry("reds", there, labels=True)
    assert FilterStore(there.store._layout).names() == []
